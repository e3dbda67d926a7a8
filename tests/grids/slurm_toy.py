"""A real Slurm on this machine, started and stopped by the project's script, and its commands."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        # What a test that failed left behind: without its Slurm it would run on.
        subprocess.run(["scancel", "--user=root"], env={**os.environ, **found}, check=True)
        subprocess.run([*command, "stop", str(folder)], check=True)


def asked(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def wait_until(what: str, is_so: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"never: {what}\n{asked('squeue')}"
        time.sleep(0.05)


def fact(job: str, name: str) -> str:
    words = asked("scontrol", "show", "job", job).split()
    return next(word for word in words if word.startswith(f"{name}=")).partition("=")[2]


def restarts(job: str) -> int:
    return int(fact(job, "Restarts"))


def send_signal(job: str, name: str, *options: str) -> None:
    """Send a job a signal as Slurm's `--signal` does before its limit, once.

    Some versions of scancel say that the job cannot be altered though it got the signal, and send
    it again five seconds later: it is ended before that.
    """
    command = ["timeout", "3", "scancel", f"--signal={name}", *options, job]
    subprocess.run(command, check=False)
