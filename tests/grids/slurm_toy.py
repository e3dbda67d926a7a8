"""A real Slurm on this machine, started and stopped by the project's script, and its commands."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

SCRIPT = Path("scripts/slurm/single_node.sh").resolve()
NEEDED = ("slurmctld", "slurmd", "munged", "sbatch")
HAS_SLURM = all(shutil.which(name) for name in NEEDED) and os.geteuid() == 0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Run a Slurm in a folder; yield the environment that finds it."""
    if not HAS_SLURM:
        pytest.skip("Slurm is missing, or this is not root: apt-get install slurm-wlm munge")
    ports = {"SLURMCTLD_PORT": str(free_port()), "SLURMD_PORT": str(free_port())}
    command = ["bash", str(SCRIPT)]
    subprocess.run([*command, "start", str(folder)], env={**os.environ, **ports}, check=True)
    found = {"SLURM_CONF": str(folder / "slurm.conf"), "PYTHON": sys.executable}
    try:
        yield found
    finally:
        subprocess.run([*command, "stop", str(folder)], check=True)


def end_all_jobs(found: dict[str, str]) -> None:
    """Cancel what is in the queue of a Slurm and wait until it has ended."""
    environment = {**os.environ, **found}
    subprocess.run(["scancel", "--user=root"], env=environment, check=True)

    def is_empty() -> bool:
        listed = subprocess.run(
            ["squeue", "--noheader"], env=environment, capture_output=True, check=True
        )
        return not listed.stdout.strip()

    wait_until("an empty queue", is_empty)


def asked(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def wait_until(what: str, is_so: Callable[[], bool], seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"never: {what}\n{asked('squeue')}"
        time.sleep(0.05)


def fact(job: str, name: str) -> str:
    words = asked("scontrol", "show", "job", job).split()
    return next(word for word in words if word.startswith(f"{name}=")).partition("=")[2]


def restarts(job: str) -> int:
    return int(fact(job, "Restarts"))


def processes(job: str) -> list[int]:
    """The processes of a job, those of its steps too."""
    lines = asked("scontrol", "listpids", fact(job, "JobId")).splitlines()[1:]
    return [int(line.split()[0]) for line in lines]


@contextmanager
def held(job: str) -> Iterator[list[int]]:
    """Hold a job where it is, however fast the machine; yield its processes.

    A signal that is sent meanwhile is heeded when it goes on, which some versions of Slurm make it
    do with the signal.
    """
    found = processes(job)
    for process in found:
        os.kill(process, signal.SIGSTOP)
    try:
        yield found
    finally:
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


def awaits_or_heeded(process: int, number: signal.Signals) -> bool:
    """Whether a held process has been sent a signal: it stands out, or the process has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return True
    sets = [int(line.split()[1], 16) for line in lines if line.startswith(("ShdPnd", "SigPnd"))]
    return any(pending >> (number - 1) & 1 for pending in sets)


def send_signal(job: str, name: str, *options: str) -> None:
    """Send a job a signal as Slurm's `--signal` does before its limit, once.

    Some versions of scancel say that the job cannot be altered though it got the signal, and send
    it again five seconds later: it is ended before that.
    """
    command = ["timeout", "3", "scancel", f"--signal={name}", *options, job]
    subprocess.run(command, check=False)
