"""JSON over HTTP with a bound on the whole wait: connecting, every retry and the last byte.

A limit for each read, as HTTP clients have it, bounds nothing where a server sends a byte now and
then. What goes wrong is one line that names the address.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx2

from compositional.errors import BackendError, ConfigError, check_at_least

FIRST_PAUSE_SECONDS = 0.25
MOST_BYTES = 64 * 2**20
OVERLOADED = (429, 502, 503, 504)
SHOWN = 80
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class _TryAgainError(BackendError):
    """What may be gone at the next try."""


class RefusedError(BackendError):
    """A server's answer with a status that says no.

    Args:
        message: The line for the user.
        text: What it said.
    """

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text


class JsonServer:
    """A server that takes and gives JSON.

    Args:
        url: Its address with `http://` or `https://`; requests name paths below it.
        timeout_seconds: The longest wait for one answer, retries included.
        retries: Further tries where nobody listens or the server is overloaded.
        headers: Sent with every request.

    Raises:
        ConfigError: If the address is none, or a number too small.
    """

    def __init__(
        self,
        url: str,
        timeout_seconds: float,
        retries: int,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        check_at_least("backend.retries", retries, 0)
        if not 0 < timeout_seconds < float("inf"):
            raise ConfigError(
                f"backend.timeout_seconds is {timeout_seconds}; it must be above 0, and finite"
            )
        self.url = url.rstrip("/")
        self.timeout_seconds = timeout_seconds
        self.retries = retries
        self.headers = dict(headers or {})
        self._host = _host_of(self.url)

    def get(self, path: str) -> Any:
        """Return what the server has at a path.

        Raises:
            BackendError: If it has no JSON there, or does not answer in time.
        """
        return self._request("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return what the server answers to a JSON body.

        Raises:
            BackendError: If that is no JSON, or does not come in time.
        """
        return self._request("POST", path, body)

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        deadline = time.monotonic() + self.timeout_seconds
        for attempt in range(self.retries + 1):
            try:
                return asyncio.run(self._once(method, path, body, deadline))
            except _TryAgainError as error:
                pause = FIRST_PAUSE_SECONDS * 2**attempt
                if attempt == self.retries or time.monotonic() + pause >= deadline:
                    tries = f" ({attempt + 1} tries)" if attempt else ""
                    raise BackendError(f"{error}{tries}") from error
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _once(
        self, method: str, path: str, body: Mapping[str, Any] | None, deadline: float
    ) -> Any:
        """Ask once, until the deadline at the longest."""
        url = f"{self.url}{path}"
        left = max(deadline - time.monotonic(), 0.001)
        try:
            async with (
                asyncio.timeout(left),
                httpx2.AsyncClient(
                    timeout=left, headers=self.headers, trust_env=self._host not in THIS_MACHINE
                ) as client,
                client.stream(method, url, json=body) as response,
            ):
                data = bytearray()
                async for part in response.aiter_bytes():
                    data += part
                    if len(data) > MOST_BYTES:
                        raise BackendError(f"{url} sent more than {MOST_BYTES} bytes")
                status = response.status_code
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise BackendError(
                f"{url} did not answer within {self.timeout_seconds:g} s: is it overloaded? "
                "backend.timeout_seconds sets how long to wait"
            ) from error
        except httpx2.ConnectError as error:
            raise _TryAgainError(
                f"no server can be reached at {url} ({_short(str(error))}): start it, or name "
                "another backend.url"
            ) from error
        except httpx2.RequestError as error:
            raise _TryAgainError(
                f"{url} broke off ({type(error).__name__}: {_short(str(error))})"
            ) from error
        return _parsed(url, status, bytes(data))


def _host_of(url: str) -> str:
    """Return the host that an address names.

    Raises:
        ConfigError: If it is no address of a server.
    """
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ConfigError(f"backend.url is {url!r}: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigError(
            f"backend.url is {url!r}; it must be an address such as http://127.0.0.1:8080/v1"
        )
    return parsed.host


def _parsed(url: str, status: int, data: bytes) -> Any:
    """Return an answer's JSON.

    Raises:
        BackendError: If it is none, or the server refused; retried where it is overloaded.
    """
    text = data.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if status != 200:
        message = f"{url} answered HTTP {status}: {_short(_reason(value, text))}"
        if status in OVERLOADED:
            raise _TryAgainError(message)
        raise RefusedError(message, text)
    if value is None:
        raise BackendError(
            f"{url} answered no JSON but {_short(text)!r}: is that the right server?"
        )
    return value


def _reason(value: Any, text: str) -> str:
    """Return what an error's body says: llama.cpp, vLLM and OpenAI nest it, Ollama does not."""
    error = value.get("error", value) if isinstance(value, dict) else text
    message = error.get("message", error) if isinstance(error, dict) else error
    return str(message)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."
