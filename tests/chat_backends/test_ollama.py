"""A test of the protocol, by a shim in front of llama.cpp; Ollama itself is not asked."""

import json

import ollama
import pytest
from jsonschema import Draft202012Validator

from compositional.chat_backends.base import Message, TooLongError
from compositional.chat_backends.ollama import OllamaBackend
from compositional.errors import BackendError, ConfigError
from tests.ollama_shim import NAME
from tests.servers_toy import say_json, serving

SCHEMA = {
    "type": "object",
    "properties": {"said": {"type": "string", "maxLength": 8}},
    "required": ["said"],
    "additionalProperties": False,
}
HI = [Message("user", "hi")]
MEND = [*HI, Message("assistant", "{"), Message("user", "again")]
OPTIONS = {"num_ctx": 2048, "num_predict": 60, "temperature": 0, "seed": 0}


@pytest.fixture
def official(ollama_url: str):
    client = ollama.Client(ollama_url, trust_env=False)
    yield client
    client._client.close()


def test_the_official_client_speaks_with_the_shim(official: ollama.Client) -> None:
    assert [model.model for model in official.list().models] == [NAME]
    said = [{"role": "user", "content": "hi"}]
    answered = official.chat("toy", said, format=SCHEMA, options=OPTIONS)
    assert Draft202012Validator(SCHEMA).is_valid(json.loads(answered.message.content))
    parts = list(official.chat("toy", said, format=SCHEMA, options=OPTIONS, stream=True))
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert "".join(part.message.content for part in parts).strip() == answered.message.content
    assert parts[-1].eval_count == answered.eval_count > 0
    with pytest.raises(ollama.ResponseError, match="model 'other' not found"):
        official.chat("other", said)


def test_ours_is_answered_as_the_official_client_is(
    official: ollama.Client, ollama_url: str
) -> None:
    ours = OllamaBackend(ollama_url, "toy", 60, 0, num_ctx=2048)
    ours.check()
    reply = ours.chat(HI, SCHEMA, max_tokens=60)
    said = [{"role": "user", "content": "hi"}]
    expected = official.chat("toy", said, format=SCHEMA, options=OPTIONS)
    assert reply.text == expected.message.content
    assert reply.prompt_tokens > 0
    assert reply.completion_tokens == expected.eval_count
    assert ours.chat(HI, None, max_tokens=5).completion_tokens <= 5


def test_what_is_sent() -> None:
    answer = {"message": {"content": "yes"}, "prompt_eval_count": 7, "eval_count": 3}
    with serving(lambda handler, _: say_json(handler, answer)) as server:
        backend = OllamaBackend(server.url, "m", 20, 0, 4096, "Be brief.")
        reply = backend.chat(HI, SCHEMA, max_tokens=9, temperature=0.5, seed=3)
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ("yes", 7, 3)
    ((path, body),) = server.seen
    assert path == "/api/chat"
    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
        ],
        "stream": False,
        "format": SCHEMA,
        "options": {"num_ctx": 4096, "num_predict": 9, "temperature": 0.5, "seed": 3},
    }


def test_the_model_must_be_there(ollama_url: str) -> None:
    with pytest.raises(ConfigError, match=r"has no model 'tox'; .*toy:latest"):
        OllamaBackend(ollama_url, "tox", 60, 0, 2048).check()
    first = OllamaBackend(ollama_url, "", 60, 0, 2048)
    first.check()
    assert first.model == NAME
    with pytest.raises(BackendError, match="answered HTTP 404: model 'tox' not found"):
        OllamaBackend(ollama_url, "tox", 60, 0, 2048).chat(HI, None, max_tokens=5)


def test_a_prompt_that_the_server_would_cut_is_refused(ollama_url: str) -> None:
    with pytest.raises(TooLongError, match=r"over backend\.num_ctx \(20\)"):
        OllamaBackend(ollama_url, "toy", 60, 0, num_ctx=20).chat(HI, None, max_tokens=5)
    with pytest.raises(ConfigError, match=r"backend\.num_ctx is 0"):
        OllamaBackend(ollama_url, "toy", 60, 0, num_ctx=0)


def test_a_further_turn_is_refused_unless_the_whole_conversation_fits() -> None:
    """7 tokens asked and 3 answered; 9 are kept for what is said next and 9 for its answer."""
    answer = {"message": {"content": "{"}, "prompt_eval_count": 7, "eval_count": 3}
    for num_ctx, is_asked in ((28, True), (27, False)):
        with serving(lambda handler, _: say_json(handler, answer)) as server:
            backend = OllamaBackend(server.url, "m", 20, 0, num_ctx)
            backend.chat(HI, None, max_tokens=9)
            if is_asked:
                assert backend.chat(MEND, None, max_tokens=9).text == "{"
            else:
                with pytest.raises(TooLongError, match=r"may go over backend\.num_ctx \(27\)"):
                    backend.chat(MEND, None, max_tokens=9)
        assert len(server.seen) == 1 + is_asked
    with serving(lambda handler, _: say_json(handler, answer)) as server:
        backend = OllamaBackend(server.url, "m", 20, 0, 45)
        backend.chat(HI, None, max_tokens=9)
        long = [*MEND[:2], Message("user", "x" * 27)]  # 10 + 27 + 9 are over 45
        with pytest.raises(TooLongError, match="with 27 for a further turn and 9 for the answer"):
            backend.chat(long, None, max_tokens=9)
        assert backend.chat(HI, None, max_tokens=9).text == "{"  # another conversation


def test_the_shim_drops_the_oldest_turns_without_a_word_and_ours_does_not_ask_it(
    official: ollama.Client, ollama_url: str
) -> None:
    def count(messages: list[Message], num_ctx: int) -> int:
        said = [vars(message) for message in messages]
        options = {**OPTIONS, "num_predict": 4, "num_ctx": num_ctx}
        return int(official.chat("toy", said, options=options).prompt_eval_count or 0)

    whole, last = count(MEND, 2048), count(MEND[2:], 2048)
    assert whole > last > 0
    assert count(MEND, whole) == whole
    assert count(MEND, whole - 1) < whole
    assert count(MEND, last) == last
    ours = OllamaBackend(ollama_url, "toy", 60, 0, num_ctx=last + 4)
    ours.chat(HI, None, max_tokens=4)
    with pytest.raises(TooLongError, match="may go over"):
        ours.chat(MEND, None, max_tokens=4)


@pytest.mark.parametrize("value", [{}, [], {"message": "x"}, {"message": None}, {"models": 3}])
def test_an_answer_that_is_none_is_one_line(value: object) -> None:
    with serving(lambda handler, _: say_json(handler, value)) as server:
        backend = OllamaBackend(server.url, "m", 20, 0, 2048)
        with pytest.raises(BackendError, match="/api/chat answered no chat message but"):
            backend.chat(HI, None, max_tokens=5)
        with pytest.raises(BackendError, match="/api/tags lists no models"):
            backend.check()
