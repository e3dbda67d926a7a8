"""What a document and an answer cost each method: a row a method, over its orders and seeds."""

from collections.abc import Mapping, Sequence
from statistics import mean, median, quantiles
from typing import Any

from compositional.report.figures import MethodFigures
from compositional.report.formats import Entry, Table, entry_text, number
from compositional.report.labels import NOT_MEASURED
from compositional.report.loading import Experiment
from compositional.report.method_rows import method_rows
from compositional.report.run_view import RunView
from compositional.tasks.benchmark import TOOLS

REUSED = " (some reused)"
WIDE = 0.01
"""What varies over runs by more than this share of its mean is shown with its range."""
LEAST_FOR_QUARTILES = 4


def method_costs(experiment: Experiment, figures: Sequence[MethodFigures]) -> list[Table]:
    """Return the table of what methods cost, if there is one: in rounds of documents."""
    return [] if experiment.task == TOOLS else [method_costs_table(figures)]


def method_costs_table(figures: Sequence[MethodFigures]) -> Table:
    """Return what each method took.

    Args:
        figures: Of all finished runs, which are on documents.
    """
    header = [
        "method", "orders", "seconds a document", "tokens a document", "seconds an answer",
        "tokens an answer", "state bytes",
    ]  # fmt: skip
    rows: list[list[Entry]] = [
        [row.title, row.orders, *_learning(row.runs), *_answering(row.runs), _state(row.runs)]
        for row in method_rows(figures)
    ]
    notes = [
        "Seconds: medians, since a machine may pause for minutes, with the middle half of lessons, "
        "and of rows, in brackets; those of different machines do not compare. A document: to "
        "learn it, over the lessons of all orders. An answer: a question whose choices were "
        "scored, whose answer was generated, or both; over the rows after a round.",
        "Tokens: means of what was read and generated to learn a document, every pass over it, "
        "with the range over runs where it is over 1 % of it, and to answer. What is read once "
        "for all documents counts as a share of each.",
        "Rows in which answers were reused are left out; where a method has no other, it says so.",
        "State bytes: of what was learned, after the last round: tensors, and the rest as JSON. "
        "The mean over runs, with the range where it is over 1 % of it.",
    ]
    return Table("Methods compared, what a document and an answer cost", header, rows, notes)


def _learning(runs: Sequence[RunView]) -> list[str]:
    """Return seconds and tokens a document."""
    seconds = [
        timing["seconds"] / _documents_per_round(run)
        for run in runs
        for name, timing in run.timings.items()
        if name.startswith("lesson_")
    ]
    tokens = [
        run.result["budget"]["input_tokens"] / (len(run.rounds) * _documents_per_round(run))
        for run in runs
    ]
    return [_middle(seconds, 2) if seconds else NOT_MEASURED, _ranged(tokens)]


def _middle(values: Sequence[float], places: int) -> str:
    """Return the median with the quartiles beside it, where there are as many as four values."""
    text = number(median(values), places)
    if len(values) < LEAST_FOR_QUARTILES:
        return text
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{text} ({number(low, places)} to {number(high, places)})"


def _ranged(values: Sequence[float]) -> str:
    """Return the mean in whole numbers, with the range where it matters."""
    text = entry_text(round(mean(values)))
    if max(values) - min(values) <= WIDE * mean(values):
        return text
    return f"{text} ({entry_text(round(min(values)))} to {entry_text(round(max(values)))})"


def _documents_per_round(run: RunView) -> int:
    return int(run.settings["documents"]["documents_per_round"])


def _answering(runs: Sequence[RunView]) -> list[str]:
    """Return seconds and tokens an answer; not measured where the rows have no times of their own.

    Row 0 is left out: nothing is learned then that a prompt or a mixture could hold.
    """
    found = [
        timing
        for run in runs
        for row in range(1, len(run.rounds) + 1)
        if (timing := run.timings.get(f"answers_row{row}")) and timing["num_computed"]
    ]
    whole = [timing for timing in found if not timing["num_reused"]]
    rows = whole or found
    if not rows:
        return [NOT_MEASURED, NOT_MEASURED]
    seconds = _middle([timing["seconds"] / timing["num_computed"] for timing in rows], 3)
    tokens = sum(map(_answering_tokens, rows)) / sum(timing["num_computed"] for timing in rows)
    mark = "" if whole else REUSED
    return [seconds + mark, f"{tokens:,.0f}{mark}"]


def _answering_tokens(timing: Mapping[str, Any]) -> int:
    """Return the tokens that were computed to answer a row."""
    return int(timing["prompt_tokens"] + timing["choice_tokens"] + timing["generated_tokens"])


def _state(runs: Sequence[RunView]) -> str:
    """Return the mean bytes of the last state; their range where it matters."""
    found = [run.result["budget"].get("state_bytes") for run in runs]
    sizes = [size for size in found if size is not None]
    if len(sizes) < len(found):
        return NOT_MEASURED
    return _ranged(sizes)
