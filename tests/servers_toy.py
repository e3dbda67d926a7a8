"""Servers of a test's own on this machine: ones that misbehave, and a real llama.cpp server."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from tests.gguf_toy import save_gguf

Handle = Callable[[BaseHTTPRequestHandler, Any], None]
HOST = "127.0.0.1"
RARE_MERGE = ("\u00ff \u00ff",)
"""llama.cpp wants a merge; this one meets no text."""


class Server(ThreadingHTTPServer):
    """A server whose waiting handlers end with it.

    Args:
        handle: Gets each request with its JSON body, None where it has none.
    """

    daemon_threads = False
    block_on_close = True

    def __init__(self, handle: Handle) -> None:
        self.closing = threading.Event()
        self.seen: list[tuple[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                server.seen.append((self.path, body))
                handle(self, body)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *_: object) -> None:
                pass

        server = self
        super().__init__((HOST, 0), Handler)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.server_address[1]}"


@contextmanager
def serving(handle: Handle) -> Iterator[Server]:
    """Serve while the block runs."""
    server = Server(handle)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def say(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200) -> None:
    """Answer with bytes."""
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def say_json(handler: BaseHTTPRequestHandler, value: Any, status: int = 200) -> None:
    """Answer with JSON."""
    say(handler, json.dumps(value).encode(), status)


def always(body: bytes, status: int = 200) -> Handle:
    """Answers everything with the same bytes."""
    return lambda handler, _: say(handler, body, status)


def hang(handler: BaseHTTPRequestHandler, _: Any) -> None:
    """Answers nothing until the server is closed."""
    handler.server.closing.wait()  # type: ignore[attr-defined]


def drip(handler: BaseHTTPRequestHandler, _: Any) -> None:
    """Sends a blank now and then, for ever."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.closing.wait(0.02):  # type: ignore[attr-defined]
        try:
            handler.wfile.write(b" ")
            handler.wfile.flush()
        except OSError:
            return


def completion(text: str) -> dict[str, Any]:
    """A chat completion of OpenAI's protocol."""
    return {
        "choices": [{"message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }


def openai_like(answer: Callable[[Any], str]) -> Handle:
    """A server of OpenAI's protocol whose texts are a function of the request."""

    def handle(handler: BaseHTTPRequestHandler, body: Any) -> None:
        if handler.path.endswith("/models"):
            say_json(handler, {"data": [{"id": "toy"}]})
        else:
            say_json(handler, completion(answer(body)))

    return handle


@contextmanager
def llama_cpp(gguf: Path, window: int = 2048) -> Iterator[str]:
    """Run a llama.cpp server on a GGUF file; yields its address."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.hostnames = [HOST]
    params.port = 0
    params.n_ctx = window
    params.n_parallel = 1
    params.warmup = False
    params.verbosity = -1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    try:
        yield server.listening_address
    finally:
        del server


def toy_gguf(model_folder: Path, path: Path) -> Path:
    """Write the toy model of a folder as a GGUF file that llama.cpp reads.

    Bytes that are no printable ASCII get logits of 0, and are seldom the likeliest: where its
    reader of replies meets rare ones, llama.cpp answers HTTP 500.
    """
    loaded = load_model(ModelConfig(name=str(model_folder), device="cpu"))
    vocabulary = loaded.tokenizer.get_vocab()
    rare = [id_ for token, id_ in vocabulary.items() if len(token) == 1 and not "!" <= token <= "~"]
    loaded.model.get_input_embeddings().weight[rare] = 0.0
    save_gguf(loaded, path, RARE_MERGE)
    return path
