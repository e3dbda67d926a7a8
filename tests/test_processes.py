"""Several processes compute what one does: shares, sums, and whole runs under accelerate."""

import json
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from torch import nn

from compositional import main_sequential
from compositional.experiment import run_experiment
from compositional.files import read_json
from compositional.processes import Processes, processes
from tests.processes_toy import RUNS, ended, launch, write_experiment
from tests.runs_toy import assert_same_tree, toy_flags, tree


def test_shares_are_of_the_work_not_of_the_count() -> None:
    costs = [10, 1, 1, 1, 7, 2]
    shares = [Processes(2, index).share(costs) for index in range(2)]
    assert shares == [[0, 2], [1, 3, 4, 5]]  # 11 and 11
    assert Processes(3, 2).share([5, 5]) == []
    assert Processes().share(costs) == list(range(6))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_every_piece_is_taken_once_and_no_share_is_far_above_the_mean(count) -> None:
    costs = torch.randint(1, 100, (40,), generator=torch.Generator().manual_seed(count)).tolist()
    shares = [Processes(count, index).share(costs) for index in range(count)]
    assert sorted(place for share in shares for place in share) == list(range(40))
    loads = [sum(costs[place] for place in share) for share in shares]
    assert max(loads) <= 4 / 3 * max(*costs, sum(costs) / count)


def test_alone_nothing_is_added_or_asked() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    loss = torch.tensor(3.0)
    assert Processes().add_gradients([parameter], loss, 10) == (loss, 10)
    assert parameter.grad is None
    assert Processes().exchange("x") == ["x"]
    assert processes() == Processes(1, 0)


# Sums over two processes round otherwise; bytes are compared of what holds no loss.
def assert_near(found: Path, expected: Path, names: Iterable[str] = RUNS) -> None:
    for name in names:
        ours, theirs = tree(found / name), tree(expected / name)
        assert list(ours) == list(theirs)
        for file, content in theirs.items():
            if file.startswith("training/"):
                losses, wanted = json.loads(ours[file]), json.loads(content)
                assert losses.keys() == wanted.keys()
                for key, values in wanted.items():
                    assert losses[key] == pytest.approx(values, abs=1e-5), f"{name}/{file}"
            elif file != "config.yaml":
                assert ours[file] == content, f"{name}/{file}"


@pytest.mark.timeout(240)
def test_two_processes_give_the_matrix_of_one(tmp_path, toy_model_folder) -> None:
    path = write_experiment(tmp_path, toy_model_folder)
    code, out, error = ended(launch(tmp_path, "-m", "compositional", "run", str(path)))
    assert code == 0, error
    assert out.count("### Tool F1 of each method") == 1
    assert error.count("learned tools1-2") == len(RUNS)
    here = ["--output.results_dir", str(tmp_path / "here")]
    run_experiment(path, overrides=here, progress=False)
    assert_near(tmp_path / "results" / "e", tmp_path / "here" / "e")


@pytest.mark.timeout(240)
def test_an_entry_point_is_launched_as_it_is_run(tmp_path, toy_model_folder) -> None:
    flags = toy_flags(tmp_path, toy_model_folder, "--run", "rows", "--batch_size", "8")
    entry_point = "compositional.main_sequential"
    code, out, error = ended(launch(tmp_path, "-m", entry_point, *flags))
    assert code == 0, error
    assert out.count("### Tool F1 of each method") == 1
    assert error.count("rows: learned tools1-2") == 1
    assert main_sequential.main([*flags, "--results_dir", str(tmp_path / "here")]) == 0
    assert_near(tmp_path / "results" / "e", tmp_path / "here" / "e", ["rows"])


@pytest.mark.timeout(240)
def test_two_processes_that_are_stopped_go_on_as_if_they_had_not_been(
    tmp_path, toy_model_folder
) -> None:
    path = write_experiment(
        tmp_path,
        toy_model_folder,
        training={"checkpoint_seconds": 0.0},
        data={"training_rounds": "1-2:60,3-4:60"},
    )
    command = ["-m", "compositional", "run", str(path), "--run", "rows", "--resume"]
    first = launch(tmp_path, *command)
    state = tmp_path / "checkpoints" / "e" / "rows" / "training.safetensors"
    deadline = time.monotonic() + 100
    while not state.exists():
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.send_signal(signal.SIGTERM)
    code, _, error = ended(first)
    assert code != 0
    assert error.count("stopped by SIGTERM: what was computed is saved") == 2
    assert read_json(tmp_path / "results" / "e" / "rows" / "result.json")["status"] == "started"
    assert ended(launch(tmp_path, *command))[0] == 0
    whole = ["--output.results_dir", "whole", "--output.checkpoint_dir", "states"]
    assert ended(launch(tmp_path, *command, *whole))[0] == 0
    assert_same_tree(tmp_path / "results" / "e" / "rows", tmp_path / "whole" / "e" / "rows")


@pytest.mark.timeout(240)
def test_what_is_wrong_ends_all_processes(tmp_path, toy_model_folder) -> None:
    path = write_experiment(tmp_path, toy_model_folder, training={"batch_size": 0})
    code, _, error = ended(launch(tmp_path, "-m", "compositional", "run", str(path)))
    assert code != 0
    assert "error: training.batch_size is 0" in error
    assert not (tmp_path / "results").exists()
