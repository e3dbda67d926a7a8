"""Means of scores over examples, and over numbers of calls."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from compositional.tasks.scoring import NO_CALL, SCORE_NAMES
from compositional.tasks.types import Example


def average_scores(
    examples: Sequence[Example], scores: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """Average the scores of a test set.

    Unanswerable examples, which expect no call, enter no average; their share that was answered
    by no call stands in a column of its own.

    Args:
        examples: The examples.
        scores: What `score_example` gives for each.

    Returns:
        `n`, the number of answerable examples; the mean over them of each of `SCORE_NAMES`, None
        where it applies to none; `argument_f1_nonempty_n`, to how many that score applies;
        `mean_over_num_calls`, the unweighted mean over numbers of gold calls; `by_num_calls`, `n`
        and means for each number of gold calls; `num_unanswerable` and `no_call`.
    """
    by_num_calls: dict[int, list[Mapping[str, float]]] = {}
    for example, row in zip(examples, scores, strict=True):
        by_num_calls.setdefault(len(example.steps or ()), []).append(row)
    unanswerable = by_num_calls.pop(0, [])
    groups = {str(num): _means(by_num_calls[num]) for num in sorted(by_num_calls)}
    answerable = [row for rows in by_num_calls.values() for row in rows]
    return {
        **_means(answerable),
        "mean_over_num_calls": {
            name: mean([group[name] for group in groups.values()]) for name in SCORE_NAMES
        },
        "by_num_calls": groups,
        "num_unanswerable": len(unanswerable),
        NO_CALL: mean([row[NO_CALL] for row in unanswerable]),
    }


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float | int | None]:
    means: dict[str, float | int | None] = {"n": len(rows)}
    means |= {name: mean([row.get(name) for row in rows]) for name in SCORE_NAMES}
    means["argument_f1_nonempty_n"] = sum("argument_f1_nonempty" in row for row in rows)
    return means


def mean(values: Sequence[float | int | None]) -> float | None:
    """Return the mean of the values that apply, exact in its sum; None where none does."""
    applicable = [value for value in values if value is not None]
    return math.fsum(applicable) / len(applicable) if applicable else None
