"""Tables beside the headline: retention by age, numbers of calls, columns outside the matrix."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from compositional.cells import Cell
from compositional.columns import MIXED, UNANSWERABLE
from compositional.intervals import Figure
from compositional.report.figures import MethodFigures
from compositional.report.formats import Entry, Table, entry_text, number
from compositional.report.generality import drift_text, figure_of
from compositional.report.labels import (
    NOT_MEASURED,
    NOT_SHOWN,
    RETENTION_FORMULA,
    SCORE_TITLES,
    capitalised,
)
from compositional.report.loading import Experiment
from compositional.retention import Array
from compositional.summary import AgeFigure, CellFigure, Resampled
from compositional.tasks.scoring import HEADLINE_SCORES, NO_CALL

Label = TypeVar("Label", int, str)


def retention_table(
    experiment: Experiment, figures: Sequence[MethodFigures], score_name: str
) -> Table | None:
    """Return retention by age, with the number of rounds in each mean; None with one round."""
    shown = [method for method in figures if score_name in method.summaries]
    num_rounds = max((len(method.run.rounds) for method in shown), default=0)
    if num_rounds < 2:
        return None
    rows: list[list[Entry]] = []
    for method in shown:
        ages = [_age_text(age) for age in method.summaries[score_name].retention_by_age[1:]]
        rows.append([method.run.name, *ages, *[NOT_MEASURED] * (num_rounds - 1 - len(ages))])
    heads = [f"{age} round{'' if age == 1 else 's'} later" for age in range(1, num_rounds)]
    title = f"Retention of {SCORE_TITLES[score_name]} by age"
    notes = [
        f"Retention: {RETENTION_FORMULA}; their number stands behind in parentheses.",
        experiment.interval_note,
    ]
    return Table(title, ["run", *heads], rows, notes)


def _age_text(age: AgeFigure) -> str:
    if age.figure.value is None:
        return NOT_MEASURED
    return f"{entry_text(age.figure)} ({age.num_columns})"


def num_calls_table(figures: Sequence[MethodFigures], score_name: str) -> Table:
    """Return a score of the last row by number of expected calls."""
    means = {
        method.run.name: last_row_by(method, score_name, lambda cell: cell.num_calls)
        for method in figures
        if score_name in method.summaries
    }
    numbers = sorted({num_calls for values in means.values() for num_calls in values})
    rows: list[list[Entry]] = []
    for name, values in means.items():
        each = [figure_of(values.get(num_calls)) for num_calls in numbers]
        rows.append([name, *each, figure_of(_mean_over_labels(list(values.values())))])
    heads = [f"{num_calls} call{'s' if num_calls > 1 else ''}" for num_calls in numbers]
    title = f"{capitalised(SCORE_TITLES[score_name])} by number of calls, last row"
    note = (
        "Means over the examples of all rounds; the last column weighs each number alike. "
        "In brackets: 95 % intervals over the choice of examples."
    )
    return Table(title, ["run", *heads, "mean over numbers of calls"], rows, [note])


def last_row_by(
    method: MethodFigures, score_name: str, labels_of: Callable[[Cell], Sequence[Label]]
) -> dict[Label, Resampled]:
    """Return the mean over the last row's examples of each label, measured and resampled.

    Args:
        method: The run.
        score_name: Which score.
        labels_of: Returns a label for each example of a cell.

    Returns:
        By label, in their order; without those of which no example has the score.
    """
    run = method.run
    parts: dict[Label, dict[str, Array]] = {}
    for cell in run.cell_list:
        if cell.row == len(run.rounds) and cell.column in run.rounds and score_name in cell.scores:
            labels, scores = labels_of(cell), cell.scores[score_name]
            for label in set(labels):
                own = np.where([other == label for other in labels], scores, np.nan)
                if not np.isnan(own).all():
                    parts.setdefault(label, {})[cell.column] = own
    return {label: _pooled(method, parts[label]) for label in sorted(parts)}


def _pooled(method: MethodFigures, scores: Mapping[str, Array]) -> Resampled:
    """Return the mean over the examples of several columns to which a score applies."""
    values = np.concatenate(list(scores.values()))
    return Resampled(np.asarray(np.nanmean(values)), method.resamples.pooled_means(scores))


def _mean_over_labels(means: Sequence[Resampled]) -> Resampled | None:
    """Return the mean of several means, each weighed alike; None where there are none."""
    if not means:
        return None
    point = np.mean([mean.point for mean in means])
    return Resampled(np.asarray(point), np.mean([mean.draws for mean in means], axis=0))


def outside_table(experiment: Experiment, figures: Sequence[MethodFigures]) -> Table | None:
    """Return what stands outside the matrix, after the last round; None where nothing does."""
    has_mixed = any(method.run.has(MIXED) for method in figures)
    has_unanswerable = any(method.run.has(UNANSWERABLE) for method in figures)
    has_drift = any(method.run.drift for method in figures)
    if not (has_mixed or has_unanswerable or has_drift):
        return None
    mixed = [f"mixed, {SCORE_TITLES[name]}" for name in HEADLINE_SCORES] if has_mixed else []
    unanswerable = ["unanswerable, answered by no call"] if has_unanswerable else []
    header = ["run", *mixed, *unanswerable, *(["drift (nats)"] if has_drift else [])]
    rows = []
    for method in figures:
        last = len(method.run.rounds)
        row: list[Entry] = [method.run.name]
        if has_mixed:
            row += [outside_cell(method, last, MIXED, name) for name in HEADLINE_SCORES]
        if has_unanswerable:
            row.append(outside_cell(method, last, UNANSWERABLE, NO_CALL))
        if has_drift:
            row.append(drift_text(method))
        rows.append(row)
    notes = [
        "After the last round. Mixed: queries of tools of different rounds. Unanswerable: queries "
        "that no tool answers.",
        "Drift: mean KL of the next-token distribution from the base model's, over its own answers "
        "to plain prompts; its interval covers the choice of prompts.",
        experiment.interval_note,
    ]
    return Table("Outside the matrix", header, rows, notes)


def outside_cell(method: MethodFigures, row: int, column: str, score_name: str) -> str:
    """Return a cell outside the matrix as text."""
    if method.run.only_score not in (None, score_name):
        return NOT_SHOWN
    cell = method.cell(row, column, score_name)
    return NOT_MEASURED if cell is None else cell_text(cell)


def cell_text(cell: CellFigure) -> str:
    """Return a measured cell on one line, with its interval or its bound."""
    value = 0.0 if cell.value is None else cell.value
    if cell.bound is not None:
        return f"{number(value)} (all {cell.num_examples} alike, bound {number(cell.bound)})"
    return entry_text(Figure(value, cell.interval))
