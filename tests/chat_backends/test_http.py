import json
import socket
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from compositional.chat_backends.http import JsonServer
from compositional.errors import BackendError, ConfigError
from tests.servers_toy import HOST, always, drip, hang, say, say_json, serving


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def line_of(server: JsonServer, path: str = "/x") -> str:
    with pytest.raises(BackendError) as caught:
        server.post(path, {"a": 1})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_json_goes_there_and_back() -> None:
    def echo(handler: BaseHTTPRequestHandler, body: Any) -> None:
        say_json(handler, {"path": handler.path, "body": body, "key": handler.headers["X-Key"]})

    with serving(echo) as server:
        client = JsonServer(f"{server.url}/v1/", 20, 0, {"X-Key": "k"})
        assert client.post("/a", {"é": [1]}) == {"path": "/v1/a", "body": {"é": [1]}, "key": "k"}
        assert client.get("/b") == {"path": "/v1/b", "body": None, "key": "k"}


def test_nobody_at_the_address() -> None:
    url = f"http://{HOST}:{unused_port()}"
    assert f"no server can be reached at {url}/x" in line_of(JsonServer(url, 20, 0))
    assert "(2 tries)" in line_of(JsonServer(url, 20, 1))


@pytest.mark.parametrize("handle", [hang, drip], ids=["hangs", "drips"])
def test_a_server_that_never_ends_its_answer_is_not_waited_for(handle) -> None:
    with serving(handle) as server:
        said = line_of(JsonServer(server.url, 0.3, 5))
    assert f"{server.url}/x did not answer within 0.3 s" in said
    assert len(server.seen) == 1  # the wait is over: no further try


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"<html><body>Welcome\n</body>", 200, "answered no JSON but '<html><body>Welcome </body>"),
        (b"", 200, "answered no JSON but ''"),
        (b"\xff\xfe{", 200, "answered no JSON"),
        (b"[" * 20000, 200, "answered no JSON"),
        (b'{"error": {"message": "no such\\nmodel"}}', 404, "answered HTTP 404: no such model"),
        (b'{"error": "model is gone"}', 400, "answered HTTP 400: model is gone"),
        (b"<h1>Not found</h1>", 404, "answered HTTP 404: <h1>Not found</h1>"),
        (b'{"detail": "moved"}', 301, "answered HTTP 301"),
    ],
)
def test_nonsense_is_one_line_with_the_address(body: bytes, status: int, message: str) -> None:
    with serving(always(body, status)) as server:
        said = line_of(JsonServer(server.url, 20, 3))
    assert f"{server.url}/x {message}" in said
    assert len(said) < 300
    assert len(server.seen) == 1


def test_an_overloaded_server_is_asked_again() -> None:
    def handle(handler: BaseHTTPRequestHandler, _: Any) -> None:
        if len(server.seen) < 3:
            say(handler, b"busy", 503)
        else:
            say_json(handler, {"ok": True})

    with serving(handle) as server:
        assert JsonServer(server.url, 20, 2).post("/x", {}) == {"ok": True}
        server.seen.clear()
        said = line_of(JsonServer(server.url, 20, 1))
        assert "answered HTTP 503: busy (2 tries)" in said


def test_a_server_that_hangs_up_is_asked_again() -> None:
    def handle(handler: BaseHTTPRequestHandler, _: Any) -> None:
        if len(server.seen) < 2:
            handler.close_connection = True
        else:
            say_json(handler, 1)

    with serving(handle) as server:
        assert JsonServer(server.url, 20, 1).get("/x") == 1
        server.seen.clear()
        assert "broke off (RemoteProtocolError" in line_of(JsonServer(server.url, 20, 0))


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compositional.chat_backends.http.MOST_BYTES", 1000)
    with serving(always(json.dumps("x" * 2000).encode())) as server:
        assert "sent more than 1000 bytes" in line_of(JsonServer(server.url, 20, 0))


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://x/y", "http://", "http://[::1"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match=r"backend\.url is '"):
        JsonServer(url, 20, 0)


def test_limits_that_are_none() -> None:
    with pytest.raises(ConfigError, match=r"backend\.retries is -1"):
        JsonServer("http://x", 20, -1)
    for seconds in (0, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match=r"backend\.timeout_seconds is"):
            JsonServer("http://x", seconds, 0)
