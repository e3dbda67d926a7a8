from dataclasses import replace

import pytest

from compositional.errors import ConfigError, ModelError
from compositional.methods.icl import Icl, IclConfig
from compositional.methods.zero_shot import ZeroShotConfig
from compositional.models.language_model import LanguageModel
from compositional.tasks.types import Example
from tests.rounds_toy import NAMES, toy_benchmark, toy_context, toy_round

QUERY = Example("q", "what is the time", None)


@pytest.fixture
def model(toy) -> LanguageModel:
    return LanguageModel(toy)


def build(model: LanguageModel, **settings) -> Icl:
    return IclConfig(**settings).build(model, toy_benchmark(3))


def prompt_text(method: Icl) -> str:
    return method.model.text(method.prompt(QUERY))


def test_before_anything_is_taught_it_is_zero_shot(model) -> None:
    method, zero_shot = (
        build(model, demonstrations=1),
        ZeroShotConfig().build(model, toy_benchmark(3)),
    )
    assert method.prompt(QUERY) == zero_shot.prompt(QUERY)
    run = toy_context()
    expected = zero_shot.answer([QUERY], run)
    found = method.answer([QUERY], run)
    assert found == expected
    assert [answer.reused for answer in found] == [True]  # a cell like zero-shot's costs nothing


@pytest.mark.parametrize("tool_format", ["compact", "full"])
def test_the_prompt_holds_exactly_the_tools_taught_so_far(model, tool_format) -> None:
    method, run = build(model, tool_format=tool_format), toy_context()
    for index in (1, 2, 3):
        method.learn(toy_round(index), run)
        text = prompt_text(method)
        for taught, names in enumerate(NAMES, start=1):
            assert [text.count(name) for name in names] == [int(taught <= index)] * 2
        order = [text.index(name) for names in NAMES[:index] for name in names]
        assert order == sorted(order)
        assert text.endswith("what is the time<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize("num", [0, 1])
def test_demonstrations_are_the_first_one_call_training_rows_of_each_tool(model, num) -> None:
    method = build(model, demonstrations=num)
    method.learn(toy_round(1), toy_context())
    # training rows: 0 get_time, 1 set_alarm, 2 both, 3 get_time
    expected = {0: [], 1: ["get_time-0", "set_alarm-1"]}
    assert [d.id for d in method.toolbox.demonstrations(method.toolbox.skills)] == expected[num]
    text = prompt_text(method)
    assert text.count('"arguments": {"what"') == len(expected[num])
    assert "get time x6" not in text  # no test row


def test_what_it_keeps_is_counted_and_restored(model) -> None:
    method, run = build(model, demonstrations=1), toy_context()
    method.learn(toy_round(1), run)
    assert run.budget.buffer_bytes > 0
    other = build(model, demonstrations=1)
    other.load_state_dict(method.state_dict())
    assert other.prompt(QUERY) == method.prompt(QUERY)
    assert (run.budget.steps, run.budget.trained_parameters) == (0, 0)


def test_a_prompt_over_the_window_is_refused_when_it_is_built(toy) -> None:
    benchmark = toy_benchmark(3)
    method = build(LanguageModel(toy))
    for round_ in benchmark.rounds:
        method.learn(round_, toy_context())
    asked = [e for r in benchmark.rounds for e in (*r.test, *r.validation)]
    longest = max(len(method.prompt(e)) for e in [*asked, *benchmark.mixed])
    IclConfig().build(LanguageModel(toy, max_length=longest), benchmark)
    with pytest.raises(ModelError, match=f"with 6 tools takes {longest} tokens, over the window"):
        IclConfig().build(LanguageModel(toy, max_length=longest - 1), benchmark)


@pytest.mark.parametrize("config", [IclConfig(), ZeroShotConfig()])
@pytest.mark.parametrize("name", ["mixed", "unanswerable"])
def test_queries_outside_the_rounds_must_fit_too(model, name, config) -> None:
    benchmark = toy_benchmark(1)
    long = replace(getattr(benchmark, name)[0], query="x" * 3000)
    with pytest.raises(ModelError, match="over the window of 2048"):
        config.build(model, replace(benchmark, **{name: (long,)}))


def test_settings_that_cannot_be(model) -> None:
    with pytest.raises(ConfigError, match="demonstrations is -1"):
        build(model, demonstrations=-1)
    with pytest.raises(ConfigError, match="unknown tool format"):
        build(model, tool_format="short")
