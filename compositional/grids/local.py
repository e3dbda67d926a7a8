"""Runs of a grid on this machine, some side by side: a process each, a log each."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from compositional.grids.expand import GridRun
from compositional.grids.tasks import reason_of_failure
from compositional.preemption import noting_signals

LOGS = ".logs"
POLL_SECONDS = 0.5


class Workers:
    """Processes that run points of a grid.

    Args:
        command: What runs one point once its number is added.
        threads: Threads of each process.
        max_workers: Processes side by side.
    """

    def __init__(self, command: Sequence[str], threads: int, max_workers: int) -> None:
        self.command = command
        self.max_workers = max_workers
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run_all(self, runs: Sequence[GridRun]) -> Iterator[tuple[GridRun, int]]:
        """Yield each run with its process's exit code, as they end.

        Where this process is asked to stop, the others are asked too, and what they have computed
        is kept.

        Raises:
            PreemptedError: If a signal asked this process to stop.
        """
        with (
            noting_signals() as stop,
            ThreadPoolExecutor(self.max_workers) as pool,
            self._ending_all(),
        ):
            waiting = {pool.submit(self._run, grid_run): grid_run for grid_run in runs}
            while waiting:
                ended, _ = wait(waiting, POLL_SECONDS, FIRST_COMPLETED)
                stop.check()
                for future in ended:
                    yield waiting.pop(future), future.result()

    def _run(self, grid_run: GridRun) -> int:
        """Run one point to its end; its output goes to a file."""
        log = log_of(grid_run)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            with self._lock:
                if self._stopped:
                    return 128 + signal.SIGTERM
                process = subprocess.Popen(
                    [*self.command, str(grid_run.index)],
                    stdout=output,
                    stderr=output,
                    env=self.environment,
                )
                self._processes.add(process)
            try:
                return process.wait()
            finally:
                self._processes.discard(process)

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


def task_command(grid_file: Path, flags: Sequence[str]) -> list[str]:
    """Return the command that runs a point of a grid once its number is added."""
    return [sys.executable, "-m", "compositional", "grid", str(grid_file), *flags, "--task"]


def log_of(grid_run: GridRun) -> Path:
    """Return the file that takes a run's output."""
    folder = grid_run.config.results_folder
    return folder.parent / LOGS / f"{folder.name}.log"


def outcome(grid_run: GridRun, code: int) -> str:
    """Say in a line how a run ended."""
    if code == 0:
        return f"{grid_run.config.run}: finished"
    reason = reason_of_failure(grid_run) or _last_line(log_of(grid_run))
    return f"{grid_run.config.run}: failed with exit code {code}: {reason}"


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip()), f"see {log}")
