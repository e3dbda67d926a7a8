"""Slurm: a grid as a job array, and asking to be requeued. Slurm's own commands do the work."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from compositional.grids.expand import GridRun
from compositional.slurm_jobs import SlurmError, ask, this_job

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "slurm" / "array.sbatch"
DEFAULT_MAX_REQUEUES = 50


def submit_array(
    grid_file: Path,
    runs: Sequence[GridRun],
    flags: Sequence[str],
    *,
    threads: int,
    at_once: int | None = None,
    options: Sequence[str] = (),
) -> str:
    """Submit runs of a grid as one job array.

    Args:
        grid_file: The grid.
        runs: The runs to submit, one or more.
        flags: Flags that every task is given.
        threads: Processor cores of each task.
        at_once: Tasks side by side at the most; None for as many as Slurm gives.
        options: Further options of sbatch, for example `--partition=gpu`.

    Returns:
        The array's job id.

    Raises:
        SlurmError: If there is no sbatch, or it refuses the job.
    """
    indices = ",".join(str(grid_run.index) for grid_run in runs)
    array = f"--array={indices}" + (f"%{at_once}" if at_once else "")
    command = ["sbatch", "--parsable", array, f"--cpus-per-task={threads}", *options]
    os.environ.setdefault("PYTHON", sys.executable)  # sbatch hands the environment on
    return ask([*command, str(SCRIPT), str(grid_file), *flags]).split(";")[0]


def requeue_this_job(max_requeues: int) -> bool:
    """Ask Slurm to requeue the job that this process is, where it is one and still wanted.

    A job that Slurm has begun to end, since it was requeued or cancelled by someone, is left to
    that: a cancelled one would come back.

    Args:
        max_requeues: How often a job may be requeued.

    Returns:
        Whether it was asked.

    Raises:
        SlurmError: If the job was requeued that often already, or Slurm refuses.
    """
    job = this_job()
    if job is None:
        return False
    words = ask(["scontrol", "show", "job", job]).split()
    if "JobState=RUNNING" not in words:
        return False
    times = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
    if times >= max_requeues:
        raise SlurmError(
            f"job {job} was requeued {times} times, the limit that was set: its state is "
            "kept, submit it again to go on"
        )
    ask(["scontrol", "requeue", job])
    return True
