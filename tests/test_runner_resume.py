"""What goes on with a run that was started, and what does not."""

import json
import logging
import multiprocessing
import os
import resource
import shutil
import signal
from pathlib import Path

import pytest
import torch
import yaml

from compositional.config import RunConfig
from compositional.errors import CompositionalError
from compositional.files import read_json
from compositional.logs import LOGGER
from tests.runner_toy import (
    LORA,
    ROWS,
    Make,
    assert_same_run,
    everything,
    go,
    maker,
    refused,
    started,
)
from tests.runs_toy import interrupt_at, tree
from tests.tasks.toy_rows import source_file
from tests.toy import toy_model


@pytest.fixture
def make(tmp_path: Path, toy_model_folder: Path) -> Make:
    """Makes a config of a toy run, its settings laid over the toy's."""
    return maker(tmp_path, toy_model_folder)


def test_a_started_run_is_resumed_only_where_asked(make: Make, tmp_path: Path) -> None:
    whole = tree(go(make(method=LORA, run="whole")))
    with interrupt_at("after round 1, tools1-2"):
        go(make(method=LORA))
    result = read_json(tmp_path / "results" / "e" / "r" / "result.json")
    assert result["status"] == "started"
    before = everything(tmp_path)
    message = refused(make(method=LORA))
    assert "holds a run that is not finished (started): --resume goes on with it" in message
    assert everything(tmp_path) == before
    found = tree(go(make(method=LORA), resume=True))
    assert_same_run(found, whole)


def test_a_failed_run_says_why_and_is_resumed(make: Make, tmp_path: Path) -> None:
    whole = tree(go(make(method=LORA, run="whole")))
    folder = tmp_path / "results" / "e" / "r"
    folder.mkdir()
    (folder / "training").touch()  # in the way of the first lesson's losses
    assert "cannot write" in refused(make(method=LORA))
    result = read_json(folder / "result.json")
    assert result["status"] == "failed"
    assert result["reason"].startswith("CompositionalError: cannot write")
    assert "not finished (failed): --resume" in refused(make(method=LORA))
    (folder / "training").unlink()
    with interrupt_at("learned tools3-4"):
        go(make(method=LORA), resume=True)
    result = read_json(folder / "result.json")
    assert result["status"] == "started"
    assert "reason" not in result
    assert_same_run(tree(go(make(method=LORA), resume=True)), whole)


