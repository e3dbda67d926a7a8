"""Which runs a grid has, noted beside their results, so that a report names those it lacks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compositional.config import RunConfig
from compositional.errors import ResultsError
from compositional.files import read_json, write_json
from compositional.run_files import method_title

PLAN = "grid.json"


@dataclass(frozen=True)
class PlannedRun:
    """A run of a grid.

    Attributes:
        name: The run's name.
        method: Its method's name, that of a bound with what it wraps.
    """

    name: str
    method: str


def note_planned(configs: Sequence[RunConfig], *, anew: bool) -> None:
    """Write which runs a grid has into their folder of results.

    Args:
        configs: All of them, of one experiment.
        anew: Whether a plan that stands there is replaced.
    """
    path = configs[0].results_folder.parent / PLAN
    if anew or not path.exists():
        runs = [
            {"name": config.run, "method": method_title(config.settings()["method"])}
            for config in configs
        ]
        write_json(path, runs)


def read_planned(folder: Path) -> list[PlannedRun]:
    """Return the runs that a grid planned in a folder of results; none where there was no grid.

    Args:
        folder: `results/<experiment>`.

    Raises:
        ResultsError: If the file is none that `note_planned` wrote.
    """
    path = folder / PLAN
    if not path.exists():
        return []
    try:
        return [PlannedRun(str(run["name"]), str(run["method"])) for run in read_json(path)]
    except (KeyError, TypeError) as error:
        raise ResultsError(f"{path} is no plan of a grid: remove it") from error


def goes_on_with(folder: Path) -> str:
    """Say what goes on with a run that was cut off: the grid that planned it, or a flag.

    Args:
        folder: The run's, `results/<experiment>/<run>`.
    """
    is_planned = any(run.name == folder.name for run in read_planned(folder.parent))
    return f"{'the same command' if is_planned else '--resume'} goes on with it"
