"""Scores of one example, from its stored prediction alone.

Every F1 is 2 x right / (gold + predicted) over multisets. An unparsed example scores 0 on every
F1 and match. Where no call is expected and none is given every F1 and match is 1; where one side
only is empty it is 0.
"""

import json
from collections.abc import Mapping, Sequence

from compositional.tasks.matching import (
    GoldCall,
    count_slots,
    gold_call,
    multiset_overlap,
    num_accepted,
)
from compositional.tasks.seed_scores import seed_scores
from compositional.tasks.types import Call, Example, Prediction, Skill, Step

SCORE_NAMES = (
    "tool_f1",
    "tool_f1_lenient",
    "argument_f1",
    "argument_f1_nocase",
    "argument_f1_nonempty",
    "slot_f1",
    "exact_match",
    "exact_match_ordered",
    "parse_error_rate",
    "seed_tool_f1",
    "seed_argument_f1",
    "seed_exact_match",
    "seed_parse_error_rate",
)
"""Names of the scores of an example that expects calls, in the order of tables."""

NO_CALL = "no_call"
"""Name of the score of an unanswerable example: 1 where it was answered by no call."""

HEADLINE_SCORES = ("tool_f1", "argument_f1")
"""Scores whose matrices head a report."""


def score_example(
    example: Example, prediction: Prediction, skills: Mapping[str, Skill]
) -> dict[str, float]:
    """Score what a method answered to one example.

    Args:
        example: The example with its steps, each of which names a tool.
        prediction: The answer.
        skills: Tools by name, for the coercion of values.

    Returns:
        Each of `SCORE_NAMES` that applies, in 0..1 (`seed_parse_error_rate` may exceed 1).
        `argument_f1_nonempty` applies where every gold call has arguments. An unanswerable
        example has `no_call` besides, and enters no average.
    """
    steps = example.steps or ()
    calls = prediction.calls
    gold = [gold_call(step, skills) for step in steps]
    scores = {
        "tool_f1": _tool_f1(steps, None if calls is None else [call.name for call in calls]),
        "tool_f1_lenient": _tool_f1(steps, _lenient_tools(prediction)),
        "argument_f1": _argument_f1(gold, calls),
        "argument_f1_nocase": _argument_f1(
            [gold_call(step, skills, nocase=True) for step in steps], calls
        ),
    }
    if steps and all(_has_arguments(step) for step in steps):
        scores["argument_f1_nonempty"] = scores["argument_f1"]
    scores["slot_f1"] = _slot_f1(gold, calls)
    scores["exact_match"] = float(scores["argument_f1"] == 1.0)
    scores["exact_match_ordered"] = _exact_match_ordered(gold, calls)
    scores["parse_error_rate"] = float(calls is None)
    scores |= seed_scores(steps, prediction)
    if not steps:
        scores[NO_CALL] = float(calls == ())
    return scores


def f1(num_right: int, num_gold: int, num_predicted: int) -> float:
    """Return 2 x right / (gold + predicted); 1 where nothing is expected and nothing given."""
    total = num_gold + num_predicted
    return 2 * num_right / total if total else 1.0


def _tool_f1(steps: Sequence[Step], names: Sequence[str] | None) -> float:
    """Return the F1 of predicted tools over multisets; 0 where they could not be read."""
    if names is None:
        return 0.0
    expected = [step.skill for step in steps]
    return f1(multiset_overlap(expected, names), len(expected), len(names))


def _lenient_tools(prediction: Prediction) -> Sequence[str] | None:
    """Return the names that could be read; None where an unparsed answer has none."""
    if prediction.calls is not None:
        return [call.name for call in prediction.calls]
    return prediction.tools or None


def _argument_f1(gold: Sequence[GoldCall], calls: Sequence[Call] | None) -> float:
    """Return the F1 of whole calls, right by the largest matching of calls with gold calls."""
    if calls is None:
        return 0.0
    return f1(num_accepted(gold, calls), len(gold), len(calls))


def _slot_f1(gold: Sequence[GoldCall], calls: Sequence[Call] | None) -> float:
    """Return the F1 of (tool, argument, value) slots."""
    if calls is None:
        return 0.0
    slots = count_slots(gold, calls)
    return f1(slots.num_right, slots.num_gold, slots.num_predicted)


def _exact_match_ordered(gold: Sequence[GoldCall], calls: Sequence[Call] | None) -> float:
    """Return 1 where each call in turn is accepted by the gold call in its place."""
    if calls is None or len(calls) != len(gold):
        return 0.0
    return float(all(g.accepts(call) for g, call in zip(gold, calls, strict=True)))


def _has_arguments(step: Step) -> bool:
    return bool(json.loads(step.response))
