"""Ollama's own protocol: `/api/chat` with a schema as `format` and the window named.

Its `/v1` cannot name the window, and a prompt over the window is cut without a word: of a
conversation the oldest turns are dropped, and the count of the prompt is of what was left. So a
turn that might not fit is refused before it is sent.
"""

from collections.abc import Sequence
from typing import Any

from compositional.chat_backends.base import Message, Reply, TooLongError
from compositional.chat_backends.http import JsonServer
from compositional.chat_backends.served import ServedBackend
from compositional.errors import BackendError, ConfigError, check_at_least, did_you_mean
from compositional.tasks.types import JsonObject


class OllamaBackend(ServedBackend):
    """A model that Ollama serves.

    Args:
        url: Address, such as `http://127.0.0.1:11434`.
        model: Its name there; empty for the first that is listed.
        timeout_seconds: The longest wait for one answer.
        retries: Further tries where nobody listens or the server is overloaded.
        num_ctx: The window that it is told to use.
        system: System message of every conversation; empty for none.

    Raises:
        ConfigError: If a number is too small.
    """

    chat_path, answer = "/api/chat", "chat message"
    list_path, list_keys = "/api/tags", ("models", "name")

    def __init__(
        self,
        url: str,
        model: str,
        timeout_seconds: float,
        retries: int,
        num_ctx: int,
        system: str = "",
    ) -> None:
        check_at_least("backend.num_ctx", num_ctx, 1)
        super().__init__(JsonServer(url, timeout_seconds, retries), model, system)
        self.num_ctx = num_ctx
        self._last: tuple[list[Message], Reply] | None = None

    def check(self) -> None:
        """See that the server is there and has the model.

        Raises:
            BackendError: If the server is not there.
            ConfigError: If it has no such model.
        """
        names = self.listed()
        if not names:
            raise BackendError(f"{self.name} has no model: fetch one there first")
        if not self.model:
            self.model = names[0]
        if self.model not in names and f"{self.model}:latest" not in names:
            raise ConfigError(
                f"{self.name} has no model {self.model!r}; {did_you_mean(self.model, names)}"
            )

    def settings(
        self, schema: JsonObject | None, max_tokens: int, temperature: float, seed: int
    ) -> dict[str, Any]:
        """Return the options, the window among them, and the schema as `format`."""
        options = {
            "num_ctx": self.num_ctx,
            "num_predict": max_tokens,
            "temperature": temperature,
            "seed": seed,
        }
        form = {} if schema is None else {"format": schema}
        return {"stream": False, "options": options, **form}

    def read(self, answered: Any) -> tuple[Any, int, int]:
        """Return the message and its counts."""
        text = answered["message"]["content"]
        prompt_tokens = int(answered.get("prompt_eval_count") or 0)
        return text, prompt_tokens, int(answered.get("eval_count") or 0)

    def chat(
        self,
        messages: Sequence[Message],
        schema: JsonObject | None,
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Reply:
        """Answer a conversation; see `ChatBackend.chat`."""
        self._check_room(messages, max_tokens)
        reply = super().chat(
            messages, schema, max_tokens=max_tokens, temperature=temperature, seed=seed
        )
        if reply.prompt_tokens + max_tokens > self.num_ctx:
            raise TooLongError(
                f"{self.name}: a prompt of {reply.prompt_tokens} tokens and {max_tokens} for the "
                f"answer are over backend.num_ctx ({self.num_ctx})"
            )
        self._last = list(messages), reply
        return reply

    def _check_room(self, messages: Sequence[Message], max_tokens: int) -> None:
        """Refuse to go on with the last conversation where its oldest turn might be dropped.

        What was said so far was counted by the server. What is said now has no more tokens than
        bytes; where that is less, the room of an answer is kept for it, since turns have tokens
        of their own.

        Raises:
            TooLongError: With what there is, and what is wanted.
        """
        if self._last is None:
            return
        before, reply = self._last
        if len(messages) <= len(before) or list(messages[: len(before)]) != before:
            return
        said = reply.prompt_tokens + reply.completion_tokens
        added = sum(len(message.content.encode()) for message in messages[len(before) + 1 :])
        room = max(added, max_tokens)
        if said + room + max_tokens > self.num_ctx:
            raise TooLongError(
                f"{self.name}: a conversation of {said} tokens, with {room} for a further turn and "
                f"{max_tokens} for the answer, may go over backend.num_ctx ({self.num_ctx})"
            )
