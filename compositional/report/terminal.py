"""Matrices as text for a terminal."""

from collections.abc import Sequence

from compositional.report.figures import MethodFigures
from compositional.report.formats import number
from compositional.report.labels import SCORE_TITLES, row_title
from compositional.summary import CellFigure, Summary

MAX_WIDTH = 110
UNMEASURED = "·"
ALIKE = "*"
TOLD = ("round", "expected tools", "own document")
"""What a method may be told of a test example beside its query."""

_GAP = "    "


def matrices_text(figures: Sequence[MethodFigures]) -> str:
    """Return each method's matrices, side by side where they fit."""
    blocks = [_method_text(method) for method in figures]
    legend = f"Rows: rounds taught. Columns: test sets. {UNMEASURED} not measured."
    bounds = {
        cell.num_examples: cell.bound
        for method in figures
        for summary in method.summaries.values()
        for cell in summary.cells.values()
        if cell.bound is not None
    }
    if bounds:
        shares = ", ".join(f"{number(b)} at n = {n}" for n, b in sorted(bounds.items()))
        legend += (
            f"\n{ALIKE} all examples score the same; of all queries, up to this share may score "
            f"otherwise (95 %): {shares}."
        )
    return "\n".join(["Matrices", legend, "", *blocks])


def _method_text(method: MethodFigures) -> str:
    run = method.run
    title = run.name if run.name == run.method_title else f"{run.name} ({run.method_title})"
    told = [part for part in run.sees if part in TOLD]
    title += f", sees the {' and the '.join(told)}" if told else ""
    parts = [_matrix_lines(summary) for summary in method.summaries.values()]
    if sum(len(part[0]) for part in parts) + len(_GAP) <= MAX_WIDTH:
        lines = [_GAP.join(row).rstrip() for row in zip(*parts, strict=True)]
    else:
        lines = [line.rstrip() for part in parts for line in part]
    return "\n".join([title, *(f"  {line}" for line in lines), ""])


def _matrix_lines(summary: Summary) -> list[str]:
    widths = [max(6, len(name) + 1) for name in summary.columns]
    title = SCORE_TITLES[summary.score_name]
    last = len(summary.columns)
    first_width = max(len(title), len(row_title(last)))
    heads = [f"{name} ".rjust(width) for name, width in zip(summary.columns, widths, strict=True)]
    lines = ["  ".join([title.ljust(first_width), *heads])]
    for row in range(last + 1):
        found = [summary.cells.get((row, name)) for name in summary.columns]
        cells = [_cell_text(cell).rjust(width) for cell, width in zip(found, widths, strict=True)]
        lines.append("  ".join([row_title(row).ljust(first_width), *cells]))
    return lines


def _cell_text(cell: CellFigure | None) -> str:
    if cell is None or cell.value is None:
        return UNMEASURED + " "
    return number(cell.value) + (" " if cell.bound is None else ALIKE)
