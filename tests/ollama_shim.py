"""Ollama's protocol in front of a llama.cpp server: for protocol tests, not for Ollama.

`/api/version`, `/api/tags` and `/api/chat` with `format`, `options` and streaming as lines of JSON.
Conversations over `num_ctx` lose their oldest turns without a word, as Ollama cuts them.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx2

from tests.servers_toy import Server, say_json, serving

NAME = "toy:latest"
WHEN = "2026-01-01T00:00:00Z"
WINDOW = 4096
"""Where none is named, as Ollama has it."""


def options_of(body: dict[str, Any]) -> dict[str, Any]:
    """What Ollama's options are called in OpenAI's protocol."""
    options = body.get("options", {})
    asked = {
        "max_tokens": options.get("num_predict", 16),
        "temperature": options.get("temperature", 0.0),
        "seed": options.get("seed", 0),
    }
    wanted = body.get("format")
    if wanted == "json":
        asked["response_format"] = {"type": "json_object"}
    elif wanted:
        named = {"name": "reply", "schema": wanted}
        asked["response_format"] = {"type": "json_schema", "json_schema": named}
    return asked


def num_tokens(upstream: str, messages: list[dict[str, str]]) -> int:
    """The length of a conversation as the server upstream words it."""
    with httpx2.Client(base_url=upstream, timeout=60, trust_env=False) as client:
        worded = client.post("/apply-template", json={"messages": messages}).json()["prompt"]
        asked = {"content": worded, "parse_special": True}
        return len(client.post("/tokenize", json=asked).json()["tokens"])


def cut(upstream: str, messages: list[dict[str, str]], num_ctx: int) -> list[dict[str, str]]:
    """Drop the oldest turns until the rest fits; system messages and the last turn stay."""
    while num_tokens(upstream, messages) > num_ctx:
        turns = [message for message in messages[:-1] if message["role"] != "system"]
        if not turns:
            break
        messages = [message for message in messages if message is not turns[0]]
    return messages


def chat(upstream: str, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
    """Answer `/api/chat`: at once, or a line for each word and a last one with the counts."""
    if body["model"] not in (NAME, NAME.partition(":")[0]):
        say_json(handler, {"error": f"model '{body['model']}' not found"}, 404)
        return
    started = time.monotonic_ns()
    num_ctx = body.get("options", {}).get("num_ctx", WINDOW)
    asked = {"messages": cut(upstream, body["messages"], num_ctx), **options_of(body)}
    answered = httpx2.post(
        f"{upstream}/v1/chat/completions", json=asked, timeout=60, trust_env=False
    ).json()
    text, usage = answered["choices"][0]["message"]["content"], answered["usage"]
    last = {
        "done": True,
        "done_reason": "stop",
        "total_duration": time.monotonic_ns() - started,
        "prompt_eval_count": usage["prompt_tokens"],
        "eval_count": usage["completion_tokens"],
    }
    if not body.get("stream", True):
        say_json(handler, line(text, last))
        return
    handler.send_response(200)
    handler.send_header("Content-Type", "application/x-ndjson")
    handler.end_headers()
    for part in text.split(" "):
        write_line(handler, line(f"{part} ", {"done": False}))
    write_line(handler, line("", last))


def line(text: str, more: dict[str, Any]) -> dict[str, Any]:
    """One object of an answer."""
    message = {"role": "assistant", "content": text}
    return {"model": NAME, "created_at": WHEN, "message": message, **more}


def write_line(handler: BaseHTTPRequestHandler, value: dict[str, Any]) -> None:
    """Send one line of JSON."""
    handler.wfile.write(json.dumps(value).encode() + b"\n")
    handler.wfile.flush()


@contextmanager
def ollama_shim(upstream: str) -> Iterator[Server]:
    """Serve Ollama's protocol in front of a server while the block runs."""

    def handle(handler: BaseHTTPRequestHandler, body: Any) -> None:
        if handler.path == "/api/version":
            say_json(handler, {"version": "0.0.0-shim"})
        elif handler.path == "/api/tags":
            model = {"name": NAME, "model": NAME, "modified_at": WHEN, "size": 1, "digest": "0"}
            say_json(handler, {"models": [model]})
        elif handler.path == "/api/chat":
            chat(upstream, handler, body)
        else:
            say_json(handler, {"error": "not found"}, 404)

    with serving(handle) as server:
        yield server
