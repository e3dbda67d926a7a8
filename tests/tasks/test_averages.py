"""Means over examples and over numbers of calls."""

import pytest

from compositional.tasks.averages import average_scores, mean
from compositional.tasks.scoring import NO_CALL, SCORE_NAMES
from compositional.tasks.types import Example, Step


def example(num_calls: int) -> Example:
    return Example("0", "query", (Step("tool", "{}"),) * num_calls)


def row(value: float, **more: float) -> dict[str, float]:
    names = set(SCORE_NAMES) - {"argument_f1_nonempty"}
    return dict.fromkeys(names, value) | more


def test_averages_by_hand() -> None:
    examples = [example(n) for n in (1, 2, 1, 0, 2, 1, 0)]
    rows = [
        row(1.0),
        row(0.5, argument_f1_nonempty=0.5),
        row(0.0, argument_f1_nonempty=0.0),
        row(1.0, no_call=1.0),
        row(0.0),
        row(0.5),
        row(0.0, no_call=0.0),
    ]
    result = average_scores(examples, rows)
    assert result["n"] == 5
    assert result["tool_f1"] == pytest.approx(2 / 5)
    assert result["argument_f1_nonempty"] == pytest.approx(0.25)
    assert result["argument_f1_nonempty_n"] == 2
    assert result["by_num_calls"]["1"]["n"] == 3
    assert result["by_num_calls"]["1"]["tool_f1"] == pytest.approx(0.5)
    assert result["by_num_calls"]["2"]["tool_f1"] == pytest.approx(0.25)
    assert result["mean_over_num_calls"]["tool_f1"] == pytest.approx(0.375)
    assert result["mean_over_num_calls"]["argument_f1_nonempty"] == pytest.approx(0.25)
    assert result["num_unanswerable"] == 2
    assert result[NO_CALL] == 0.5


def test_only_unanswerable_examples_leave_every_mean_open() -> None:
    result = average_scores([example(0)], [row(1.0, no_call=1.0)])
    assert result["n"] == 0
    assert {result[name] for name in SCORE_NAMES} == {None}
    assert result["by_num_calls"] == {}
    assert result[NO_CALL] == 1.0


def test_without_unanswerable_examples_their_column_is_open() -> None:
    assert average_scores([example(1)], [row(1.0)])[NO_CALL] is None


def test_a_mean_is_over_what_applies_and_exact_in_its_sum() -> None:
    assert mean([0.1] * 10) == 0.1
    assert mean([None, 1.0, None, 0.0]) == 0.5
    assert mean([None]) is None
