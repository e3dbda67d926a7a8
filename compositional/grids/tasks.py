"""One run of a grid by its number, and which of them are left to do."""

from collections.abc import Sequence

from compositional.errors import ConfigError, ResultsError
from compositional.experiment import find_finished
from compositional.grids.expand import GridRun
from compositional.logs import show_log
from compositional.planned_runs import note_planned
from compositional.results import RunFolder
from compositional.runner import computing_with, note_refusal, run


def pending(runs: Sequence[GridRun]) -> list[GridRun]:
    """Return the runs that have no complete results of their very config."""
    return [grid_run for grid_run in runs if find_finished(grid_run.config) is None]


def run_task(runs: Sequence[GridRun], index: int, threads: int) -> RunFolder:
    """Run one point of a grid, from where it stands; the log is shown, and no progress bar.

    Where it cannot begin, its folder says why: nobody looks at the log of each task.

    Args:
        runs: All points.
        index: The number of one.
        threads: Threads to compute with.

    Raises:
        ConfigError: If no point has this number.
        ResultsError: If another config's results are in its place.
        PreemptedError: If a signal asked the process to stop.
    """
    if not 0 <= index < len(runs):
        raise ConfigError(f"the grid has no run {index}; its runs go from 0 to {len(runs) - 1}")
    config = runs[index].config
    note_planned([grid_run.config for grid_run in runs], anew=False)
    finished = find_finished(config)
    if finished is not None:
        return finished
    show_log()
    with computing_with(threads):
        try:
            return run(config, resume=True, progress=False)
        except Exception as error:
            # A run in its place may be another process's, finished meanwhile.
            finished = find_finished(config) if isinstance(error, ResultsError) else None
            if finished is None:
                note_refusal(config, error)
                raise
            return finished
