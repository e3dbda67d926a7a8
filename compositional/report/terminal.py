"""Matrices as text for a terminal."""

from collections.abc import Sequence

from compositional.report.figures import MethodFigures
from compositional.report.formats import number
from compositional.report.labels import SCORE_TITLES, row_title
from compositional.summary import Summary

MAX_WIDTH = 110
UNMEASURED = "·"
_GAP = "    "


def matrices_text(figures: Sequence[MethodFigures]) -> str:
    """Return each method's matrices, side by side where they fit."""
    blocks = [_method_text(method) for method in figures]
    legend = f"Rows: rounds taught. Columns: test sets. {UNMEASURED} not measured."
    return "\n".join(["Matrices", legend, "", *blocks])


def _method_text(method: MethodFigures) -> str:
    run = method.run
    title = run.name if run.name == run.method_title else f"{run.name} ({run.method_title})"
    shown = [query for query in run.sees if query != "query"]
    title += f", sees the {' and the '.join(shown)}" if shown else ""
    parts = [_matrix_lines(summary) for summary in method.summaries.values()]
    if sum(len(part[0]) for part in parts) + len(_GAP) <= MAX_WIDTH:
        lines = [_GAP.join(row).rstrip() for row in zip(*parts, strict=True)]
    else:
        lines = [line.rstrip() for part in parts for line in part]
    return "\n".join([title, *(f"  {line}" for line in lines), ""])


def _matrix_lines(summary: Summary) -> list[str]:
    widths = [max(6, len(name)) for name in summary.columns]
    title = SCORE_TITLES[summary.score_name]
    last = len(summary.columns)
    first_width = max(len(title), len(row_title(last)))
    heads = [name.rjust(width) for name, width in zip(summary.columns, widths, strict=True)]
    lines = ["  ".join([title.ljust(first_width), *heads])]
    for row in range(last + 1):
        values = [summary.matrix.cell(row, i) for i in range(1, last + 1)]
        cells = [
            (UNMEASURED if value is None else number(value)).rjust(width)
            for value, width in zip(values, widths, strict=True)
        ]
        lines.append("  ".join([row_title(row).ljust(first_width), *cells]))
    return lines
