import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compositional.errors import ConfigError
from compositional.methods.constant import ConstantConfig, most_frequent_calls
from compositional.methods.stored import stored_bytes
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.scoring import score_example
from compositional.tasks.types import Call, Example, Prediction, Round, Skill, Step
from tests.rounds_toy import toy_context

TOOLS = ("a", "b", "c", "d")
SKILLS = {name: Skill(name, name, {"type": "object", "properties": {}}) for name in TOOLS}


def example(*calls: tuple[str, dict]) -> Example:
    return Example("e", "q", tuple(Step(name, json.dumps(values)) for name, values in calls))


def round_of(rows: list[Example], index: int = 1) -> Round:
    return Round(index, f"r{index}", 1, tuple(SKILLS.values()), tuple(rows), (), ())


def constant(maximise: str = "tool_f1"):
    benchmark = Benchmark((), None, (), (), SKILLS, {}, "")
    return ConstantConfig(maximise).build(None, benchmark)  # no model answers


def mean_score(rows: list[Example], calls: tuple[Call, ...], name: str) -> float:
    prediction = Prediction("", calls, tuple(call.name for call in calls))
    return float(np.mean([score_example(row, prediction, SKILLS)[name] for row in rows]))


def test_by_hand() -> None:
    rows = [
        example(("a", {"x": 1})),
        example(("a", {"x": 2}), ("b", {})),
        example(("a", {"x": 2}), ("b", {}), ("c", {"y": "z"})),
    ]
    method = constant()
    method.learn(round_of(rows), toy_context())
    # tool F1 of [a]: 1, 2/3, 2/4; of [a, b]: 2/3, 1, 4/5; of [a, b, c]: 1/2, 4/5, 1
    assert method.calls == (Call("a", {"x": 2}), Call("b", {}))
    (answer,) = method.answer([Example("q", "other", None)], toy_context())
    assert answer.calls == method.calls
    assert answer.tools == ("a", "b")
    assert answer.raw == '{"name": "a", "arguments": {"x": 2}}\n{"name": "b", "arguments": {}}'
    assert method.traits.only_score == "tool_f1"
    assert not method.traits.has_first_row
    assert method.model is None


rows_of_calls = st.lists(
    st.lists(st.tuples(st.sampled_from(TOOLS), st.integers(0, 2)), min_size=1, max_size=4).map(
        lambda calls: example(*((name, {"x": value}) for name, value in calls))
    ),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, max_examples=60)
@given(rows_of_calls, st.sampled_from(["tool_f1", "argument_f1", "exact_match", "slot_f1"]))
def test_no_number_of_tools_is_better_on_the_training_rows(rows, name) -> None:
    method = constant(name)
    method.learn(round_of(rows), toy_context())
    best = mean_score(rows, method.calls, name)
    count = Counter(step.skill for row in rows for step in row.steps)
    ranked = sorted(count, key=lambda tool: (-count[tool], tool))
    common = {
        tool: min(
            Counter(json.dumps(json.loads(s.response)) for row in rows for s in row.steps
                    if s.skill == tool).items(),
            key=lambda pair: (-pair[1], pair[0]),
        )[0]
        for tool in ranked
    }  # fmt: skip
    everything = tuple(Call(tool, json.loads(common[tool])) for tool in ranked)
    scores = [mean_score(rows, everything[:k], name) for k in range(1, len(everything) + 1)]
    assert best == max(scores)
    assert len(method.calls) == scores.index(max(scores)) + 1  # the shortest of the best
    assert method.calls == everything[: len(method.calls)]


def test_it_learns_from_the_rows_of_all_rounds_so_far() -> None:
    method, run = constant(), toy_context()
    first = [example(("a", {})), example(("a", {}))]
    second = [example(("b", {"x": 1})) for _ in range(3)]
    method.learn(round_of(first), run)
    assert method.calls == (Call("a", {}),)
    method.learn(round_of(second, 2), run)
    # [b] scores 3/5, [b, a] 2/3 of every row
    assert method.calls == (Call("b", {"x": 1}), Call("a", {}))
    scores = [mean_score([*first, *second], method.calls[:k], "tool_f1") for k in (1, 2)]
    assert scores == pytest.approx([0.6, 2 / 3])
    assert run.budget.buffer_bytes == stored_bytes([*first, *second])


def test_equal_arguments_count_together_however_they_are_written() -> None:
    texts = ['{"x": 1, "y": 2}', '{"y":2,"x":1}', '{"x": 0, "y": 0}', '{"x": 0, "y": 0}',
             '{"x": 1,"y": 2}']  # fmt: skip
    rows = [Example("e", "q", (Step("a", text),)) for text in texts]
    assert most_frequent_calls(rows) == [Call("a", {"x": 1, "y": 2})]


def test_ties_go_to_the_lesser_name_and_text() -> None:
    rows = [example(("b", {"x": 2}), ("a", {"x": 9})), example(("b", {"x": 1}), ("a", {"x": 8}))]
    assert most_frequent_calls(rows) == [Call("a", {"x": 8}), Call("b", {"x": 1})]


def test_an_unknown_score_is_an_error() -> None:
    with pytest.raises(ConfigError, match="unknown score 'tool_f2'; did you mean 'tool_f1'"):
        constant("tool_f2")
    with pytest.raises(ConfigError, match="unknown score 'parse_error_rate'"):
        constant("parse_error_rate")
