"""Where a run is being made: noted beside its results, for a report on runs without a result.

A process that is killed, or that a time limit ends, cannot say so. The note stands from the start
of a run to its end or failure; one that stands though its process is gone tells of such an end.
"""

import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from compositional.errors import CompositionalError
from compositional.files import read_json, write_json
from compositional.slurm_jobs import queue, this_job

STANDARD_ERROR = Path("/proc/self/fd/2")
LAST_BYTES = 2**13


@contextmanager
def noting_whereabouts(folder: Path) -> Iterator[None]:
    """Note which process and job make a run while the block runs.

    The note goes where the block ends, and where it fails is what it was before. It stays where the
    process is stopped or killed.

    Args:
        folder: The run's, `results/<experiment>/<run>`, which need not exist.

    Raises:
        CompositionalError: If it cannot be written.
    """
    log = STANDARD_ERROR.resolve()
    note = {
        "host": platform.node(),
        "process": os.getpid(),
        "began": _began(os.getpid()),
        "job": this_job(),
        "log": str(log) if log.is_file() else None,
    }
    path = _path(folder)
    before = read_json(path) if path.exists() else None
    write_json(path, note)
    try:
        yield
    except Exception:
        if before is None:
            path.unlink(missing_ok=True)
        else:
            write_json(path, before)
        raise
    path.unlink(missing_ok=True)


def whereabouts(folder: Path, goes_on: str) -> str | None:
    """Say in a line what became of the process that makes a run; None where nothing tells.

    Args:
        folder: The run's, `results/<experiment>/<run>`, which need not exist.
        goes_on: What goes on with the run where the process is gone.
    """
    path = _path(folder)
    if not path.exists():
        return None
    note: dict[str, Any] = read_json(path)
    host, process, job = note["host"], note["process"], note["job"]
    is_known = host == platform.node() and note["began"] is not None
    if is_known and _began(process) == note["began"]:
        return f"still running: process {process} on {host}"
    tasks = None if job is None else asked_queue()
    if tasks is not None and job in tasks:
        return f"still in the queue: job {job} is {tasks[job]}"
    if tasks is None and not is_known:
        return None
    name = f"process {process}" if tasks is None else f"job {job}"
    return f"{name} is not running any more, {goes_on}{_last_words(note['log'])}"


def _path(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.process.json")


def _began(process: int) -> str | None:
    """Return when a process began, in the system's ticks; None where it is gone or no system tells.

    It tells a process from a later one of the same number (Linux, proc_pid_stat(5), field 22).
    """
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *rest = text.rpartition(")")[2].split()  # a name in brackets may hold blanks
    return None if state == "Z" else rest[18]


@lru_cache(maxsize=1)
def asked_queue() -> dict[str, str] | None:
    """Return the tasks in Slurm's queue, asked once for all runs; None where no Slurm answers."""
    if shutil.which("squeue") is None:
        return None
    try:
        return queue()
    except CompositionalError:
        return None


def _last_words(log: str | None) -> str:
    """Return what a log ends with, for the end of a sentence; empty where there is nothing."""
    if log is None or not Path(log).is_file():
        return ""
    with Path(log).open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - LAST_BYTES))
        lines = file.read().decode(errors="replace").replace("\r", "\n").splitlines()
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"; its log ends: {last}" if last else ""
