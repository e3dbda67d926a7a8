"""Runs on this machine, some side by side: a process each, a log each."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from compositional.config import RunConfig
from compositional.errors import CompositionalError
from compositional.launched import MAX_REQUEUES
from compositional.preemption import noting_signals
from compositional.results import RunFolder

LOGS = ".logs"
POLL_SECONDS = 0.5
FULL_BYTES = 2**16


@dataclass(frozen=True)
class Task:
    """A run that a process of its own makes.

    Attributes:
        config: The run.
        arguments: What the console command is called with.
    """

    config: RunConfig
    arguments: tuple[str, ...]

    @property
    def log(self) -> Path:
        """The file that takes the process's output."""
        folder = self.config.results_folder
        return folder.parent / LOGS / f"{folder.name}.log"

    def outcome(self, code: int) -> str:
        """Say in a line how the run ended.

        Args:
            code: The process's exit code; below 0 the signal's that killed it.
        """
        if code == 0:
            return f"{self.config.run}: finished"
        how = (
            f"failed with exit code {code}"
            if code > 0
            else f"killed by {signal.Signals(-code).name}"
        )
        reason = _reason(self.config) or _last_line(self.log) or _silence(self.log.parent)
        return f"{self.config.run}: {how}: {reason} (log: {self.log})"


class Workers:
    """Processes that make runs.

    Args:
        threads: Threads of each process.
        max_workers: Processes side by side.
        follows: Whether the lines of their logs are shown as they come.
    """

    def __init__(self, threads: int, max_workers: int, *, follows: bool = False) -> None:
        self.max_workers = max_workers
        self.follows = follows
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self.environment.pop(MAX_REQUEUES, None)  # this process asks, not each run
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run_all(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, int]]:
        """Yield each task with its process's exit code, as they end.

        Where this process is asked to stop, the others are asked too, and what they have computed
        is kept.

        Raises:
            PreemptedError: If a signal asked this process to stop.
        """
        logs = [LogFollower(task.log) for task in tasks] if self.follows else []
        with (
            noting_signals() as stop,
            ThreadPoolExecutor(self.max_workers) as pool,
            self._ending_all(),
        ):
            waiting = {pool.submit(self._run, task): task for task in tasks}
            while waiting:
                ended, _ = wait(waiting, POLL_SECONDS, FIRST_COMPLETED)
                stop.check()
                for log in logs:
                    log.show()
                for future in ended:
                    yield waiting.pop(future), future.result()

    def _run(self, task: Task) -> int:
        """Make one run to its end; its output goes to a file."""
        with self._open_log(task.log) as output:
            with self._lock:
                if self._stopped:
                    return 128 + signal.SIGTERM
                process = subprocess.Popen(
                    [sys.executable, "-m", "compositional", *task.arguments],
                    stdout=output,
                    stderr=output,
                    env=self.environment,
                )
                self._processes.add(process)
            try:
                return process.wait()
            finally:
                self._processes.discard(process)

    def _open_log(self, path: Path) -> BinaryIO:
        """Open the file that takes a process's output.

        Raises:
            CompositionalError: If it cannot be written, for example on a full disk.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("ab")
        except OSError as error:
            raise CompositionalError(f"cannot write {path}: {error.strerror or error}") from error

    @contextmanager
    def _ending_all(self) -> Iterator[None]:
        """End what still runs when the block is left before its time."""
        try:
            yield
        finally:
            with self._lock:
                self._stopped = True
                for process in list(self._processes):
                    process.terminate()


class LogFollower:
    """Shows what is added to a file, line by line and without progress bars.

    Args:
        path: The file, which need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._place = path.stat().st_size if path.exists() else 0

    def show(self) -> None:
        """Print the lines that were completed since the last call on standard error."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._place)
            added = file.read()
        complete, newline, _ = added.rpartition(b"\n")
        self._place += len(complete) + len(newline)
        for line in complete.decode(errors="replace").split("\n"):
            text = line.rpartition("\r")[2].strip()  # a bar is drawn over by what follows it
            if text:
                print(text, file=sys.stderr, flush=True)


def _reason(config: RunConfig) -> str | None:
    """Return why a run failed, or None where it did not say."""
    folder = RunFolder(config.results_folder)
    if folder.status() is None:
        return None
    reason: str | None = folder.result().get("reason")
    return reason


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip()), "")


def _silence(folder: Path) -> str:
    """Return why a process left no line: its log is empty where its disk is full."""
    if shutil.disk_usage(folder).free < FULL_BYTES:
        return f"the disk that holds {folder} is full: free some space, then run this again"
    return "it said nothing"
