"""What back ends behind an address share: the server, the model's name there, one exchange."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from compositional.chat_backends.base import Message, Reply
from compositional.chat_backends.http import JsonServer
from compositional.errors import BackendError
from compositional.tasks.types import JsonObject

MOST_SEED = 0x7FFFFFFF


class ServedBackend(ABC):
    """A model that another program serves.

    Args:
        server: Where it is.
        model: Its name there; empty for the first that is listed.
        system: System message of every conversation; empty for none.
    """

    chat_path: ClassVar[str]
    """Where conversations are answered."""
    answer: ClassVar[str]
    """What stands there."""
    list_path: ClassVar[str]
    """Where models are listed."""
    list_keys: ClassVar[tuple[str, str]]
    """Under which key, and each one's name."""

    def __init__(self, server: JsonServer, model: str, system: str) -> None:
        self.server = server
        self.model = model
        self.system = system

    @property
    def name(self) -> str:
        """The server's address."""
        return self.server.url

    @abstractmethod
    def check(self) -> None:
        """See that the server is there; where no model was named, take the first listed."""

    @abstractmethod
    def settings(
        self, schema: JsonObject | None, max_tokens: int, temperature: float, seed: int
    ) -> dict[str, Any]:
        """Return what a request holds beside model and messages; see `chat`."""

    @abstractmethod
    def read(self, answered: Any) -> tuple[Any, int, int]:
        """Return the text, and the tokens of prompt and answer, of what a server answered."""

    def post(self, body: dict[str, Any]) -> Any:
        """Return what the server answers to a conversation."""
        return self.server.post(self.chat_path, body)

    def listed(self) -> list[str]:
        """Return the names of the models that the server lists.

        Raises:
            BackendError: If it lists none in the form of its protocol.
        """
        many, one = self.list_keys
        found = self.server.get(self.list_path)
        try:
            return [str(model[one]) for model in found[many]]
        except (KeyError, TypeError) as error:
            raise BackendError(
                f"{self.name}{self.list_path} lists no models: {found!r:.80}"
            ) from error

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
        if not self.model:
            self.check()
        first = [{"role": "system", "content": self.system}] if self.system else []
        said = [{"role": m.role, "content": m.content} for m in messages]
        settings = self.settings(schema, max_tokens, temperature, seed & MOST_SEED)
        answered = self.post({"model": self.model, "messages": [*first, *said], **settings})
        try:
            text, prompt_tokens, completion_tokens = self.read(answered)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise BackendError(
                f"{self.name}{self.chat_path} answered no {self.answer} but {answered!r:.80}"
            ) from error
        return Reply(text if isinstance(text, str) else "", prompt_tokens, completion_tokens)
