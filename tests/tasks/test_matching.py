"""Matching: acceptance by hand, pairings against all permutations."""

import json
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compositional.tasks.matching import (
    GoldCall,
    SlotCounts,
    count_slots,
    gold_call,
    multiset_overlap,
    num_accepted,
)
from compositional.tasks.types import Call, Skill, Step

WEATHER = Skill(
    "weather",
    "",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
    },
)
SKILLS = {"weather": WEATHER}


def step(arguments: Any, acceptable: Any = None, tool: str = "weather") -> Step:
    return Step(tool, json.dumps(arguments), acceptable)


def test_without_alternatives_every_argument_is_due_and_no_other_is_right() -> None:
    gold = gold_call(step({"city": "Oslo", "days": 3}), SKILLS)
    assert gold.num_due == 2
    assert gold.accepts(Call("weather", {"days": "3", "city": " Oslo"}))
    assert not gold.accepts(Call("Weather", {"days": 3, "city": "Oslo"}))
    assert not gold.accepts(Call("weather", {"city": "Oslo"}))
    assert not gold.accepts(Call("weather", {"city": "Oslo", "days": 4}))
    assert not gold.accepts(Call("weather", {"city": "Oslo", "days": 3, "unit": "C"}))


def test_an_argument_is_due_if_its_list_lacks_the_empty_string_whatever_is_required() -> None:
    gold = gold_call(
        step({"city": "Oslo"}, {"city": ["Oslo", "Oslo, NO"], "days": ["", 1]}), SKILLS
    )
    assert gold.num_due == 1
    assert gold.accepts(Call("weather", {"city": "Oslo, NO"}))
    assert gold.accepts(Call("weather", {"city": "Oslo", "days": "1"}))
    assert gold.accepts(Call("weather", {"city": "Oslo", "days": ""}))
    assert not gold.accepts(Call("weather", {"city": "Oslo", "days": 2}))
    assert not gold.accepts(Call("weather", {"days": 1}))
    assert not gold.accepts(Call("weather", {"city": "Oslo", "unit": "C"}))


def test_an_allowed_value_may_be_an_object() -> None:
    gold = gold_call(step({}, {"place": [{"lat": 1, "lon": 2}, [1, 2]]}, "map"), {})
    assert gold.accepts(Call("map", {"place": {"lon": 2.0, "lat": 1}}))
    assert gold.accepts(Call("map", {"place": [1, 2]}))
    assert not gold.accepts(Call("map", {"place": {"lat": 1}}))


def test_nocase_and_unknown_tools() -> None:
    gold = gold_call(step({"city": "Oslo", "days": 3}), {}, nocase=True)
    assert gold.accepts(Call("weather", {"city": "OSLO", "days": 3}))
    assert not gold.accepts(Call("weather", {"city": "OSLO", "days": "3"}))


def test_a_greedy_matching_would_miss_the_largest() -> None:
    wide = step({"city": "A"}, {"city": ["A", "B"]})
    narrow = step({"city": "A"}, {"city": ["A"]})
    gold = [gold_call(s, {}) for s in (wide, narrow)]
    assert num_accepted(gold, [Call("weather", {"city": "A"}), Call("weather", {"city": "B"})]) == 2


