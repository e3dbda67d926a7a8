"""Tables as Markdown, LaTeX and CSV."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from compositional.intervals import Figure
from compositional.report.labels import NOT_MEASURED

Entry = str | int | Figure

_NEGATIVE = re.compile(r"(?<![\w$])-(?=\d)")
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A table before it has a format.

    Attributes:
        title: What stands above it.
        header: Heads of the columns; the first column names the rows.
        rows: An entry a column.
        notes: Sentences that stand below it.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Entry]]
    notes: Sequence[str] = field(default_factory=tuple)

    def brief(self, heads: Sequence[str]) -> "Table":
        """Return the table with the columns of these heads only, and without its notes."""
        places = [self.header.index(head) for head in heads]
        rows = [[row[place] for place in places] for row in self.rows]
        return Table(self.title, list(heads), rows)


def number(value: float, digits: int = 2) -> str:
    """Return a number with a fixed number of decimals, without a negative zero."""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


def interval_text(figure: Figure, digits: int = 2) -> str:
    """Return a figure's interval: `[0.61, 0.83]`; empty where there is none.

    Where all resamples agree, a width of 0 would look like certainty: it reads `no spread`.
    """
    interval = figure.interval
    if interval is None:
        return ""
    if interval.low == interval.high:
        return "no spread"
    return f"[{number(interval.low, digits)}, {number(interval.high, digits)}]"


def entry_text(entry: Entry) -> str:
    """Return an entry on one line."""
    if isinstance(entry, Figure):
        if entry.value is None:
            return NOT_MEASURED
        return f"{number(entry.value)} {interval_text(entry)}".strip()
    return f"{entry:,}" if isinstance(entry, int) else " ".join(entry.split())


def markdown(tables: Sequence[Table]) -> str:
    """Return tables in Markdown, aligned so that they read well in a terminal too."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    lines = [[_escape_markdown(entry_text(entry)) for entry in row] for row in table.rows]
    header = [_escape_markdown(head) for head in table.header]
    widths = [max(3, *map(len, column)) for column in zip(header, *lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join([first, *rest]) + " |"

    rule = "|" + "|".join(
        "-" * (width + 2) if place == 0 else "-" * (width + 1) + ":"
        for place, width in enumerate(widths)
    )
    body = [line(header), rule + "|", *map(line, lines)]
    notes = ["", *(f"- {_escape_markdown(note)}" for note in table.notes)] if table.notes else []
    return "\n".join([f"### {_escape_markdown(table.title)}", "", *body, *notes, ""])


def _escape_markdown(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def latex(tables: Sequence[Table]) -> str:
    """Return tables in LaTeX, for the package booktabs."""
    return "\n".join(_latex(table) for table in tables)


def _latex(table: Table) -> str:
    def line(entries: Sequence[Entry]) -> str:
        return " & ".join(_escape_latex(entry_text(entry)) for entry in entries) + r" \\"

    caption = " ".join(
        text if text.endswith(("?", ".")) else f"{text}." for text in (table.title, *table.notes)
    )
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escape_latex(caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}",
            r"\toprule",
            line(list(table.header)),
            r"\midrule",
            *map(line, table.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _escape_latex(text: str) -> str:
    escaped = "".join(_LATEX.get(character, character) for character in text)
    return _NEGATIVE.sub("$-$", escaped)


def csv_text(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows as CSV; None is an empty field."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()
