"""A grid through submitit: the same runs as jobs of its executors, requeued by their checkpoint."""

import math
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compositional.errors import ConfigError
from compositional.grids.expand import expand
from compositional.grids.spec import read_grid
from compositional.grids.tasks import run_task
from compositional.preemption import PreemptedError, heeding_only
from compositional.slurm_jobs import SlurmError

if TYPE_CHECKING:
    from compositional.grids.command import GridCommand

FOLDER = ".submitit"
DEFAULT_MINUTES = 24 * 60
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<rest>\d+(?::\d+){0,2})")


@dataclass(frozen=True)
class GridTask:
    """One point of a grid as submitit calls it.

    Attributes:
        file: The grid.
        experiment: A folder of results in place of the file's.
        flags: Settings laid over every run.
    """

    file: Path
    experiment: str | None
    flags: tuple[str, ...]

    def __call__(self, index: int) -> str:
        """Run the point; return its folder.

        submitit's signal is first the run's: it saves and stops. Then submitit gets it, to requeue.
        TERM stays with submitit, which passes over it: Slurm sends it before it kills.
        """
        import submitit

        spec = read_grid(self.file, self.experiment)
        own = signal.Signals[f"SIG{submitit.JobEnvironment.USR_SIG}"]
        try:
            with heeding_only(own):
                return str(run_task(expand(spec, self.flags), index, spec.threads).folder)
        except PreemptedError as stopped:
            print(f"{stopped}: what was computed is saved", file=sys.stderr, flush=True)
            signal.raise_signal(stopped.number)
            raise

    def checkpoint(self, index: int) -> Any:
        """Return the same call: its state stands in the run's own folder."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, index)


def submit_grid(
    command: "GridCommand", indices: Sequence[int], threads: int, cluster: str = "slurm"
) -> list[Any]:
    """Submit points of a grid; return submitit's jobs.

    Args:
        command: The grid.
        indices: Numbers of the points.
        threads: Processor cores of each.
        cluster: submitit's name of an executor.

    Raises:
        ConfigError: If `--time` is no time of Slurm's.
        SlurmError: If Slurm refuses the jobs.
    """
    import submitit
    from submitit.core.utils import FailedJobError

    spec = read_grid(command.file, command.experiment)
    folder = expand(spec, command.flags)[0].config.results_folder.with_name(FOLDER)
    executor = submitit.AutoExecutor(
        folder=folder, cluster=cluster, slurm_max_num_timeout=command.max_requeues
    )
    options = _options(command.sbatch)
    limit = options.pop("time", None)
    executor.update_parameters(
        timeout_min=DEFAULT_MINUTES if limit is None else minutes_of(str(limit)),
        cpus_per_task=threads,
        slurm_array_parallelism=command.workers,
        slurm_additional_parameters=options,
    )
    task = GridTask(command.file.resolve(), command.experiment, command.flags)
    try:
        return list(executor.map_array(task, list(indices)))
    except FailedJobError as error:
        raise SlurmError(f"submitit cannot submit: {' '.join(str(error).split())}") from error


def _options(words: Sequence[str]) -> dict[str, Any]:
    """Turn `--time=02:00:00` into what submitit takes."""
    pairs = [word.removeprefix("--").partition("=") for word in words]
    return {name.replace("-", "_"): value if equals else True for name, equals, value in pairs}


def minutes_of(text: str) -> int:
    """Return a time limit as sbatch takes it in minutes, rounded up.

    Args:
        text: `minutes`, `minutes:seconds`, `hours:minutes:seconds`, or `days-` before `hours`,
            `hours:minutes` or `hours:minutes:seconds`.

    Raises:
        ConfigError: If it is none of these.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ConfigError(f"--time is {text!r}; it must be such as 90, 02:00:00 or 1-12:00:00")
    days = int(found["days"] or 0)
    parts = [int(part) for part in found["rest"].split(":")]
    has_hours = found["days"] is not None or len(parts) == 3
    units = (3600, 60, 1) if has_hours else (60, 1)
    seconds = sum(number * unit for number, unit in zip(parts, units, strict=False))
    return math.ceil((days * 24 * 3600 + seconds) / 60)
