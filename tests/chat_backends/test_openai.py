"""Against a real llama.cpp server with a tiny random model, and against ones that misbehave."""

import json

import pytest
from jsonschema import Draft202012Validator

from compositional.chat_backends.base import Message, TooLongError
from compositional.chat_backends.openai import KEY_VARIABLE, OpenAiBackend
from compositional.errors import BackendError
from compositional.playbooks.operations import operations_schema
from compositional.playbooks.playbook import Playbook
from tests.servers_toy import completion, openai_like, say_json, serving

SCHEMA = {
    "type": "object",
    "properties": {
        "said": {"type": "string", "maxLength": 8},
        "ids": {"type": "array", "items": {"enum": ["str-00001", "str-00002"]}, "maxItems": 2},
        "operations": {
            **operations_schema(Playbook().add("facts", "a", ["a"]).add("facts", "b", ["b"]), 8),
            "maxItems": 1,
        },
    },
    "required": ["said", "ids", "operations"],
    "additionalProperties": False,
}
HI = [Message("user", "hi")]
TURNS = [Message("user", "hi"), Message("assistant", "{}"), Message("user", "again")]


@pytest.fixture
def llama(llama_url: str) -> OpenAiBackend:
    return OpenAiBackend(f"{llama_url}/v1", "", 60, 0)


def test_llama_cpp_answers_by_the_schema(llama: OpenAiBackend) -> None:
    llama.check()
    assert llama.model
    for messages in (HI, TURNS):
        reply = llama.chat(messages, SCHEMA, max_tokens=400)
        assert Draft202012Validator(SCHEMA).is_valid(json.loads(reply.text)), reply.text
        assert reply.prompt_tokens > 0
        assert reply.completion_tokens > 10


def test_llama_cpp_says_the_same_twice_at_temperature_0(llama: OpenAiBackend) -> None:
    first = llama.chat(HI, SCHEMA, max_tokens=400)
    assert llama.chat(HI, SCHEMA, max_tokens=400).text == first.text


def test_llama_cpp_answers_without_a_schema_to_the_limit(llama: OpenAiBackend) -> None:
    reply = llama.chat(HI, None, max_tokens=5)
    assert 0 < reply.completion_tokens <= 5


def test_llama_cpp_refuses_a_prompt_over_its_window_in_one_line(llama: OpenAiBackend) -> None:
    with pytest.raises(TooLongError, match=r"/v1/chat/completions answered HTTP 400: "):
        llama.chat([Message("user", "x" * 5000)], None, max_tokens=5)


def test_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    with serving(openai_like(lambda _: "yes")) as server:
        backend = OpenAiBackend(f"{server.url}/v1", "m", 20, 0, "Be brief.")
        reply = backend.chat(HI, SCHEMA, max_tokens=9, temperature=0.5, seed=2**40 + 3)
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ("yes", 7, 3)
    ((path, body),) = server.seen
    assert path == "/v1/chat/completions"
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]
    assert (body["model"], body["max_tokens"], body["temperature"], body["seed"]) == (
        "m",
        9,
        0.5,
        3,
    )
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert backend.server.headers == {"Authorization": "Bearer secret"}


def test_a_model_that_is_not_named_is_the_first_listed() -> None:
    with serving(openai_like(lambda body: body["model"])) as server:
        assert OpenAiBackend(server.url, "", 20, 0).chat(HI, None, max_tokens=5).text == "toy"


@pytest.mark.parametrize(
    ("code", "kind"), [("context_length_exceeded", TooLongError), ("bad_request", BackendError)]
)
def test_a_refusal_is_too_long_only_where_the_server_says_so(code: str, kind: type) -> None:
    answer = {"error": {"message": "no", "code": code}}
    with (
        serving(lambda handler, _: say_json(handler, answer, 400)) as server,
        pytest.raises(BackendError, match="answered HTTP 400: no") as caught,
    ):
        OpenAiBackend(server.url, "m", 20, 0).chat(HI, None, max_tokens=5)
    assert isinstance(caught.value, TooLongError) == (kind is TooLongError)


@pytest.mark.parametrize(
    "value", [{}, [], 3, {"choices": []}, {"choices": [{"text": "x"}]}, {"usage": {}}]
)
def test_an_answer_that_is_no_chat_completion_is_one_line(value: object) -> None:
    with serving(lambda handler, _: say_json(handler, value)) as server:
        with pytest.raises(BackendError, match="answered no chat completion but") as caught:
            OpenAiBackend(server.url, "m", 20, 0).chat(HI, None, max_tokens=5)
        with pytest.raises(BackendError, match="/models lists no models"):
            OpenAiBackend(server.url, "m", 20, 0).check()
    assert server.url in str(caught.value)


def test_an_answer_without_a_text_is_an_empty_one() -> None:
    with serving(lambda handler, _: say_json(handler, completion(None))) as server:  # type: ignore[arg-type]
        assert OpenAiBackend(server.url, "m", 20, 0).chat(HI, None, max_tokens=5).text == ""


def test_a_server_without_a_model_is_one_line() -> None:
    with (
        serving(lambda handler, _: say_json(handler, {"data": []})) as server,
        pytest.raises(BackendError, match="has no model"),
    ):
        OpenAiBackend(server.url, "", 20, 0).check()
