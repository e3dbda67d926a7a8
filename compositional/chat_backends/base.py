"""What a chat back end is: it answers a conversation, by a JSON Schema where one is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from compositional.errors import BackendError
from compositional.tasks.types import JsonObject


class TooLongError(BackendError):
    """A conversation and the reply that it may have are over the window."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: Who speaks.
        content: What is said.
    """

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True)
class Reply:
    """What a back end answered.

    Attributes:
        text: The answer; by the schema where it kept to it, which is for the asker to check.
        prompt_tokens: Length of the prompt, 0 where the back end does not say.
        completion_tokens: Length of the answer, 0 where the back end does not say.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int


class ChatBackend(Protocol):
    """A model that answers conversations."""

    @property
    def name(self) -> str:
        """What error lines call it: a server's address, or the model of this process."""
        ...

    def check(self) -> None:
        """See that it is there, before anything is spent.

        Raises:
            BackendError: If it is not, in one line with its address.
        """
        ...

    def chat(
        self,
        messages: Sequence[Message],
        schema: JsonObject | None,
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Reply:
        """Answer a conversation.

        Args:
            messages: Turns of user and assistant, the user's first and last.
            schema: JSON Schema that the answer must fit; None for plain text.
            max_tokens: The longest answer.
            temperature: 0 takes the likeliest token each time.
            seed: Of sampling, where the temperature is above 0.

        Raises:
            BackendError: If no answer came within the time that the back end was given.
            TooLongError: If conversation and answer are over its window.
        """
        ...
