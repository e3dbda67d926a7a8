"""The table of an experiment on documents: a row a method, over its orders of rounds and seeds.

A resample draws the questions of every test set, and the plain texts, once for all methods; a
figure of a method is the mean over its orders of rounds, and where there are several seeds over
seeds drawn with replacement. See `across.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from compositional.columns import GENERAL, UNTAUGHT
from compositional.documents.scoring import FALSE_RECALL
from compositional.report.across import mean_over_runs
from compositional.report.figures import MethodFigures
from compositional.report.formats import Entry, Table, markdown
from compositional.report.generality import figure_of, kept_scores, perplexity, resampled_mean
from compositional.report.method_rows import method_rows, notes_on_rows
from compositional.retention import (
    average_accuracy,
    backward_transfer,
    diagonal_mean,
    forgetting,
    measured,
)
from compositional.summary import Metric, Resampled

TITLE = "Methods compared"
CHOICES, ANSWERS = "choices", "F1"
SCORES = {CHOICES: "choice_accuracy", ANSWERS: "answer_f1"}
METRICS: Mapping[str, Metric] = {
    "final": average_accuracy,
    "transfer": backward_transfer,
    "forgetting": forgetting,
    "diagonal": diagonal_mean,
}
KEPT, RECALL = "general questions kept", "false recall"
PERPLEXITY, BEFORE = "perplexity", "perplexity before"
GROUPS = (
    (*(f"{CHOICES}, {name}" for name in METRICS), KEPT),
    (*(f"{ANSWERS}, {name}" for name in METRICS), RECALL),
    (PERPLEXITY, BEFORE),
)
"""Heads of columns; those of a group stay together where the table is too wide to be printed."""
HEADS = tuple(head for group in GROUPS for head in group)
LEADING = ("method", "orders")
TERMINAL = 160
"""Characters a line of the widest terminal that a table is to fit."""


def comparison_table(figures: Sequence[MethodFigures]) -> Table:
    """Return the scores of each method; a column that no method has is left out.

    Args:
        figures: Of all finished runs, which are on documents.
    """
    rows = method_rows(figures)
    found = [_means({key: _readings(m) for key, m in row.group.items()}) for row in rows]
    heads = [head for head in HEADS if any(means[head] is not None for means in found)]
    entries: list[list[Entry]] = [
        [row.title, row.orders, *(figure_of(means[head]) for head in heads)]
        for row, means in zip(rows, found, strict=True)
    ]
    notes = [
        "Means over the orders of rounds that a method has run, and over its seeds. In brackets: "
        "95 % intervals of one bootstrap that all methods share; it draws questions, plain texts, "
        "and seeds where there are several.",
        "Choices: accuracy among four, chance 0.25. F1: of the words of generated answers. Final: "
        "all rounds after the last one. Transfer: backward transfer, what earlier rounds gained "
        "since they were taught. Diagonal: each round right after it was taught.",
        "General questions kept: of those right before any round, the share that is right after "
        "the last. False recall: answers about documents not taught that equal one about a taught "
        "document; a sentence around an answer equals none, so it says nothing of a model that "
        "answers in sentences. Perplexity: of plain texts after the last round.",
        *notes_on_rows(rows),
    ]
    return Table(TITLE, [*LEADING, *heads], entries, notes)


def narrow(table: Table) -> list[Table]:
    """Return the table in parts that fit a terminal; the notes stand below the last of them."""
    parts: list[Table] = []
    for group in GROUPS:
        heads = [head for head in group if head in table.header]
        wider = table.brief([*(parts[-1].header if parts else LEADING), *heads])
        if parts and _width(wider) <= TERMINAL:
            parts[-1] = wider
        elif heads:
            parts.append(table.brief([*LEADING, *heads]))
    return [*parts[:-1], replace(parts[-1], notes=table.notes)] if parts else [table]


def _width(table: Table) -> int:
    return max(map(len, markdown([table]).splitlines()))


def _means(
    readings: Mapping[tuple[int, tuple[str, ...]], Mapping[str, Resampled]],
) -> dict[str, Resampled | None]:
    """Return each number's mean over runs; None where one of them lacks it."""
    return {
        head: mean_over_runs({key: found.get(head) for key, found in readings.items()})
        for head in HEADS
    }


def _readings(method: MethodFigures) -> dict[str, Resampled]:
    """Return the numbers of a run, measured and resampled, by head."""
    last = len(method.run.rounds)
    found: dict[str, Resampled | None] = {}
    for what, score_name in SCORES.items():
        matrix = method.matrix(score_name)
        for name, metric in METRICS.items():
            found[f"{what}, {name}"] = Resampled(metric(matrix.point), metric(matrix.draws))
    kept = kept_scores(method)
    recall = method.run.cells.get((last, UNTAUGHT), {}).get(FALSE_RECALL)
    found[KEPT] = None if kept is None else resampled_mean(method, GENERAL, kept)
    found[RECALL] = None if recall is None else resampled_mean(method, UNTAUGHT, recall)
    found[PERPLEXITY], found[BEFORE] = perplexity(method, last), perplexity(method, 0)
    return {h: r for h, r in found.items() if r is not None and measured(r.point) is not None}
