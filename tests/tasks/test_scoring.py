"""Scores of one example, each worked by hand, and what holds for any answer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compositional.tasks.scoring import (
    HEADLINE_SCORES,
    NO_CALL,
    SCORE_NAMES,
    f1,
    score_example,
)
from compositional.tasks.types import Call, Example, Prediction, Skill, Step

SKILLS = {
    "weather": Skill("weather", "", {"type": "object", "properties": {"days": {"type": "integer"}}})
}
ALARM = ("alarm", {})
OSLO = ("weather", {"city": "Oslo", "days": 3})
ROME = ("weather", {"city": "Rome", "days": 1})


def example(*calls: tuple[str, Any]) -> Example:
    return Example("0", "query", tuple(Step(name, json.dumps(args)) for name, args in calls))


def scores(gold: Example, *calls: tuple[str, Any], skills: Any = SKILLS) -> dict[str, float]:
    return score_example(gold, Prediction("", tuple(Call(*call) for call in calls)), skills)


def unparsed(gold: Example, *tools: str, parts: tuple[Call | None, ...] = ()) -> dict[str, float]:
    return score_example(gold, Prediction("", None, tools, parts=parts), SKILLS)


def test_f1_is_twice_right_over_gold_and_predicted() -> None:
    assert f1(1, 2, 2) == 0.5
    assert f1(1, 1, 3) == 0.5
    assert f1(0, 0, 0) == 1.0
    assert f1(0, 0, 1) == f1(0, 1, 0) == 0.0


def test_a_right_answer_scores_one_everywhere() -> None:
    result = scores(example(OSLO, ROME), OSLO, ROME)
    errors = {name: result.pop(name) for name in ("parse_error_rate", "seed_parse_error_rate")}
    assert set(errors.values()) == {0.0}
    assert set(result.values()) == {1.0}
    assert set(result) | set(errors) == set(SCORE_NAMES)


def test_order_counts_only_in_the_ordered_match() -> None:
    result = scores(example(OSLO, ROME), ROME, OSLO)
    assert result["exact_match"] == result["argument_f1"] == result["slot_f1"] == 1.0
    assert result["exact_match_ordered"] == 0.0


def test_a_repeated_call_is_counted_except_by_the_seed() -> None:
    result = scores(example(OSLO), OSLO, OSLO, OSLO)
    assert result["tool_f1"] == result["argument_f1"] == 2 * 1 / (1 + 3)
    assert result["slot_f1"] == 2 * 2 / (2 + 6)
    assert result["exact_match"] == 0.0
    assert result["seed_tool_f1"] == result["seed_argument_f1"] == 1.0
    assert result["seed_exact_match"] == 0.0


def test_one_of_two_calls_with_one_wrong_value() -> None:
    result = scores(example(OSLO, ROME), ("weather", {"city": "Oslo", "days": 4}), ROME)
    assert result["tool_f1"] == 1.0
    assert result["argument_f1"] == 0.5
    assert result["slot_f1"] == 2 * 3 / (4 + 4)
    assert result["exact_match"] == 0.0


def test_arguments_of_a_wrong_tool_score_for_the_seed_alone() -> None:
    result = scores(example(OSLO), ("map", OSLO[1]))
    assert result["tool_f1"] == result["argument_f1"] == result["slot_f1"] == 0.0
    assert result["seed_argument_f1"] == result["seed_exact_match"] == 1.0


def test_coercion_and_lower_case() -> None:
    coerced = scores(example(OSLO), ("weather", {"city": " Oslo", "days": "3"}))
    assert coerced["argument_f1"] == 1.0
    assert coerced["seed_argument_f1"] == 0.0
    assert (
        scores(example(OSLO), ("weather", {"city": "Oslo", "days": "3"}), skills={})["argument_f1"]
        == 0.0
    )
    lower = scores(example(OSLO), ("weather", {"city": "oslo", "days": 3}))
    assert lower["argument_f1"] == 0.0
    assert lower["argument_f1_nocase"] == 1.0


def test_nonempty_applies_where_every_gold_call_has_arguments() -> None:
    assert "argument_f1_nonempty" not in scores(example(OSLO, ALARM), OSLO)
    assert scores(example(OSLO, ROME), OSLO)["argument_f1_nonempty"] == 2 / 3
    assert unparsed(example(OSLO))["argument_f1_nonempty"] == 0.0


def test_an_unparsed_answer_scores_zero_and_is_counted() -> None:
    result = unparsed(example(OSLO, ROME), "weather")
    assert result["parse_error_rate"] == result["seed_parse_error_rate"] == 1.0
    assert result["tool_f1_lenient"] == 2 * 1 / (2 + 1)
    assert result["seed_tool_f1"] == 1.0
    zero = set(SCORE_NAMES) - {
        "parse_error_rate",
        "seed_parse_error_rate",
        "tool_f1_lenient",
        "seed_tool_f1",
    }
    assert {result[name] for name in zero} == {0.0}


def test_the_seed_counts_the_calls_of_an_unparsed_answer() -> None:
    parts = (None, Call(*OSLO), None)
    result = unparsed(example(OSLO, ROME), "weather", parts=parts)
    assert result["seed_parse_error_rate"] == 2.0
    assert result["seed_argument_f1"] == 2 * 1 / (2 + 3)
    assert result["seed_tool_f1"] == 1.0
    assert result["parse_error_rate"] == 1.0
    assert result["argument_f1"] == 0.0


def test_no_call_expected_and_none_given_is_right() -> None:
    result = scores(example())
    assert {result.pop(name) for name in ("parse_error_rate", "seed_parse_error_rate")} == {0.0}
    assert set(result.values()) == {1.0}
    assert NO_CALL in result
    assert "argument_f1_nonempty" not in result


def test_no_call_expected_and_one_given_is_wrong() -> None:
    assert set(scores(example(), OSLO).values()) == {0.0}
    result = unparsed(example())
    assert result["parse_error_rate"] == result["seed_parse_error_rate"] == 1.0
    ours = {v for name, v in result.items() if name in SCORE_NAMES and "seed" not in name}
    assert ours == {0.0, result["parse_error_rate"]}
    assert result["tool_f1_lenient"] == result[NO_CALL] == 0.0


def test_none_given_where_calls_are_expected_is_wrong() -> None:
    result = scores(example(OSLO))
    assert set(result.values()) == {0.0}
    assert NO_CALL not in result


def test_headlines_are_scores() -> None:
    assert set(HEADLINE_SCORES) <= set(SCORE_NAMES)


ARGUMENTS = st.dictionaries(
    st.sampled_from(["city", "days"]), st.sampled_from([1, 2, "1", "Rome", "rome"]), max_size=2
)
CALLS = st.lists(st.tuples(st.sampled_from(["weather", "map"]), ARGUMENTS), max_size=4)


@given(CALLS, CALLS, st.randoms(use_true_random=False))
def test_what_holds_for_any_answer(gold: Any, calls: Any, random: Any) -> None:
    result = scores(example(*gold), *calls)
    assert all(0.0 <= value <= 1.0 for value in result.values())
    assert result["argument_f1"] <= result["argument_f1_nocase"]
    assert result["argument_f1"] <= result["tool_f1"] == result["tool_f1_lenient"]
    assert result["exact_match_ordered"] <= result["exact_match"]
    assert (result["exact_match"] == 1.0) == (result["argument_f1"] == 1.0)
    assert result["slot_f1"] == 1.0 or result["exact_match"] == 0.0
    random.shuffle(calls)
    shuffled = scores(example(*gold), *calls)
    shuffled["exact_match_ordered"] = result["exact_match_ordered"]
    assert shuffled == result


@pytest.mark.parametrize("name", ["tool_f1", "argument_f1", "slot_f1"])
@given(gold=CALLS, calls=CALLS)
def test_without_alternatives_gold_and_answer_may_change_places(
    name: str, gold: Any, calls: Any
) -> None:
    forward = scores(example(*gold), *calls)[name]
    backward = scores(example(*calls), *gold)[name]
    assert forward == pytest.approx(backward)
