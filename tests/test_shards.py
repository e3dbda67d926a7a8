"""A backbone in shards: the files of one process, each with a part of the weights."""

import json
import signal
import time
from pathlib import Path

import pytest

from compositional.cli.main import main
from compositional.errors import ConfigError
from compositional.experiment import run_experiment
from compositional.models.language_model import LanguageModel
from compositional.models.loading import LoadedModel, load_model
from compositional.models.model_config import ModelConfig
from compositional.processes import Processes
from compositional.shards import check_shards
from tests.processes_toy import ended, launch, write_experiment
from tests.runs_toy import assert_same_tree, error_line

# What both sides of a comparison have: weights in shards are never packed.
PLAIN = ("--model.packed_weights", "false")
COMMAND = ("-m", "compositional", "run", "e.yaml", "--resume", *PLAIN)
SHARDS = ("--model.shards", "2")
ADAPTER = {"rank": 2, "dropout": 0.1}
RUNS = {
    "lora": {"method": {"name": "lora", "adapter": ADAPTER, "use_replay_buffer": True}},
    "rows": {"method": {"name": "memory_tokens", "adapter": ADAPTER}},
}
HELD = """
import os
import sys
from pathlib import Path
from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from compositional.processes import join

join("cpu", 2)
model = load_model(ModelConfig(name=sys.argv[1], device="cpu", shards=2)).model
blocks = list(model.model.layers.parameters())
held, whole = sum(p.to_local().numel() for p in blocks), sum(p.numel() for p in blocks)
Path(f"held{os.environ['RANK']}").write_text(f"{held} {whole}")
"""


def test_a_group_has_one_share() -> None:
    costs = [10, 1, 1, 1, 7, 2]
    shares = [Processes(4, index, 2).share(costs) for index in range(4)]
    assert shares == [[0, 2], [0, 2], [1, 3, 4, 5], [1, 3, 4, 5]]


def test_processes_must_be_a_multiple_of_the_shards() -> None:
    check_shards(2, 4)
    with pytest.raises(ConfigError, match=r"model.shards is 3, but processes are 4: start a multi"):
        check_shards(3, 4)


def test_one_process_holds_no_shards(toy_model_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"model.shards is 2, but processes are 1"):
        load_model(ModelConfig(name=str(toy_model_folder), device="cpu", shards=2))


def test_nothing_is_merged_into_shards(toy: LoadedModel) -> None:
    model = LanguageModel(toy)
    model.check_can_merge()
    model.is_sharded = True
    with pytest.raises(ConfigError, match=r"cannot be merged into a backbone in shards: set model"):
        model.check_can_merge()


@pytest.mark.parametrize("verb", [("run", "--dry_run"), ("grid", "--dry_run"), ("grid",)])
def test_plans_and_grids_take_the_backbone_whole(verb, tmp_path, toy_model_folder, capsys) -> None:
    path = write_experiment(tmp_path, toy_model_folder, RUNS)
    if verb[0] == "grid":
        settings = json.loads(path.read_text())
        del settings["seed"]
        path.write_text(json.dumps({**settings, "grid": {"seeds": [1]}}))
    name, *flags = verb
    assert main([name, str(path), *flags, *SHARDS]) == 2
    assert "takes one process: set model.shards 1" in error_line(capsys)
    assert not (tmp_path / "results").exists()


@pytest.mark.timeout(300)
def test_each_process_holds_a_half(tmp_path, toy_model_folder) -> None:
    script = tmp_path / "held.py"
    script.write_text(HELD)
    code, _, error = ended(launch(tmp_path, str(script), str(toy_model_folder)))
    assert code == 0, error
    for rank in range(2):
        held, whole = (tmp_path / f"held{rank}").read_text().split()
        assert 2 * int(held) == int(whole)


@pytest.mark.timeout(300)
def test_two_shards_write_the_files_of_one_process(tmp_path, toy_model_folder) -> None:
    path = write_experiment(tmp_path, toy_model_folder, RUNS)
    code, _, error = ended(launch(tmp_path, *COMMAND, *SHARDS))
    assert code == 0, error
    here = ["--output.results_dir", str(tmp_path / "here")]
    run_experiment(path, overrides=[*PLAIN, *here], progress=False)
    for name in RUNS:
        assert_same_tree(tmp_path / "results" / "e" / name, tmp_path / "here" / "e" / name)


@pytest.mark.timeout(300)
def test_two_groups_of_two_shards_write_the_files_of_two_processes(
    tmp_path, toy_model_folder
) -> None:
    write_experiment(tmp_path, toy_model_folder, RUNS)
    code, _, error = ended(launch(tmp_path, *COMMAND, *SHARDS, count=4))
    assert code == 0, error
    here = ("--output.results_dir", "here", "--output.checkpoint_dir", "states")
    code, _, error = ended(launch(tmp_path, *COMMAND, *here))
    assert code == 0, error
    for name in RUNS:
        assert_same_tree(tmp_path / "results" / "e" / name, tmp_path / "here" / "e" / name)


@pytest.mark.timeout(300)
def test_shards_that_are_stopped_go_on_as_if_they_had_not_been(tmp_path, toy_model_folder) -> None:
    path = write_experiment(
        tmp_path,
        toy_model_folder,
        RUNS,
        training={"checkpoint_seconds": 0.0},
        data={"training_rounds": "1-2:30,3-4:30"},
    )
    first = launch(tmp_path, *COMMAND, *SHARDS)
    state = tmp_path / "checkpoints" / "e" / "lora" / "training.safetensors"
    deadline = time.monotonic() + 100
    while not state.exists():
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.send_signal(signal.SIGTERM)
    code, _, error = ended(first)
    assert code != 0
    assert error.count("stopped by SIGTERM: what was computed is saved") == 2
    code, _, error = ended(launch(tmp_path, *COMMAND, *SHARDS))
    assert code == 0, error
    here = ["--output.results_dir", str(tmp_path / "here")]
    run_experiment(path, overrides=[*PLAIN, *here], progress=False)
    for name in RUNS:
        assert_same_tree(tmp_path / "results" / "e" / name, tmp_path / "here" / "e" / name)