def test_another_config_cannot_resume(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    before = everything(tmp_path)
    changed = {"method": {**LORA, "lr": 0.125}, "training": {"batch_size": 2}}
    message = refused(make(**changed), resume=True)
    assert "started run of another config" in message
    assert "method.lr 0.0005, now 0.125; training.batch_size 4, now 2" in message
    assert "method.name 'lora', now 'memory_tokens'" in refused(make(method=ROWS), resume=True)
    assert everything(tmp_path) == before


def test_cosmetic_settings_may_change_and_are_written(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    kept = make(
        method=LORA, output={"save_checkpoints": True}, training={"checkpoint_seconds": 5.0}
    )
    folder = go(kept, resume=True)
    assert (tmp_path / "checkpoints" / "e" / "r" / "lesson_2.safetensors").exists()
    written = yaml.safe_load((folder / "config.yaml").read_text())
    assert written["output"]["save_checkpoints"] is True
    assert written["training"]["checkpoint_seconds"] == 5


def test_another_model_cannot_resume(make: Make, tmp_path: Path) -> None:
    other = toy_model(tmp_path / "model", seed=1)
    moved = tmp_path / "place" / "model"
    shutil.copytree(make().model.name, moved)
    started(make, method=LORA, model={"name": str(moved)})
    before = everything(tmp_path)
    message = refused(make(method=LORA, model={"name": str(other)}), resume=True)
    assert "was started with another model" in message
    assert everything(tmp_path) == before
    again = tmp_path / "again" / "model"
    shutil.move(moved, again)
    go(make(method=LORA, model={"name": str(again)}), resume=True)


def test_other_data_cannot_resume(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    (tmp_path / "other").mkdir()
    source = source_file(tmp_path / "other", (15, 16, 17, 18, 19))
    data = {"source": str(source), "data_dir": str(tmp_path / "other" / "data")}
    before = everything(tmp_path / "results")
    message = refused(make(method=LORA, data=data), resume=True)
    assert "was started with another data" in message
    assert everything(tmp_path / "results") == before


def test_another_type_of_numbers_cannot_resume(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    path = tmp_path / "results" / "e" / "r" / "result.json"
    result = read_json(path)
    result["identity"]["device"] = "cuda bfloat16"  # as a GPU would have written with `auto`
    path.write_text(json.dumps(result))
    message = refused(make(method=LORA), resume=True)
    assert "another device (cuda bfloat16, now cpu float32)" in message


def test_states_of_another_run_cannot_be_taken(make: Make, tmp_path: Path) -> None:
    states = tmp_path / "checkpoints" / "e"
    started(make, method=LORA)
    started(make, method={**LORA, "lr": 0.125}, run="other")
    shutil.rmtree(states / "r")
    shutil.copytree(states / "other", states / "r")
    before = everything(tmp_path)
    message = refused(make(method=LORA), resume=True)
    assert "is a state of a run with another config" in message
    assert everything(tmp_path) == before


def test_a_damaged_state_changes_nothing(make: Make, tmp_path: Path) -> None:
    whole = tree(go(make(method=LORA, run="whole")))
    started(make, method=LORA)
    path = tmp_path / "checkpoints" / "e" / "r" / "lesson_1.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    before = everything(tmp_path)
    assert f"{path}: not a saved state" in refused(make(method=LORA), resume=True)
    assert everything(tmp_path) == before
    path.unlink()
    assert_same_run(tree(go(make(method=LORA), resume=True)), whole)


class CountThreads(logging.Filter):
    """Notes the number of threads wherever something is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: set[int] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        self.counted.add(torch.get_num_threads())
        return True


def test_a_resumed_run_keeps_its_number_of_threads(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    recorded = torch.get_num_threads()
    noted = CountThreads()
    LOGGER.addFilter(noted)
    LOGGER.setLevel(logging.INFO)
    torch.set_num_threads(recorded + 1)
    try:
        folder = go(make(method=LORA), resume=True)
        assert torch.get_num_threads() == recorded + 1
    finally:
        LOGGER.removeFilter(noted)
        torch.set_num_threads(recorded)
    assert noted.counted == {recorded}
    assert read_json(folder / "environment.json")["threads"] == recorded


def test_what_a_killed_process_left_half_written_is_removed(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    left = tmp_path / "results" / "e" / "r" / "scores" / ".row1_tools1-2.json.77.tmp"
    left.write_text("half")
    go(make(method=LORA), resume=True)
    assert not left.exists()


def run_on_a_full_disk(config: RunConfig, free_bytes: int) -> None:
    """Run where no file can grow beyond a size, as a full disk would have it."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free_bytes, free_bytes))
    try:
        go(config)
    except CompositionalError as error:
        os._exit(3 if "cannot write" in str(error) else 4)
    os._exit(0)


def test_a_full_disk_fails_the_run_which_can_be_resumed(make: Make, tmp_path: Path) -> None:
    whole = tree(go(make(method=LORA, run="whole")))
    process = multiprocessing.get_context("fork").Process(
        target=run_on_a_full_disk, args=(make(method=LORA), 8000)
    )
    process.start()
    process.join(timeout=60)
    assert process.exitcode == 3
    folder = tmp_path / "results" / "e" / "r"
    result = read_json(folder / "result.json")
    assert result["status"] == "failed"
    assert "File too large" in result["reason"]
    assert not list(tmp_path.rglob(".*.tmp"))
    assert_same_run(tree(go(make(method=LORA), resume=True)), whole)


def test_data_that_changed_since_cannot_resume(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    path = tmp_path / "data" / "test" / "function_calling_test_tools3-4_2calls.json"
    path.write_text(path.read_text() + "\n")
    before = everything(tmp_path)
    assert f"{path} was changed" in refused(make(method=LORA), resume=True)
    assert everything(tmp_path) == before
    path.unlink()
    assert f"{path} is missing" in refused(make(method=LORA), resume=True)
