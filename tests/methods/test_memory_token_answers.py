from dataclasses import replace

import pytest

from compositional.generation.answers import Answer
from compositional.methods.memory_tokens import MemoryTokensConfig
from compositional.methods.row_text import read_answer
from compositional.run_context import RunContext
from compositional.settings import EvaluationConfig, TrainingConfig
from compositional.streams import Streams
from compositional.tasks.types import Call, Prediction
from tests.methods_toy import ROWS_ALONE, learned
from tests.rounds_toy import toy_benchmark, toy_context, toy_round


def test_row_0_is_no_call_throughout(model) -> None:
    method = ROWS_ALONE.build(model, toy_benchmark(1))
    examples = [example.hidden() for example in toy_round(1).test]
    assert method.answer(examples, toy_context()) == [Prediction("", ())] * 3


@pytest.fixture
def parse(model):
    """Returns what the method makes of an answer, written with rows as `<|name|>`."""
    method = learned(replace(ROWS_ALONE, end_of_call=True), model)
    ids = {f"<|{n}|>": model.num_text_ids + i for i, n in enumerate(method.rows.names)}

    def read(text: str, ended: bool = True) -> Prediction:
        tokens: list[int] = []
        while text:
            name = next((name for name in ids if text.startswith(name)), None)
            piece = name or text[0]
            tokens += [ids[name]] if name else model.chat.target_ids(piece)
            text = text[len(piece) :]
        return read_answer(model, method.rows.names, Answer(tuple(tokens), ended))

    return read


def test_one_call(parse) -> None:
    text = '<|get_time|>{"what": "x"}'
    found = parse(text)
    assert found == Prediction(
        text, (Call("get_time", {"what": "x"}),), ("get_time",), num_tokens=1 + 13
    )


def test_repeated_rows_are_calls_each(parse) -> None:
    found = parse('<|set_alarm|>{"a": 1} <|get_time|> {}<|set_alarm|>{"a": 1}')
    assert found.calls == (Call("set_alarm", {"a": 1}), Call("get_time", {}),
                           Call("set_alarm", {"a": 1}))  # fmt: skip
    assert found.tools == ("set_alarm", "get_time", "set_alarm")
    assert found.parts == ()


@pytest.mark.parametrize(
    "text", ["", "no idea", '{"name": "get_time", "arguments": {}}', "<|end_of_call|>"]
)
def test_no_row_is_no_call(parse, text) -> None:
    found = parse(text)
    assert (found.calls, found.tools, found.parts) == ((), (), ())
    assert found.raw == text


def test_text_before_the_first_row_is_ignored(parse) -> None:
    assert parse('Sure: {"b"<|get_time|>{}').calls == (Call("get_time", {}),)


@pytest.mark.parametrize(
    "broken", ['{"a": ', "", '{"a": 1} {"b": 2}', "[1]", '{"a": 1} and', '{"a": NaN}', "null"]
)
def test_one_call_that_does_not_parse_spoils_the_example(parse, broken) -> None:
    found = parse(f"<|set_alarm|>{{}}<|get_time|>{broken}")
    assert found.calls is None
    assert found.tools == ("set_alarm", "get_time")
    assert found.parts == (Call("set_alarm", {}), None)


def test_a_call_that_the_limit_cuts_off_does_not_parse(parse) -> None:
    found = parse('<|get_time|>{"what": "x', ended=False)
    assert (found.calls, found.tools, found.parts) == (None, ("get_time",), (None,))


def test_the_end_of_call_row_is_no_tool(parse) -> None:
    found = parse("<|get_time|>{}<|end_of_call|><|set_alarm|>{}<|end_of_call|>")
    assert found.tools == ("get_time", "set_alarm")
    assert found.calls == (Call("get_time", {}), Call("set_alarm", {}))


# Ground-truth tools


@pytest.mark.parametrize("end_of_call", [False, True])
def test_ground_truth_tools_are_forced_in_order(model, end_of_call) -> None:
    benchmark = toy_benchmark(2)
    config = replace(ROWS_ALONE, use_ground_truth_tools=True, end_of_call=end_of_call)
    method, run = config.build(model, benchmark), toy_context(max_new_tokens=30)
    assert method.traits.sees == {"tools"}
    method.learn(benchmark.rounds[0], run)
    examples = [e.hidden(method.traits.sees) for r in benchmark.rounds for e in r.test]
    predictions = method.answer(examples, run)
    for example, prediction in zip(examples, predictions, strict=True):
        taught = [s.skill for s in example.steps if s.skill in ("get_time", "set_alarm")]
        assert list(prediction.tools) == taught[: len(prediction.tools)]
        assert bool(prediction.tools) == bool(taught)  # the first row always comes
    assert predictions[-1] == Prediction("", ())  # its tools are of a round to come


def test_ground_truth_tools_with_an_end_of_call_row_keep_what_was_trained(model) -> None:
    """Learned by heart, the forced answer is the training row: its ends of calls stay."""
    benchmark = toy_benchmark(1, epochs=60)
    evaluation = EvaluationConfig(max_new_tokens=60)
    run = RunContext(Streams(0), training=TrainingConfig(batch_size=2), evaluation=evaluation)
    config = MemoryTokensConfig(
        lr=2e-2, lora_lr=1e-2, end_of_call=True, use_ground_truth_tools=True
    )
    method = config.build(model, benchmark)
    method.learn(benchmark.rounds[0], run)
    two_calls = next(e for e in benchmark.rounds[0].train if len(e.steps) == 2)
    swapped = replace(two_calls, steps=two_calls.steps[::-1]).hidden(method.traits.sees)
    for example in (two_calls.hidden(method.traits.sees), swapped):
        found = method.answer([example], run)[0]
        assert found.tools == tuple(step.skill for step in example.steps)
        assert found.raw.count("<|end_of_call|>") == 2
