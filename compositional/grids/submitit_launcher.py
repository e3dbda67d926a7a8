"""A grid through submitit: the same runs as jobs of its executors, requeued by their checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compositional.grids.expand import expand
from compositional.grids.spec import read_grid
from compositional.grids.tasks import run_task

if TYPE_CHECKING:
    from compositional.grids.command import GridCommand

FOLDER = ".submitit"


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
        """Run the point; return its folder."""
        spec = read_grid(self.file, self.experiment)
        return str(run_task(expand(spec, self.flags), index, spec.threads).folder)

    def checkpoint(self, index: int) -> Any:
        """Return the same call: its state stands in the run's own folder."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, index)


def submit_grid(
    command: "GridCommand", indices: Sequence[int], threads: int, cluster: str | None = None
) -> list[str]:
    """Submit points of a grid; return the ids of their jobs.

    Args:
        command: The grid.
        indices: Numbers of the points.
        threads: Processor cores of each.
        cluster: submitit's name of an executor; None for Slurm where it is, else processes here.
    """
    import submitit

    spec = read_grid(command.file, command.experiment)
    folder = expand(spec, command.flags)[0].config.results_folder.with_name(FOLDER)
    executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
    executor.update_parameters(
        cpus_per_task=threads,
        slurm_array_parallelism=command.workers,
        slurm_additional_parameters=_options(command.sbatch),
    )
    task = GridTask(command.file.resolve(), command.experiment, command.flags)
    return [str(job.job_id) for job in executor.map_array(task, list(indices))]


def _options(words: Sequence[str]) -> dict[str, Any]:
    """Turn `--time=02:00:00` into what submitit takes."""
    pairs = [word.removeprefix("--").partition("=") for word in words]
    return {name.replace("-", "_"): value if equals else True for name, equals, value in pairs}
