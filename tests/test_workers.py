"""Following the logs of runs that other processes make; the runs are in test_experiment.py."""

from pathlib import Path

import pytest

from compositional import workers
from compositional.config import resolve
from compositional.errors import CompositionalError
from compositional.workers import LogFollower, Task, Workers
from tests.runs_toy import toy_settings


def test_whole_lines_are_shown_once_and_bars_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.log"
    path.write_text("of an earlier start\n")
    log = LogFollower(path)
    log.show()
    with path.open("a") as file:
        file.write("lora:  10%|#   \r         \rlora: learned\nlora:  20%|")
    log.show()
    assert capsys.readouterr().err == "lora: learned\n"
    with path.open("a") as file:
        file.write("\r      \rlora: after round 1\n\n")
    log.show()
    log.show()
    assert capsys.readouterr().err == "lora: after round 1\n"


def test_a_log_that_is_not_there_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = LogFollower(tmp_path / "run.log")
    log.show()
    (tmp_path / "run.log").write_text("a line\n")
    log.show()
    assert capsys.readouterr().err == "a line\n"


def test_a_run_that_left_no_reason_is_named_by_its_last_line(tmp_path: Path) -> None:
    task = Task(resolve(toy_settings(tmp_path, tmp_path)), ())
    task.log.parent.mkdir(parents=True)
    task.log.write_text("one\nkilled\n\n")
    assert task.outcome(9) == f"r: failed with exit code 9: killed (log: {task.log})"
    assert task.outcome(-9) == f"r: killed by SIGKILL: killed (log: {task.log})"
    assert task.outcome(0) == "r: finished"


def test_silence_on_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task(resolve(toy_settings(tmp_path, tmp_path)), ())
    task.log.parent.mkdir(parents=True)
    task.log.write_text("")
    assert ": it said nothing (log: " in task.outcome(2)
    monkeypatch.setattr(workers, "FULL_BYTES", 2**62)
    assert f"the disk that holds {task.log.parent} is full" in task.outcome(2)


def test_a_log_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("in the way")
    task = Task(resolve(toy_settings(tmp_path, tmp_path)), ())
    with pytest.raises(CompositionalError, match=r"cannot write .*r\.log: Not a directory"):
        list(Workers(1, 1).run_all([task]))
