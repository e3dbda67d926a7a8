import json

import pytest

from compositional.errors import ConfigError
from compositional.generation.answers import Answer
from compositional.methods.prompts import (
    asked,
    call_lines,
    check_tool_format,
    describe_tool,
    request_ids,
    text_predictions,
    text_sequence,
    trained_or_asked,
)
from compositional.models.language_model import LanguageModel
from compositional.tasks.parsing import parse_text_calls
from compositional.tasks.types import Call, Example, Skill, Step
from tests.rounds_toy import example, skill, toy_benchmark

FIND = Skill(
    "shop.find",
    "Find a thing, quickly. Then more.",
    {"type": "object", "properties": {"name": {"type": "string"}, "size": {"type": "integer"}}},
)


def test_calls_are_one_json_object_a_line_with_the_real_name() -> None:
    both = Example("e", "q", (Step("shop.find", '{"name": "Zürich \\"x\\""}'), Step('a"b', "{}")))
    text = call_lines(both)
    assert text == (
        '{"name": "shop.find", "arguments": {"name": "Zürich \\"x\\""}}\n'
        '{"name": "a\\"b", "arguments": {}}'
    )
    assert parse_text_calls(text).calls == (
        Call("shop.find", {"name": 'Zürich "x"'}),
        Call('a"b', {}),
    )
    assert call_lines(Example("e", "q", ())) == ""


def test_tools_are_described_in_two_ways() -> None:
    assert describe_tool(FIND, "compact") == "- shop.find(name, size): Find a thing, quickly."
    assert json.loads(describe_tool(FIND, "full")) == {
        "name": "shop.find",
        "description": FIND.description,
        "parameters": FIND.parameters,
    }
    one_sentence = Skill("f", "Do it.", {"type": "object", "properties": {}})
    assert describe_tool(one_sentence, "compact") == "- f(): Do it."
    assert describe_tool(Skill("f", "", {}), "compact") == "- f()"


def test_an_unknown_format_is_an_error() -> None:
    check_tool_format("full")
    with pytest.raises(ConfigError, match="unknown tool format 'compac'; did you mean 'compact'"):
        check_tool_format("compac")


def test_a_request_is_the_instruction_the_tools_and_the_query(toy) -> None:
    model = LanguageModel(toy)
    assert request_ids(model, "play", "Do.") == model.chat.prompt_ids("Do.\n\nplay")
    assert request_ids(model, "play", "Do.", [FIND]) == model.chat.prompt_ids(
        "Do.\n\nTools:\n- shop.find(name, size): Find a thing, quickly.\n\nplay"
    )


def test_demonstrations_are_earlier_turns(toy) -> None:
    model = LanguageModel(toy)
    shown = [example(1, ("get_time",), 5), example(1, ("set_alarm",), 6)]
    assert request_ids(model, "play", "Do.", [FIND], shown) == model.chat.prompt_ids(
        "play",
        turns=[
            (
                "Do.\n\nTools:\n- shop.find(name, size): Find a thing, quickly.\n\nget time x5",
                '{"name": "get_time", "arguments": {"what": "x5"}}',
            ),
            ("set alarm x6", '{"name": "set_alarm", "arguments": {"what": "x6"}}'),
        ],
    )


def test_a_text_row_is_the_query_and_its_lines(toy) -> None:
    model = LanguageModel(toy)
    row = text_sequence(model, example(1, ("get_time", "set_alarm"), 3))
    assert list(row.prompt) == model.chat.prompt_ids("get time x3 and set alarm x3")
    assert row.target[-1] == model.chat.end_id
    assert model.text(list(row.target[:-1])) == call_lines(example(1, ("get_time", "set_alarm"), 3))
    assert row.num_calls == 2
    assert skill("get_time").description not in model.text(list(row.prompt))


@pytest.mark.parametrize(
    ("text", "calls", "tools", "parts"),
    [
        ("", (), (), ()),
        ("I do not know.", (), (), ()),
        ('{"name": "a", "arguments": {}}', (Call("a", {}),), ("a",), ()),
        ('{"name": "a", "arguments": {}}\n{"name": "b", "argu', None, ("a", "b"),
         (Call("a", {}), None)),
        ('{"name": "a", "arguments": [1]}', None, ("a",), (None,)),
    ],
)  # fmt: skip
def test_answers_are_read(toy, text, calls, tools, parts) -> None:
    model = LanguageModel(toy)
    ids = tuple(model.chat.target_ids(text))
    (found,) = text_predictions(model, [Answer(ids, ended=True, reused=True)])
    assert (found.raw, found.calls, found.tools, found.parts) == (text, calls, tools, parts)
    assert (found.num_tokens, found.reused) == (len(ids), True)


def test_everything_that_a_run_may_ask_is_known_before_it(toy) -> None:
    benchmark = toy_benchmark(2)
    found = asked(benchmark)
    rounds = [e for r in benchmark.rounds for e in (*r.test, *r.validation)]
    assert set(found) == {*rounds, *benchmark.mixed, *benchmark.unanswerable}
    train = [e for r in benchmark.rounds for e in r.train]
    assert set(trained_or_asked(benchmark)) == {*found, *train}
