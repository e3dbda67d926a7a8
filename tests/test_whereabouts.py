"""What became of the process that made a run, as its note tells."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compositional.preemption import PreemptedError
from compositional.whereabouts import asked_queue, noting_whereabouts, whereabouts

GOES_ON = "--resume goes on with it"


@pytest.fixture(autouse=True)
def outside_slurm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No job, and no queue to ask."""
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")
    asked_queue.cache_clear()
    yield
    asked_queue.cache_clear()


def note_of(folder: Path) -> dict[str, Any]:
    note: dict[str, Any] = json.loads((folder.parent / f".{folder.name}.process.json").read_text())
    return note


def left_by(folder: Path, **changes: Any) -> None:
    """Leave the note of a process that is gone."""
    with pytest.raises(PreemptedError), noting_whereabouts(folder):
        raise PreemptedError(15)
    note = note_of(folder) | {"process": 0, "log": None} | changes
    (folder.parent / f".{folder.name}.process.json").write_text(json.dumps(note))


def with_queue(folder: Path, monkeypatch: pytest.MonkeyPatch, lines: str, code: int = 0) -> None:
    """Put a `squeue` on the path that prints some lines."""
    path = folder / "squeue"
    path.write_text(f"#!{sys.executable}\nprint('''{lines}''')\nraise SystemExit({code})\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    asked_queue.cache_clear()


def test_a_note_stands_while_a_process_runs_and_goes_with_the_end_or_a_failure(tmp_path) -> None:
    folder = tmp_path / "e" / "r"
    assert whereabouts(folder, GOES_ON) is None
    with noting_whereabouts(folder):
        host = os.uname().nodename
        assert whereabouts(folder, GOES_ON) == f"still running: process {os.getpid()} on {host}"
    assert list((tmp_path / "e").iterdir()) == []
    with pytest.raises(ZeroDivisionError), noting_whereabouts(folder):
        _ = 1 // 0
    assert list((tmp_path / "e").iterdir()) == []


def test_a_failure_leaves_the_note_that_stood_before(tmp_path) -> None:
    folder = tmp_path / "e" / "r"
    left_by(folder, host="another")
    before = note_of(folder)
    with pytest.raises(ZeroDivisionError), noting_whereabouts(folder):
        _ = 1 // 0
    assert note_of(folder) == before
    with noting_whereabouts(folder):
        assert note_of(folder) != before
    assert list((tmp_path / "e").iterdir()) == []


def test_a_process_that_was_stopped_or_killed_is_said_to_be_gone(tmp_path) -> None:
    folder = tmp_path / "e" / "r"
    left_by(folder)
    assert whereabouts(folder, GOES_ON) == f"process 0 is not running any more, {GOES_ON}"
    # A later process of the same number is another one.
    left_by(folder, process=os.getpid(), began="1")
    expected = f"process {os.getpid()} is not running any more, {GOES_ON}"
    assert whereabouts(folder, GOES_ON) == expected


def test_a_killed_process_is_told_with_the_last_line_of_its_log(tmp_path) -> None:
    program = (
        "import os, pathlib, sys\n"
        "from compositional.whereabouts import noting_whereabouts\n"
        f"with noting_whereabouts(pathlib.Path({str(tmp_path / 'r')!r})):\n"
        "    print('r: next: learn', 'bar 3%', sep='\\r', file=sys.stderr, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    log = tmp_path / "task.log"
    with log.open("w") as error:
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, stderr=error, env=environment, check=False)
    assert done.returncode == -9
    assert note_of(tmp_path / "r")["log"] == str(log.resolve())
    said = whereabouts(tmp_path / "r", GOES_ON)
    assert said is not None
    assert said.endswith(f" is not running any more, {GOES_ON}; its log ends: bar 3%")
    log.unlink()
    said = whereabouts(tmp_path / "r", GOES_ON)
    assert said is not None
    assert said.endswith(f" is not running any more, {GOES_ON}")


def test_a_job_is_looked_for_in_the_queue(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    folder = tmp_path / "r"
    log = tmp_path / "slurm-7_1.log"
    log.write_text("slurmstepd: error: *** JOB 8 CANCELLED DUE TO TIME LIMIT ***\n\n")
    left_by(folder, host="another", log=str(log))
    assert whereabouts(folder, GOES_ON) is None  # another machine, and no queue to ask
    with_queue(tmp_path, monkeypatch, "7_0 RUNNING\n7_1 PENDING")
    assert whereabouts(folder, GOES_ON) == "still in the queue: job 7_1 is pending"
    with_queue(tmp_path, monkeypatch, "7_0 RUNNING")
    assert whereabouts(folder, GOES_ON) == (
        f"job 7_1 is not running any more, {GOES_ON}; its log ends: slurmstepd: error: *** JOB 8 "
        "CANCELLED DUE TO TIME LIMIT ***"
    )
    with_queue(tmp_path, monkeypatch, "", code=1)  # it does not answer
    assert whereabouts(folder, GOES_ON) is None