@pytest.mark.parametrize(
    ("gold", "calls", "expected"),
    [
        # City right, days wrong.
        ([({"city": "A", "days": 1}, None)], [{"city": "A", "days": 2}], (1, 2, 2)),
        # One argument missing, one that nobody asked for.
        ([({"city": "A", "days": 1}, None)], [{"city": "A", "unit": "C"}], (1, 2, 2)),
        # Calls without arguments are one slot each.
        ([({}, None)], [{}], (1, 1, 1)),
        ([({}, None)], [{"city": "A", "days": 1}], (0, 1, 2)),
        ([({"city": "A", "days": 1}, None)], [{}], (0, 2, 1)),
        ([({}, None), ({}, None)], [{}], (1, 2, 1)),
        # What may be left out: left out, right, wrong.
        ([({}, {"city": ["A"], "days": ["", 1]})], [{"city": "A"}], (1, 1, 1)),
        ([({}, {"city": ["A"], "days": ["", 1]})], [{"city": "A", "days": 1}], (2, 2, 2)),
        ([({}, {"city": ["A"], "days": ["", 1]})], [{"city": "A", "days": 2}], (1, 2, 2)),
        ([({}, {"days": ["", 1]})], [{}], (1, 1, 1)),
        ([({}, {"days": ["", 1]})], [{"unit": "C"}], (0, 1, 1)),
        ([({}, {"city": ["A"], "days": ["", 1]})], [], (0, 1, 0)),
        ([({}, {"days": ["", 1]})], [], (0, 1, 0)),
        ([], [{}, {"city": "A"}], (0, 0, 2)),
        # Crosswise pairing has more right slots (4) than pairing in order (1).
        (
            [({"city": "A", "days": 1}, None), ({"city": "B", "days": 2}, None)],
            [{"city": "B", "days": 2}, {"city": "A", "days": 1}],
            (4, 4, 4),
        ),
        # Equally many right either way: the pairing with fewer gold slots counts.
        (
            [({}, {"city": ["A"], "days": ["", 1]}), ({}, {"city": ["A"]})],
            [{"city": "A", "days": 2}, {"city": "A"}],
            (2, 2, 3),
        ),
    ],
)
def test_slots_by_hand(gold: list[Any], calls: list[Any], expected: tuple[int, int, int]) -> None:
    gold_calls = [gold_call(step(*args), {}) for args in gold]
    assert count_slots(gold_calls, [Call("weather", a) for a in calls]) == SlotCounts(*expected)


def test_slots_of_another_tool_are_never_right() -> None:
    gold = [gold_call(step({"city": "A"}), {})]
    assert count_slots(gold, [Call("map", {"city": "A"})]) == SlotCounts(0, 1, 1)


def slow_num_accepted(gold: Sequence[GoldCall], calls: Sequence[Call]) -> int:
    padded = [*calls, *[None] * len(gold)]
    return max(
        sum(call is not None and g.accepts(call) for g, call in zip(gold, order, strict=False))
        for order in permutations(padded, len(gold))
    )


def slow_slots(gold: Sequence[GoldCall], calls: Sequence[Call]) -> tuple[int, int]:
    """Try every pairing that pairs as many calls of each tool as can be."""
    best = (0, 0)
    for name in {g.name for g in gold}:
        mine = [g for g in gold if g.name == name]
        theirs = [call for call in calls if call.name == name]
        theirs += [None] * max(0, len(mine) - len(theirs))
        outcomes = []
        for order in permutations(theirs, len(mine)):
            num_right = num_gold = 0
            for g, call in zip(mine, order, strict=True):
                given = {} if call is None else call.arguments
                right = [key for key in given if g.is_right(key, given[key])]
                slots = [key for key, a in g.arguments.items() if a.is_due or key in given]
                is_bare = call is not None and not given and not slots
                num_right += 1 if is_bare else len(right)
                num_gold += len(slots) or 1
            outcomes.append((num_right, -num_gold))
        chosen = max(outcomes)
        best = (best[0] + chosen[0], best[1] - chosen[1])
    return best


VALUES = st.sampled_from([1, 2, "x"])
LISTS = st.lists(st.sampled_from([1, 2, "x", ""]), min_size=1, max_size=3)
KEYS = st.sampled_from("ab")
STEPS = st.builds(
    lambda tool, acceptable: Step(tool, "{}", acceptable),
    st.sampled_from("TU"),
    st.dictionaries(KEYS, LISTS, max_size=2),
)
CALLS = st.builds(
    Call, st.sampled_from("TUV"), st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)
)


@given(st.lists(STEPS, max_size=4), st.lists(CALLS, max_size=4))
def test_pairings_are_the_best_of_all(steps: list[Step], calls: list[Call]) -> None:
    gold = [gold_call(s, {}) for s in steps]
    assert num_accepted(gold, calls) == slow_num_accepted(gold, calls)
    slots = count_slots(gold, calls)
    assert (slots.num_right, slots.num_gold) == slow_slots(gold, calls)
    assert slots.num_right <= min(slots.num_gold, slots.num_predicted)


def test_multisets_share_each_element_as_often_as_both_hold_it() -> None:
    assert multiset_overlap("aab", "abbc") == 2
    assert multiset_overlap([], "a") == 0
