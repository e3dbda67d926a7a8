from dataclasses import replace

import pytest

from compositional.errors import ConfigError, ModelError
from compositional.methods.prompts import INSTRUCTION, call_lines, request_ids
from compositional.methods.rag import Rag, RagConfig, tool_text
from compositional.methods.retrieval import Bm25Retriever
from compositional.models.language_model import LanguageModel
from compositional.tasks.types import Example
from tests.rounds_toy import NAMES, toy_benchmark, toy_context, toy_round

QUERIES = [Example("a", "play a song", None), Example("b", "turn the light off", None)]


@pytest.fixture
def model(toy) -> LanguageModel:
    return LanguageModel(toy)


def build(model: LanguageModel, **settings) -> Rag:
    return RagConfig(**settings).build(model, toy_benchmark(3))


def texts(method: Rag) -> list[str]:
    return [method.model.text(prompt) for prompt in method.prompts(QUERIES)]


def test_before_anything_is_taught_it_is_zero_shot(model) -> None:
    expected = [request_ids(model, query.query, INSTRUCTION) for query in QUERIES]
    assert build(model).prompts(QUERIES) == expected


def test_the_prompt_holds_the_k_best_of_the_tools_taught_so_far(model) -> None:
    for k in (1, 2, 3, 10):
        method = build(model, k=k)
        for index in (1, 2, 3):
            method.learn(toy_round(index), toy_context())
            taught = [name for names in NAMES[:index] for name in names]
            skills = method.toolbox.skills
            retriever = Bm25Retriever([tool_text(skill) for skill in skills])
            for query, text in zip(QUERIES, texts(method), strict=True):
                found = [skills[place].name for place in retriever.top(query.query, k)]
                shown = [name for names in NAMES for name in names if f"- {name}(" in text]
                assert set(shown) == set(found) <= set(taught)
                assert len(shown) == min(k, len(taught))
                places = [text.index(f"- {name}(") for name in found]
                assert places == sorted(places, reverse=True)  # the best stands last


def test_bm25_picks_the_tool_that_is_asked_for(model) -> None:
    method = build(model, k=1)
    for index in (1, 2, 3):
        method.learn(toy_round(index), toy_context())
    assert ["play_song(" in texts(method)[0], "turn_off(" in texts(method)[1]] == [True, True]


def test_the_tools_found_bring_their_demonstrations(model) -> None:
    method = build(model, k=1, demonstrations=1)
    for index in (1, 2, 3):
        method.learn(toy_round(index), toy_context())
    song, light = texts(method)
    row = toy_round(2).train[0]
    turn = (
        f"{row.query}<|im_end|>\n<|im_start|>assistant\n{call_lines(row)}<|im_end|>\n"
        "<|im_start|>user\nplay a song<|im_end|>\n<|im_start|>assistant\n"
    )
    assert song.endswith(turn)
    assert song.count("assistant\n") == light.count("assistant\n") == 2


def test_full_descriptions(model) -> None:
    method = build(model, k=1, tool_format="full")
    method.learn(toy_round(2), toy_context())
    assert '{"name": "play_song", "description": "play song. More words."' in texts(method)[0]


def test_every_prompt_must_fit_the_window(toy) -> None:
    benchmark = toy_benchmark(3)
    method = RagConfig().build(LanguageModel(toy), benchmark)
    for round_ in benchmark.rounds:
        method.learn(round_, toy_context())
    asked = [e for r in benchmark.rounds for e in (*r.test, *r.validation)]
    asked += [*benchmark.mixed, *benchmark.unanswerable]
    longest = max(map(len, method.prompts(asked)))
    RagConfig().build(LanguageModel(toy, max_length=longest), benchmark)
    with pytest.raises(ModelError, match=f"RAG's prompt of .* takes {longest} tokens"):
        RagConfig().build(LanguageModel(toy, max_length=longest - 1), benchmark)
    long = (replace(benchmark.mixed[0], query="x" * 3000),)
    with pytest.raises(ModelError, match="over the window of 2048"):
        RagConfig().build(LanguageModel(toy), replace(benchmark, mixed=long))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "k is 0"),
        ({"demonstrations": -1}, "demonstrations is -1"),
        ({"retriever": "dens"}, "did you mean 'dense'"),
        ({"tool_format": "long"}, "unknown tool format"),
    ],
)
def test_settings_that_cannot_be(model, settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        build(model, **settings)


def test_what_it_keeps_is_counted_and_restored(model) -> None:
    method, run = build(model), toy_context()
    method.learn(toy_round(1), run)
    assert run.budget.buffer_bytes > 0
    other = build(model)
    other.load_state_dict(method.state_dict())
    assert other.prompts(QUERIES) == method.prompts(QUERIES)
