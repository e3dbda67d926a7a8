"""A method's matrix with intervals: every cell, every figure, and differences between methods."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from compositional.intervals import Figure, Interval, percentile_interval, unanimity_bound
from compositional.resampling import Resamples
from compositional.retention import (
    Array,
    RetentionMatrix,
    average_accuracy,
    average_over_rounds,
    backward_transfer,
    diagonal_mean,
    forgetting,
    forward_transfer,
    intransigence,
    learning_gain,
    learning_gap,
    measured,
    retention_at_age,
)
from compositional.tasks.averages import mean

Metric = Callable[..., Array]
ExampleScores = Mapping[str, Array]
"""Scores by name, each of shape (num_examples,); NaN where one does not apply to an example."""

Cells = Mapping[tuple[int, str], ExampleScores]
"""The scores of the examples of each measured cell, by row (from 0) and name of the column."""

METRICS: Mapping[str, Metric] = {
    "average_accuracy": average_accuracy,
    "average_over_rounds": average_over_rounds,
    "backward_transfer": backward_transfer,
    "forgetting": forgetting,
    "forward_transfer": forward_transfer,
    "diagonal_mean": diagonal_mean,
    "learning_gain": learning_gain,
}
"""Figures that need the matrix alone."""


@dataclass(frozen=True)
class Resampled:
    """Cells as measured, and as they would be on each resample of the test examples.

    Attributes:
        point: The measured means, of shape (T + 1, T) for a matrix, (T,) for a row of bounds.
        draws: The same of each resample, of shape (num_resamples, ...).
    """

    point: Array
    draws: Array


@dataclass(frozen=True)
class CellFigure:
    """One cell of a matrix.

    Attributes:
        value: Mean score; None where it was not measured or applies to no example.
        num_examples: Examples that the score applies to.
        interval: None where all of them score the same, or share base queries.
        bound: Where all examples score the same, `unanimity_bound` of their number; else None.
    """

    value: float | None
    num_examples: int
    interval: Interval | None
    bound: float | None


@dataclass(frozen=True)
class AgeFigure:
    """Retention at an age.

    Attributes:
        age: Rounds since a column was taught.
        figure: Mean of R[i + a, i] / R[i, i].
        num_columns: Columns in the mean, those with R[i, i] > 0.
    """

    age: int
    figure: Figure
    num_columns: int


@dataclass(frozen=True)
class Summary:
    """All figures of one method and score.

    Attributes:
        score_name: The score.
        columns: Names of the columns in the order taught.
        matrix: R.
        cells: The measured cells by row and name of the column.
        figures: The figures of `METRICS`, and `learning_gap` and `intransigence`, by name.
        forgetting_by_round: Forgetting after round t = 1..T; not measured at 1.
        retention_by_age: Ages 0..T - 1.
    """

    score_name: str
    columns: tuple[str, ...]
    matrix: RetentionMatrix
    cells: Mapping[tuple[int, str], CellFigure]
    figures: Mapping[str, Figure]
    forgetting_by_round: tuple[Figure, ...]
    retention_by_age: tuple[AgeFigure, ...]


def summarise(
    cells: Cells,
    columns: Iterable[str],
    score_name: str,
    resamples: Resamples,
    *,
    single: Mapping[str, ExampleScores] | None = None,
    joint: Mapping[str, ExampleScores] | None = None,
) -> Summary:
    """Compute every figure of one method and score, with intervals.

    Args:
        cells: The method's cells; a cell, or a score of a cell, is absent where not measured.
        columns: Names of the columns in the order taught.
        score_name: Which score.
        resamples: The experiment's draws, the same for every method.
        single: For the learning gap: the scores by column of the same method trained on that
            round alone.
        joint: For intransigence: the scores by column of the same method trained jointly on all
            rounds up to that one.
    """
    names = tuple(columns)
    matrix = resample_matrix(cells, names, score_name, resamples)
    figures = {name: figure(metric, matrix) for name, metric in METRICS.items()}
    for name, metric, bounds in (
        ("learning_gap", learning_gap, single),
        ("intransigence", intransigence, joint),
    ):
        row = resample_row(bounds or {}, names, score_name, resamples)
        figures[name] = figure(metric, matrix, row)
    return Summary(
        score_name=score_name,
        columns=names,
        matrix=RetentionMatrix(matrix.point),
        cells={
            (t, name): _cell_figure(cells[t, name][score_name], matrix.draws[:, t, i])
            for t in range(len(names) + 1)
            for i, name in enumerate(names)
            if score_name in cells.get((t, name), {})
        },
        figures=figures,
        forgetting_by_round=tuple(
            figure(lambda values, t=t: forgetting(values, t), matrix)
            for t in range(1, len(names) + 1)
        ),
        retention_by_age=tuple(_age_figure(matrix, age) for age in range(len(names))),
    )


def figure(metric: Metric, *parts: Resampled) -> Figure:
    """Compute a figure from measured cells, and its interval from the same resamples of each.

    Args:
        metric: A function of arrays with any leading axes, as those of `retention`.
        *parts: The matrices, or matrix and bounds, that it takes.
    """
    value = measured(metric(*(part.point for part in parts)))
    if value is None:
        return Figure(None, None)
    return Figure(value, percentile_interval(metric(*(part.draws for part in parts))))


def paired_difference(metric: Metric, first: Resampled, second: Resampled) -> Figure:
    """Compute by how much one method's figure exceeds another's, paired over test examples."""
    return figure(lambda a, b: metric(a) - metric(b), first, second)


def resample_matrix(
    cells: Cells, columns: Sequence[str], score_name: str, resamples: Resamples
) -> Resampled:
    """Return the matrix of one method and score, measured and resampled."""
    rows = [
        resample_row(
            {name: cells.get((t, name), {}) for name in columns},
            columns,
            score_name,
            resamples,
        )
        for t in range(len(columns) + 1)
    ]
    return Resampled(
        point=np.stack([row.point for row in rows]),
        draws=np.stack([row.draws for row in rows], axis=1),
    )


def resample_row(
    cells: Mapping[str, ExampleScores],
    columns: Sequence[str],
    score_name: str,
    resamples: Resamples,
) -> Resampled:
    """Return one score of a row of cells, measured and resampled; NaN where a cell is absent."""
    point = np.full(len(columns), np.nan)
    draws = np.full((resamples.num_resamples, len(columns)), np.nan)
    for i, name in enumerate(columns):
        if score_name in cells.get(name, {}):
            scores = cells[name][score_name]
            value = mean(scores[~np.isnan(scores)].tolist())
            point[i] = np.nan if value is None else value
            draws[:, i] = resamples.cell_means(name, scores)
    return Resampled(point, draws)


def _cell_figure(scores: Array, draws: Array) -> CellFigure:
    applicable = scores[~np.isnan(scores)]
    num_examples = len(applicable)
    value = mean(applicable.tolist())
    if value is not None and (applicable == applicable[0]).all():
        return CellFigure(value, num_examples, None, unanimity_bound(num_examples))
    return CellFigure(value, num_examples, percentile_interval(draws), None)


def _age_figure(matrix: Resampled, age: int) -> AgeFigure:
    _, num_columns = retention_at_age(matrix.point, age)
    return AgeFigure(
        age, figure(lambda values: retention_at_age(values, age)[0], matrix), int(num_columns)
    )
