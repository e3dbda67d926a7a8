"""Every figure of every method, with intervals from draws that all of them share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compositional.files import canonical_json, sha256_text
from compositional.intervals import Figure, percentile_interval, unanimity_bound
from compositional.report.loading import Experiment
from compositional.report.run_view import RunView
from compositional.resampling import ColumnResamples, Resamples
from compositional.retention import Array, average_accuracy
from compositional.summary import (
    CellFigure,
    ExampleScores,
    Resampled,
    Summary,
    figure,
    resample_matrix,
    summarise,
)
from compositional.tasks.benchmark import DOCUMENTS
from compositional.tasks.types import JsonObject

ORACLE, JOINT = "oracle", "joint"
REPLAY_SETTINGS = ("use_replay_buffer", "replay_buffer_size", "replay_ratio")
"""Settings that do not matter to a bound: it learns once, and has nothing to replay."""
_IDENTIFIED = ("name", "source", "revision", "data_dir")
"""Settings that say where model and data are: their hashes are compared instead."""


class Draws:
    """The bootstrap of an experiment: columns of the same examples share one draw.

    Args:
        seed: Of the stream `bootstrap`.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._columns: dict[tuple[str, tuple[tuple[str, ...], ...]], ColumnResamples] = {}

    def of(self, run: RunView) -> Resamples:
        """Return the draws of a run's columns, and of the prompts or texts of each probe."""
        columns = {
            name: self._column(name, tuple(cell.base_ids)) for name, cell in run.examples.items()
        }
        for name, rows in run.probe_values.items():
            for values in rows.values():
                columns[name] = self._column(name, tuple((str(n),) for n in range(len(values))))
        return Resamples(columns)

    def _column(self, name: str, base_ids: tuple[tuple[str, ...], ...]) -> ColumnResamples:
        key = (name, base_ids)
        if key not in self._columns:
            # Test sets of one name but other examples, as other seeds have, are drawn apart.
            others = sum(other == name for other, _ in self._columns)
            label = name if others == 0 else f"{name} {sha256_text(canonical_json(base_ids))}"
            drawn = Resamples.draw({label: base_ids}, self.seed)
            self._columns[key] = drawn.columns[label]
        return self._columns[key]


@dataclass(frozen=True)
class MethodFigures:
    """All figures of one finished run.

    Attributes:
        run: The run.
        resamples: The draws of its columns.
        summaries: Matrix and figures by headline score; without those that a constant answer was
            not chosen for.
        last_row: Mean of the last row by score, of all scores that apply.
    """

    run: RunView
    resamples: Resamples
    summaries: dict[str, Summary]
    last_row: dict[str, Figure]

    def matrix(self, score_name: str) -> Resampled:
        """Return a score's matrix, measured and resampled."""
        return resample_matrix(self.run.cells, self.run.rounds, score_name, self.resamples)

    def cell(self, row: int, column: str, score_name: str) -> CellFigure | None:
        """Return any cell, those outside the matrix included; None where it was not measured."""
        scores = self.run.cells.get((row, column), {}).get(score_name)
        return None if scores is None else self.mean_of(column, scores)

    def mean_of(self, column: str, scores: Array) -> CellFigure | None:
        """Return the mean of some scores of a column's examples; None where none applies."""
        if np.isnan(scores).all():
            return None
        applicable = scores[~np.isnan(scores)]
        value, num_examples = float(applicable.mean()), len(applicable)
        if (applicable == applicable[0]).all():
            return CellFigure(value, num_examples, None, unanimity_bound(num_examples))
        draws = self.resamples.cell_means(column, scores)
        return CellFigure(value, num_examples, percentile_interval(draws), None)


def all_figures(experiment: Experiment) -> list[MethodFigures]:
    """Compute the figures of every finished run."""
    draws = Draws(min(experiment.seeds))
    for run in sorted(experiment.finished, key=lambda run: run.seed):
        draws.of(run)
    return [_method_figures(run, experiment.finished, draws) for run in experiment.finished]


def _method_figures(run: RunView, runs: Sequence[RunView], draws: Draws) -> MethodFigures:
    resamples = draws.of(run)
    single, joint = (_diagonal(bound_of(run, runs, kind)) for kind in (ORACLE, JOINT))
    shown = [run.only_score] if run.only_score else list(run.measures.names)
    summaries = {
        name: summarise(run.cells, run.rounds, name, resamples, single=single, joint=joint)
        for name in run.measures.headline
        if name in shown
    }
    last_row = {
        name: figure(average_accuracy, resample_matrix(run.cells, run.rounds, name, resamples))
        for name in shown
    }
    return MethodFigures(run, resamples, summaries, last_row)


def bound_of(run: RunView, runs: Sequence[RunView], kind: str) -> RunView | None:
    """Return the oracle or joint run of the same method, data, model and training, or None."""
    for other in runs:
        if (
            other.method["name"] == kind
            and _comparable(other.settings["method"].get("of", {}))
            == _comparable(run.settings["method"])
            and _setting(other) == _setting(run)
            and other.asks_the_same(run)
        ):
            return other
    return None


def _comparable(method: JsonObject) -> JsonObject:
    return {key: value for key, value in method.items() if key not in REPLAY_SETTINGS}


def _setting(run: RunView) -> tuple[object, ...]:
    """Return what two runs must share beside the method for one to bound the other."""
    hashes = [run.result["identity"][name] for name in ("model", "data")]
    data, model = (
        {key: value for key, value in run.settings[section].items() if key not in _IDENTIFIED}
        for section in (run.task if run.task == DOCUMENTS else "data", "model")
    )
    training = {k: v for k, v in run.settings["training"].items() if k != "checkpoint_seconds"}
    max_new_tokens = run.settings["evaluation"]["max_new_tokens"]
    return run.seed, hashes, data, model, training, max_new_tokens


def _diagonal(bound: RunView | None) -> dict[str, ExampleScores]:
    """Return the scores of each round's column right after that round."""
    if bound is None:
        return {}
    pairs = enumerate(bound.rounds, start=1)
    return {name: bound.cells[i, name] for i, name in pairs if (i, name) in bound.cells}
