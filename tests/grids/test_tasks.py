"""One point of a grid by its number, and what a report says of one that did not end well."""

import subprocess
import sys
import time

import pytest

from compositional.cli.main import main
from tests.grids.grid_toy import RUNS, Write, statuses, writer
from tests.runs_toy import error_line


@pytest.fixture
def write(tmp_path, toy_model_folder, monkeypatch) -> Write:
    """Writes a grid file; data folders are made where the command runs."""
    monkeypatch.chdir(tmp_path)
    return writer(tmp_path, toy_model_folder)


def test_one_point_runs_by_its_number(write, tmp_path, capsys) -> None:
    path = write()
    assert main(["grid", str(path), "--task", "3"]) == 0
    assert statuses(tmp_path) == {"icl_order2-1": "finished"}
    assert main(["grid", str(path), "--task", "3"]) == 0
    capsys.readouterr()
    assert main(["grid", str(path), "--task", "4"]) == 2
    assert "the grid has no run 4; its runs go from 0 to 3" in error_line(capsys)


def test_a_report_names_the_points_that_were_never_started(write, tmp_path, capsys) -> None:
    path = write()
    assert main(["grid", str(path), "--task", "3"]) == 0
    capsys.readouterr()
    assert main(["report", str(tmp_path / "results" / "e")]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "no result |" in line]
    assert [(row[1], row[3]) for row in rows] == [
        ("lora_order1-2", "lora"),
        ("lora_order2-1", "lora"),
        ("icl_order1-2", "icl"),
    ]
    page = (tmp_path / "results" / "e" / "report.html").read_text(encoding="utf-8")
    assert "1 of 1 that were started, 3 of the grid have no result" in page
    assert "a point of the grid, not started" in page


def test_a_report_says_of_a_task_that_was_killed_that_it_does_not_run(
    write, tmp_path, capsys
) -> None:
    long = {**RUNS["lora"], "data": {"training_rounds": "1-2:900,3-4"}}
    path = write({"lora": long, "icl": RUNS["icl"]}, {})
    assert main(["grid", str(path), "--task", "1"]) == 0
    log = tmp_path / "task.log"
    with log.open("w") as output:
        command = [sys.executable, "-m", "compositional", "grid", str(path), "--task", "0"]
        process = subprocess.Popen(command, stderr=output)
        deadline = time.monotonic() + 90
        while "next: learn" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert main(["report", str(tmp_path / "results" / "e")]) == 0
        assert f"still running: process {process.pid} on " in capsys.readouterr().out
        process.kill()
        process.wait()
    assert main(["report", str(tmp_path / "results" / "e")]) == 0
    assert (
        f"process {process.pid} is not running any more, the same command goes on with it; its log "
        "ends: lora: next: learn tools1-2, round 1 of 2"
    ) in capsys.readouterr().out


def test_a_task_that_cannot_begin_is_reported_as_failed_with_its_reason(
    write, tmp_path, capsys
) -> None:
    runs = {"icl": RUNS["icl"], "lora": {**RUNS["lora"], "model": {"device": "cuda:9"}}}
    path = write(runs, {})
    assert main(["grid", str(path), "--task", "0"]) == 0
    assert main(["grid", str(path), "--task", "1"]) == 2
    assert statuses(tmp_path) == {"icl": "finished", "lora": "failed"}
    capsys.readouterr()
    assert main(["report", str(tmp_path / "results" / "e")]) == 0
    assert "ModelError: device 'cuda:9' is not here" in capsys.readouterr().out
    assert main(["grid", str(path), "--task", "1", "--model.device", "cpu"]) == 0
    assert statuses(tmp_path) == {"icl": "finished", "lora": "finished"}


def test_the_line_of_a_task_that_is_stopped_says_what_goes_on(
    write, tmp_path, capsys, monkeypatch
) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    path = write({"lora": RUNS["lora"]}, {})
    command = [sys.executable, "-m", "compositional", "grid", str(path), "--task", "0"]
    long = ["--data.training_rounds", "1-2:900,3-4"]
    with (tmp_path / "task.log").open("w") as output:
        process = subprocess.Popen([*command, *long], stderr=output)
        deadline = time.monotonic() + 90
        log = tmp_path / "task.log"
        while "next: learn" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.terminate()
        assert process.wait() == 128 + 15
    assert log.read_text().splitlines()[-2:] == [
        "stopped by SIGTERM: what was computed is saved",
        "the same command goes on from here",
    ]
