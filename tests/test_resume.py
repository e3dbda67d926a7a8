"""A run that is killed by SIGKILL and resumed ends byte for byte as one that was never stopped."""

import json
import multiprocessing
import os
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch

from compositional.config import read_experiment, resolve
from compositional.runner import run
from tests.tasks.toy_rows import source_file

LEFT_OUT = ("environment.json", "timings")
METHODS = {
    "memory": {
        "name": "memory_tokens",
        "adapter": {"rank": 2, "dropout": 0.1},
        "after_adaptation": "merge",
        "renorm_active_tools": True,
        "rehearsal": {"vectors_per_round": 6, "vectors_per_step": 3},
    },
    "replay": {
        "name": "lora",
        "adapter": {"rank": 2, "dropout": 0.1},
        "between_rounds": "merge",
        "use_replay_buffer": True,
        "replay_buffer_size": 9,
    },
    "joint": {"name": "joint", "of": {"name": "lora", "adapter": {"rank": 2}}},
}
FORK = multiprocessing.get_context("fork")


def write_config(folder: Path, model: Path, method: str) -> Path:
    source = source_file(folder, (20, 19, 18, 17, 16, 15))
    settings = {
        "experiment": "e",
        "run": "r",
        "seed": 3,
        "model": {"name": str(model), "device": "cpu"},
        "data": {
            "source": str(source),
            "data_dir": str(folder / "data"),
            "training_rounds": "1-2:2,3-4:2,5-6:2",
            "train_size": 14,
            "samples_per_tool": 5,
            "test_size": 4,
            "train_max_function_calls": 2,
            "test_max_function_calls": 2,
        },
        "training": {"batch_size": 3, "checkpoint_seconds": 0},
        "evaluation": {"max_new_tokens": 6, "batch_size": 2},
        "output": {
            "results_dir": str(folder / "results"),
            "checkpoint_dir": str(folder / "checkpoints"),
        },
        "method": METHODS[method],
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(settings))
    return path


def child(config: Path) -> None:
    torch.manual_seed(os.getpid())  # a fresh process has a generator of its own
    run(resolve(read_experiment(config)), resume=True, progress=False)


def start(config: Path) -> BaseProcess:
    process = FORK.Process(target=child, args=(config,))
    process.start()
    return process


def finish(config: Path) -> None:
    process = start(config)
    process.join(timeout=100)
    assert process.exitcode == 0


def tree(folder: Path) -> dict[str, bytes]:
    """What a run wrote, less times and the machine; paths in the config made comparable."""
    return {
        str(path.relative_to(folder)): path.read_bytes().replace(
            str(folder.parents[2]).encode(), b"FOLDER"
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part in LEFT_OUT for part in path.parts)
    }


def num_saves(folder: Path) -> int:
    """Files that count how far a run has come."""
    return len([p for p in (folder / "results").rglob("*.json") if "scores" in str(p)])


@pytest.mark.parametrize("method", list(METHODS))
def test_killed_and_resumed_equals_never_stopped(tmp_path, toy_model_folder, method) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    finish(write_config(whole, toy_model_folder, method))
    config = write_config(cut, toy_model_folder, method)
    slot = cut / "checkpoints" / "e" / "r" / "training.safetensors"
    # In the middle of a training, then between cells, then in a later training.
    for moment in (
        slot.exists,
        lambda: num_saves(cut) >= 5,
        lambda: (slot.parent / "lesson_2.safetensors").exists() and slot.exists(),
    ):
        process = start(config)
        while process.is_alive() and not moment():
            time.sleep(0.002)
        assert process.is_alive(), "the run ended before it could be killed"
        process.kill()
        process.join()
    finish(config)
    expected = tree(whole / "results" / "e" / "r")
    found = tree(cut / "results" / "e" / "r")
    assert list(found) == list(expected)
    for name in expected:
        assert found[name] == expected[name], name
    assert not (cut / "checkpoints" / "e" / "r").exists()
