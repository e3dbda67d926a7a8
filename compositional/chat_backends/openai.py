"""Any server of OpenAI's protocol: llama.cpp, vLLM, Ollama's `/v1`, and others."""

import os
from typing import Any

from compositional.chat_backends.base import TooLongError
from compositional.chat_backends.http import JsonServer, RefusedError
from compositional.chat_backends.served import ServedBackend
from compositional.errors import BackendError
from compositional.tasks.types import JsonObject

KEY_VARIABLE = "OPENAI_API_KEY"
OVER_THE_WINDOW = ("exceed_context_size", "context_length_exceeded", "maximum context length")
"""How llama.cpp, OpenAI and vLLM say that a prompt is too long."""


class OpenAiBackend(ServedBackend):
    """A model behind `/chat/completions`, with answers by `response_format: json_schema`.

    The key, where the server wants one, is read from `OPENAI_API_KEY` and written nowhere.

    Args:
        url: Address up to the version, such as `http://127.0.0.1:8080/v1`.
        model: Its name at the server; empty for the first that the server lists.
        timeout_seconds: The longest wait for one answer.
        retries: Further tries where nobody listens or the server is overloaded.
        system: System message of every conversation; empty for none.
    """

    chat_path, answer = "/chat/completions", "chat completion"
    list_path, list_keys = "/models", ("data", "id")

    def __init__(
        self, url: str, model: str, timeout_seconds: float, retries: int, system: str = ""
    ) -> None:
        key = os.environ.get(KEY_VARIABLE)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        super().__init__(JsonServer(url, timeout_seconds, retries, headers), model, system)

    def check(self) -> None:
        """See that the server is there, and which model it has where none was named.

        Raises:
            BackendError: If it is not there, or lists no model.
        """
        names = self.listed()
        if not self.model:
            if not names:
                raise BackendError(f"{self.name} has no model: name another server")
            self.model = names[0]

    def settings(
        self, schema: JsonObject | None, max_tokens: int, temperature: float, seed: int
    ) -> dict[str, Any]:
        """Return limits and sampling, and the schema as `response_format`."""
        body: dict[str, Any] = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        if schema is not None:
            named = {"name": "reply", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body

    def post(self, body: dict[str, Any]) -> Any:
        """Return what the server answers to a conversation.

        Raises:
            TooLongError: If it says that the prompt is over the window.
        """
        try:
            return super().post(body)
        except RefusedError as error:
            if any(words in error.text for words in OVER_THE_WINDOW):
                raise TooLongError(str(error)) from error
            raise

    def read(self, answered: Any) -> tuple[Any, int, int]:
        """Return the first choice, and the usage where the server tells it."""
        text = answered["choices"][0]["message"]["content"]
        usage = answered.get("usage") or {}
        prompt, completion = (usage.get(f"{part}_tokens") for part in ("prompt", "completion"))
        return text, int(prompt or 0), int(completion or 0)
