"""Whole grids of toy runs, by the command that a user types."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compositional.cli.main import main
from compositional.files import read_json
from tests.grids.grid_toy import RUNS, Write, statuses, writer
from tests.runs_toy import error_line, tree

# A process starts within 10 seconds where cores are slow and shared; these start many.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def write(tmp_path: Path, toy_model_folder: Path) -> Write:
    """Writes a grid file of toy runs, settings laid over the toy's."""
    return writer(tmp_path, toy_model_folder)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data folders are made where the command runs."""
    monkeypatch.chdir(tmp_path)


def test_a_grid_is_planned_run_side_by_side_and_not_run_twice(write, tmp_path, capsys) -> None:
    path = write()
    assert main(["grid", str(path), "--dry_run", "--workers", "2", "--price_per_hour", "2"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[:-1]] == ["0", "1", "2", "3"]
    assert printed[-1].startswith("4 runs, 0 finished; ")
    assert "at the price given" in printed[-1]
    assert not (tmp_path / "results").exists()
    assert main(["grid", str(path), "--workers", "2"]) == 0
    names = ["icl_order1-2", "icl_order2-1", "lora_order1-2", "lora_order2-1"]
    assert statuses(tmp_path) == dict.fromkeys(names, "finished")
    captured = capsys.readouterr()
    assert "4 runs, 0 of them finished" in captured.err
    assert "### Tool F1 across seeds" in captured.out
    assert "### Tool F1 by order of rounds" in captured.out
    assert "spread over orders" in (tmp_path / "results" / "e" / "scores.md").read_text()
    before = tree(tmp_path / "results")
    assert main(["grid", str(path)]) == 0
    assert "4 runs, 4 of them finished" in capsys.readouterr().err
    assert tree(tmp_path / "results") == before


def test_the_log_of_a_run_says_what_is_done_and_what_is_next(write, tmp_path) -> None:
    runs = {"lora": {**RUNS["lora"], "evaluation": {"next_round": False}}}
    assert main(["grid", str(write(runs, {}))]) == 0
    log = (tmp_path / "results" / "e" / ".logs" / "lora.log").read_text()
    assert "%|" not in log  # no bar
    said = [re.sub(r"\d\.\d{3}|\d+ s\b", "_", line) for line in log.splitlines()]
    assert said[-10:] == [
        "lora: next: learn tools1-2, round 1 of 2",
        "lora: learned tools1-2 in _",
        "lora: next: answer 4 examples after round 1 of 2",
        "lora: after round 1, tools1-2: tool F1 _ (4 answers in _)",
        "lora: next: learn tools3-4, round 2 of 2",
        "lora: learned tools3-4 in _",
        "lora: next: answer 8 examples after round 2 of 2",
        "lora: after round 2, tools1-2: tool F1 _ (4 answers in _)",
        "lora: after round 2, tools3-4: tool F1 _ (4 answers in _)",
        f"{tmp_path}/results/e/lora: finished",
    ]


def test_a_point_that_fails_is_named_and_the_others_stand(write, tmp_path, capsys) -> None:
    path = write()
    (tmp_path / "results" / "e" / "lora_order1-2").mkdir(parents=True)
    (tmp_path / "results" / "e" / "lora_order1-2" / "training").touch()
    assert main(["grid", str(path), "--workers", "4"]) == 2
    error = capsys.readouterr().err
    assert "lora_order1-2: failed with exit code 2: CompositionalError: cannot write" in error
    assert error.splitlines()[-1].startswith("error: 1 of 4 runs failed")
    assert statuses(tmp_path)["lora_order2-1"] == "finished"
    (tmp_path / "results" / "e" / "lora_order1-2" / "training").unlink()
    assert main(["grid", str(path)]) == 0
    assert set(statuses(tmp_path).values()) == {"finished"}


def test_a_grid_that_is_asked_to_stop_stops_its_runs_and_goes_on(write, tmp_path) -> None:
    axes = {"seeds": [1, 2]}
    path = write({"lora": {**RUNS["lora"], "data": {"training_rounds": "1-2:60,3-4:60"}}}, axes)
    command = [sys.executable, "-m", "compositional", "grid", str(path), "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 200
    while len(list(tmp_path.glob("checkpoints/e/*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    error = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 128 + signal.SIGTERM, error
    told = "stopped by SIGTERM: what was computed is saved, the same command goes on from here"
    assert error.splitlines()[-1] == told
    assert set(statuses(tmp_path).values()) == {"started"}
    assert main(["grid", str(path), "--workers", "2"]) == 0
    assert set(statuses(tmp_path).values()) == {"finished"}


def test_a_finished_run_that_lost_a_cell_is_not_taken_for_complete(write, tmp_path, capsys) -> None:
    path = write({"icl": RUNS["icl"]}, {})
    assert main(["grid", str(path), "--task", "0"]) == 0
    (tmp_path / "results" / "e" / "icl" / "scores" / "row1_tools1-2.json").unlink()
    capsys.readouterr()
    assert main(["grid", str(path)]) == 2
    assert "icl is finished, but 1 of its cells are gone, such as scores/row1_tools1-2.json" in (
        error_line(capsys)
    )


def test_the_threads_of_a_run_are_the_grids(write, tmp_path) -> None:
    assert main(["grid", str(write(axes={"threads": 2})), "--task", "1"]) == 0
    assert read_json(tmp_path / "results" / "e" / "icl" / "environment.json")["threads"] == 2


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    """Mount a file system of its own on a folder."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_fails_a_run_in_one_line_and_keeps_what_stands(write, tmp_path, capsys) -> None:
    path = write({"icl": RUNS["icl"]}, {"seeds": [1, 2]})
    assert main(["grid", str(path), "--task", "0"]) == 0
    before = tree(tmp_path / "results" / "e" / "icl_seed1")
    with mounted(tmp_path / "results" / "e" / "icl_seed2", "8k"):
        capsys.readouterr()
        assert main(["grid", str(path)]) == 2
        assert "No space left on device" in capsys.readouterr().err
    assert tree(tmp_path / "results" / "e" / "icl_seed1") == before


def test_a_read_only_disk_is_one_line_and_keeps_what_stands(write, tmp_path, capsys) -> None:
    path = write({"icl": RUNS["icl"]}, {"seeds": [1, 2]})
    with mounted(tmp_path / "results", "4m"):
        assert main(["grid", str(path), "--task", "0"]) == 0
        before = tree(tmp_path / "results")
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path / "results")], check=True)
        capsys.readouterr()
        assert main(["grid", str(path)]) == 2
        assert "Read-only file system" in error_line(capsys)
        assert tree(tmp_path / "results") == before


def test_bad_input_is_one_line_before_anything_starts(write, tmp_path, capsys) -> None:
    path = write()
    assert main(["grid", str(path), "--launcher", "slrm"]) == 2
    assert "unknown launcher 'slrm'; did you mean 'slurm'" in error_line(capsys)
    assert main(["grid", str(path), "--workers", "0"]) == 2
    assert "workers is 0; it must be 1 or more" in error_line(capsys)
    assert main(["grid", str(path), "--batch_size", "3"]) == 2
    assert "unknown flag --batch_size; did you mean --training.batch_size" in error_line(capsys)
    assert main(["run", str(path)]) == 2
    assert "unknown setting grid" in error_line(capsys)
    assert not (tmp_path / "results").exists()
