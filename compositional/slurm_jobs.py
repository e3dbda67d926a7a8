"""Slurm's own commands: which job this process is, and which tasks are in the queue."""

import os
import shutil
import subprocess
from collections.abc import Sequence

from compositional.errors import CompositionalError, ConfigError


class SlurmError(CompositionalError):
    """Slurm is not there, or refuses what it was asked."""


def this_job() -> str | None:
    """Return the id of the job that this process is; in an array the task's, not the array's."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def queue() -> dict[str, str]:
    """Return the state of each task in the queue by its name, such as `pending` by `7_0`.

    Raises:
        ConfigError: If there is no Slurm to ask.
        SlurmError: If it does not answer.
    """
    lines = ask(["squeue", "--noheader", "--array", "--format=%i %T"]).splitlines()
    return {name: state.lower() for name, state in (line.split(maxsplit=1) for line in lines)}


def check_command(name: str, instead: str = "run on a node of a Slurm cluster") -> None:
    """Refuse to go on without one of Slurm's commands.

    Args:
        name: The command.
        instead: What to do where there is none.

    Raises:
        ConfigError: If there is no such command here.
    """
    if shutil.which(name) is None:
        raise ConfigError(f"there is no {name} here: {instead}")


def ask(command: Sequence[str]) -> str:
    """Run one of Slurm's commands; return what it prints.

    Raises:
        ConfigError: If there is no such command here.
        SlurmError: If it fails, with what it says.
    """
    check_command(command[0])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise SlurmError(f"{command[0]} refuses ({done.returncode}): {said}")
    return done.stdout.strip()
