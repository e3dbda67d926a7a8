"""The runs of an experiment as a report sees them."""

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from compositional.errors import ResultsError
from compositional.methods.registry import METHODS
from compositional.planned_runs import goes_on_with, read_planned
from compositional.report.run_view import RunView
from compositional.results import RESULT, RunFolder
from compositional.scores import Measures, measures_of
from compositional.whereabouts import whereabouts


@dataclass(frozen=True)
class AbsentRun:
    """A run that a grid planned and that has left no result, not even of a failure.

    Attributes:
        name: The run's name.
        method: Its method's name.
        reason: What is known of why.
    """

    name: str
    method: str
    reason: str


@dataclass(frozen=True)
class Experiment:
    """All runs of an experiment.

    Attributes:
        name: Name of its folder of results.
        finished: Its finished runs, by method and name; at least one.
        others: Runs that failed or are not finished.
        absent: Runs that a grid planned and that have left nothing.
    """

    name: str
    finished: list[RunView]
    others: list[RunView]
    absent: list[AbsentRun]

    @property
    def seeds(self) -> list[int]:
        """The seeds of the finished runs."""
        return sorted({run.seed for run in self.finished})

    @property
    def task(self) -> str:
        """What the rounds of its runs teach: `tools` or `documents`."""
        return self.finished[0].task

    @property
    def measures(self) -> Measures:
        """The scores that its runs have."""
        return measures_of(self.task)

    @property
    def splits(self) -> list[str]:
        """Which rows the finished runs were asked: `test`, or `validation`."""
        return sorted({run.split for run in self.finished})

    @property
    def interval_note(self) -> str:
        """What the intervals in a table of runs cover."""
        rows = " and ".join(self.splits)
        note = f"In brackets: 95 % intervals, which cover the choice of {rows} examples only"
        if len(self.seeds) == 1:
            return f"{note} (one seed, {self.seeds[0]})."
        return f"{note}; each run has one seed."


def load_experiment(folder: Path, published: Path | None = None) -> Experiment:
    """Read the runs of an experiment.

    Args:
        folder: `results/<experiment>`.
        published: A folder of further runs of it. A finished run in the results goes before one
            of the same name there, and that before one that is not finished.

    Raises:
        ResultsError: If there is no finished run.
    """
    runs = {run.name: run for run in _read_runs(folder, is_published=False)}
    if published is not None:
        for run in _read_runs(published, is_published=True):
            if run.name not in runs or (run.is_finished and not runs[run.name].is_finished):
                runs[run.name] = run
    order = list(METHODS)
    ordered = sorted(runs.values(), key=lambda run: (_place(run, order), run.name))
    finished = [run for run in ordered if run.is_finished]
    others = [run for run in ordered if not run.is_finished]
    if not finished:
        found = "; ".join(f"{run.name} {run.result['status']}: {run.reason}" for run in others)
        raise ResultsError(
            f"{folder} holds no finished run ({found or 'no run at all'}): "
            "compositional run FILE.yaml makes one"
        )
    if len({run.task for run in finished}) > 1:
        raise ResultsError(
            f"{folder} holds runs of tools and runs of documents, which no table compares: give "
            "them an --experiment each"
        )
    return Experiment(folder.resolve().name, finished, others, _absent(folder, runs))


def _absent(folder: Path, runs: Container[str]) -> list[AbsentRun]:
    """Return the runs that a grid planned and that are not among those found."""
    absent = []
    for run in read_planned(folder):
        if run.name not in runs:
            place = folder / run.name
            reason = whereabouts(place, goes_on_with(place)) or "a point of the grid, not started"
            absent.append(AbsentRun(run.name, run.method, reason))
    return absent


def _read_runs(folder: Path, *, is_published: bool) -> list[RunView]:
    paths = sorted(path.parent for path in folder.glob(f"*/{RESULT}"))
    files = [RunFolder(path) for path in paths]
    return [RunView(f.folder.name, f, f.result(), is_published) for f in files]


def _place(run: RunView, order: list[str]) -> int:
    name = run.method["name"]
    return order.index(name) if name in order else len(order)
