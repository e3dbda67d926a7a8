import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from compositional.errors import ConfigError, DataError
from compositional.tasks.building import SourceTools, counts, unanswerable
from compositional.tasks.ranges import ToolRange
from compositional.tasks.round_request import RoundRequest
from compositional.tasks.rows import Source, xlam_row
from compositional.tasks.types import Example
from tests.tasks.toy_rows import records

REQUEST = RoundRequest(
    tools=ToolRange(1, 3),
    samples_per_tool=5,
    train_size=21,
    train_max_calls=3,
    train_ratios=(),
    test_size=7,
    test_max_calls=3,
    test_ratios=(),
    test_one_call=True,
)


def _tools(*rows_per_tool: int, data_seed: int = 1) -> SourceTools:
    rows = tuple(xlam_row(r, str(i)) for i, r in enumerate(records(rows_per_tool)))
    return SourceTools(Source("toy", None, "0" * 64, "not stated", rows, {}), data_seed)


def _calls(examples: tuple[Example, ...]) -> dict[str, int]:
    by_calls: dict[str, int] = counts(examples)["by_number_of_calls"]
    return by_calls


def _request(**changes: Any) -> RoundRequest:
    return replace(REQUEST, **changes)


def test_a_round_holds_what_is_asked_for() -> None:
    content = _tools(20, 20, 20).round(REQUEST)
    train, test = content.examples["train"], content.examples["test"]
    assert _calls(train) == {"1": 15, "2": 3, "3": 3}
    assert counts(train)["base_queries"] == 15
    assert _calls(test) == {"1": 3, "2": 2, "3": 2}
    assert counts(test)["base_queries"] == 12
    assert _calls(content.examples["validation"]) == {"1": 2, "2": 2, "3": 2}
    for example in (*train, *test):
        for step in example.steps or ():
            number = json.loads(step.response)["number"]
            assert f"Ask {step.skill.upper()} for {number}" in example.query
        assert len(example.base_ids) == len(example.steps or ())


def test_no_base_query_is_in_two_splits() -> None:
    content = _tools(20, 20, 20).round(_request(samples_per_tool=None, train_size=100))
    base_ids = [
        {base_id for example in examples for base_id in example.base_ids}
        for examples in content.examples.values()
    ]
    assert sum(len(ids) for ids in base_ids) == len(set().union(*base_ids)) == 60


def test_sizes_never_move_a_row_between_splits() -> None:
    tools = _tools(20, 20, 20)
    small = tools.round(REQUEST).splits
    large = tools.round(_request(train_size=200, test_size=50, samples_per_tool=None)).splits
    assert small == large


def test_samples_per_tool_takes_the_first_training_rows() -> None:
    content = _tools(20, 20, 20).round(_request(train_size=15))
    used = Counter(base_id for e in content.examples["train"] for base_id in e.base_ids)
    assert set(used) == {row.id for split in content.splits for row in split.train[:5]}


def test_the_data_seed_moves_split_and_composition() -> None:
    one, same, other = (
        _tools(20, 20, 20, data_seed=seed).round(REQUEST).examples for seed in (1, 1, 2)
    )
    assert one == same
    assert {e.base_ids for e in one["test"]} != {e.base_ids for e in other["test"]}


def test_ratios_override_equal_shares() -> None:
    content = _tools(20, 20, 20).round(
        _request(train_size=25, train_ratios=(0.7, 0.3), test_ratios=(1.0,))
    )
    assert _calls(content.examples["train"]) == {"1": 15, "2": 7, "3": 3}
    assert _calls(content.examples["test"]) == {"1": 3, "2": 4}


def test_a_test_set_may_hold_no_one_call_queries() -> None:
    content = _tools(20, 20, 20).round(_request(test_one_call=False))
    assert _calls(content.examples["test"]) == {"2": 4, "3": 3}


def test_training_rows_over_the_size_are_left_out_equally_and_counted() -> None:
    content = _tools(20, 20, 20).round(_request(train_size=7))
    used = Counter(e.steps[0].skill for e in content.examples["train"])
    assert content.num_left_out == 8
    assert sorted(used.values()) == [2, 2, 3]


def test_tools_without_validation_rows_are_left_out_of_validation() -> None:
    content = _tools(20, 20, 5).round(_request(test_max_calls=3, train_max_calls=2))
    assert _calls(content.examples["validation"]) == {"1": 2, "2": 2}
    assert _tools(5, 5, 5).round(REQUEST).examples["validation"] == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tools": ToolRange(2, 4)}, "beyond the 3 tools"),
        ({"train_max_calls": 4, "train_size": 40}, "holds 3 tools, too few for examples of 4"),
        ({"test_max_calls": 4}, "lower test_max_function_calls"),
        ({"train_size": 2}, "train_size 2 is below the 3 tools"),
        ({"train_ratios": (0.5, 0.25, 0.25)}, "share to examples of 4 calls"),
        ({"test_max_calls": 1, "test_one_call": False}, "without one-call queries"),
    ],
)
def test_requests_that_do_not_fit_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        _tools(20, 20, 20).round(_request(**changes))


def test_a_tool_with_too_few_rows_is_named() -> None:
    with pytest.raises(DataError, match="'charlie' has 1 row"):
        _tools(20, 20, 1).round(REQUEST)


def test_mixed_examples_join_test_queries_of_different_rounds() -> None:
    tools = _tools(20, 20, 20, 20, 20, 20)
    ranges = [ToolRange(1, 2), ToolRange(3, 4), ToolRange(5, 6)]
    examples = tools.mixed(ranges, 8, max_calls=4)
    assert _calls(examples) == {"2": 4, "3": 4}
    rounds = {"alpha": 1, "bravo": 1, "charlie": 2, "delta": 2, "echo": 3, "foxtrot": 3}
    test_ids = {row.id for r in ranges for split in tools.splits(r) for row in split.test}
    for example in examples:
        indices = [rounds[step.skill] for step in example.steps or ()]
        assert len(set(indices)) == len(indices)
        assert set(example.base_ids) <= test_ids
    assert counts(examples)["base_queries"] == 20
    with pytest.raises(ConfigError, match="there is one"):
        tools.mixed(ranges[:1], 8, max_calls=4)


def test_unanswerable_queries_share_no_word_with_a_tool() -> None:
    queries = [
        ("1", "What will the Weathers be?"),
        ("2", "Who wrote Emma?"),
        ("3", "Book 2 hotel rooms"),
        ("4", "Find a song"),
        ("5", "Is it an api?"),
    ]
    names = ["geo_api.FindWeather", "Hotels_2_lookup"]
    examples = unanswerable(queries, names, 3, data_seed=1)
    assert {e.id for e in examples} == {"2", "4", "5"}
    assert all(e.steps == () for e in examples)
    with pytest.raises(DataError, match="4 unanswerable queries are asked for and 3 are left"):
        unanswerable(queries, names, 4, data_seed=1)


def test_twins_among_all_tools_are_named() -> None:
    rows = records([3, 3])
    rows += [r | {"query": "The same for both"} for r in (rows[0], rows[3])]
    source = Source("toy", None, "", "", tuple(xlam_row(r, str(i)) for i, r in enumerate(rows)), {})
    assert SourceTools(source, 1).twins(["alpha"]) == [["alpha", "bravo"]]
