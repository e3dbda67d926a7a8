"""Matrices as cells for a page: value, interval or bound, and a shade."""

from collections.abc import Sequence
from dataclasses import dataclass

from compositional.columns import GENERAL, MIXED, UNANSWERABLE, UNTAUGHT
from compositional.documents.scoring import FALSE_RECALL
from compositional.intervals import Figure
from compositional.report.figures import MethodFigures
from compositional.report.formats import interval_text, number
from compositional.report.generality import nats_text
from compositional.report.labels import SCORE_TITLES, row_title
from compositional.summary import CellFigure, Summary
from compositional.tasks.scoring import NO_CALL

DARK_PERCENT = 62
"""Above this shade text is drawn in the colour of the paper."""


@dataclass(frozen=True)
class HeatCell:
    """A cell of a heatmap.

    Attributes:
        text: Its value.
        detail: Its interval, or n and bound where all examples score the same.
        tip: The whole in words.
        percent: Shade, 0..100; None for a cell without one.
        is_taught: Whether the column's round has been taught by this row.
    """

    text: str
    detail: str
    tip: str
    percent: int | None
    is_taught: bool

    @property
    def is_dark(self) -> bool:
        """Whether the text must be light."""
        return self.percent is not None and self.percent > DARK_PERCENT


@dataclass(frozen=True)
class Heatmap:
    """A matrix as it is drawn.

    Attributes:
        title: What it shows.
        columns: Heads of the columns.
        rows: Title of each row and its cells; None for a cell that was not measured.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[HeatCell | None]]]


def matrix_heatmap(summary: Summary) -> Heatmap:
    """Return a matrix as cells."""
    rows = []
    for t in range(len(summary.columns) + 1):
        cells = [
            heat_cell(summary.cells.get((t, name)), is_taught=1 <= i <= t)
            for i, name in enumerate(summary.columns, start=1)
        ]
        rows.append((row_title(t), cells))
    return Heatmap(SCORE_TITLES[summary.score_name], summary.columns, rows)


def outside_heatmap(method: MethodFigures) -> Heatmap | None:
    """Return what was measured outside the matrix, by row; None where nothing was."""
    run = method.run
    shown = [name for name in run.measures.headline if run.only_score in (None, name)]
    columns = [(MIXED, name) for name in shown] if run.has(MIXED) else []
    if run.has(UNANSWERABLE) and run.only_score is None:
        columns.append((UNANSWERABLE, NO_CALL))
    if run.has(UNTAUGHT):
        columns += [(UNTAUGHT, name) for name in (*shown, FALSE_RECALL)]
    columns += [(GENERAL, shown[0])] if run.has(GENERAL) else []
    heads = [f"{column}, {SCORE_TITLES[name]}" for column, name in columns]
    heads += ["drift (nats)"] if run.drift else []
    heads += ["loss on plain texts (nats)"] if run.held_out else []
    rows: list[tuple[str, list[HeatCell | None]]] = []
    for t in range(len(run.rounds) + 1):
        cells = [heat_cell(method.cell(t, column, name)) for column, name in columns]
        cells += [_drift_cell(run.drift.get(t), "mean KL from the base model")] if run.drift else []
        if run.held_out:
            cells.append(_drift_cell(run.held_out.get(t), "mean loss a token on plain texts"))
        if any(cell is not None for cell in cells):
            rows.append((row_title(t), cells))
    return Heatmap("outside the matrix", heads, rows) if rows else None


def heat_cell(cell: CellFigure | None, *, is_taught: bool = True) -> HeatCell | None:
    """Return a cell as it is drawn; None where it was not measured."""
    if cell is None or cell.value is None:
        return None
    if cell.bound is not None:
        detail = f"n {cell.num_examples}, bound {number(cell.bound)}"
        tip = (
            f"all {cell.num_examples} examples score the same; up to a share of "
            f"{number(cell.bound)} of all queries may score otherwise"
        )
    else:
        detail = interval_text(Figure(cell.value, cell.interval)) or f"n {cell.num_examples}"
        tip = f"mean of {cell.num_examples} examples, 95 % interval {detail}"
    percent = round(100 * min(max(cell.value, 0), 1))
    return HeatCell(number(cell.value), detail, tip, percent, is_taught)


def _drift_cell(nats: float | None, tip: str) -> HeatCell | None:
    if nats is None:
        return None
    return HeatCell(nats_text(nats), "", tip, None, True)
