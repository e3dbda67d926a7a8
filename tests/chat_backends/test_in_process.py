import json

import pytest

from compositional.chat_backends.base import Message, TooLongError
from compositional.chat_backends.in_process import InProcessBackend
from compositional.chat_backends.ollama import OllamaBackend
from compositional.chat_backends.openai import OpenAiBackend
from compositional.chat_backends.settings import BackendSettings
from compositional.errors import ConfigError
from compositional.generation.uncached import greedy
from compositional.models.language_model import LanguageModel

SCHEMA = {
    "type": "object",
    "properties": {"said": {"type": "string", "maxLength": 8}},
    "required": ["said"],
    "additionalProperties": False,
}
TURNS = [Message("user", "hi"), Message("assistant", "{}"), Message("user", "again")]


def test_it_answers_a_conversation_by_the_schema(toy) -> None:
    model = LanguageModel(toy)
    backend = InProcessBackend(model)
    backend.check()
    reply = backend.chat(TURNS, SCHEMA, max_tokens=80)
    assert list(json.loads(reply.text)) == ["said"]
    prompt = model.chat.prompt_ids("again", turns=[("hi", "{}")])
    assert reply.prompt_tokens == len(prompt)
    plain = backend.chat(TURNS, None, max_tokens=6)
    assert plain.text == model.text(list(greedy(model, prompt, 6).ids))


def test_what_is_over_the_window_is_refused(toy) -> None:
    backend = InProcessBackend(LanguageModel(toy, max_length=100))
    with pytest.raises(TooLongError, match="over the window of 100"):
        backend.chat(TURNS, None, max_tokens=60)


def test_settings_build_each_kind(toy) -> None:
    model = LanguageModel(toy, "Be brief.")
    url = "http://127.0.0.1:1"
    assert isinstance(BackendSettings().build(model), InProcessBackend)
    openai = BackendSettings("openai", url).build(model)
    ollama = BackendSettings("ollama", url, num_ctx=99).build(model)
    assert isinstance(openai, OpenAiBackend)
    assert isinstance(ollama, OllamaBackend)
    assert (openai.system, ollama.system, ollama.num_ctx) == ("Be brief.", "Be brief.", 99)
    assert openai.name == ollama.name == url


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (BackendSettings("olama"), "did you mean 'ollama'"),
        (BackendSettings("openai"), r"backend\.url is ''"),
        (BackendSettings(url="http://x"), r"backend\.url is 'http://x', but backend\.kind is"),
        (BackendSettings(model="m"), r"backend\.model is 'm', but backend\.kind is in_process"),
        (BackendSettings("ollama", "http://x", retries=-1), r"backend\.retries is -1"),
    ],
)
def test_settings_that_cannot_be_are_refused(toy, settings, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings.build(LanguageModel(toy))
