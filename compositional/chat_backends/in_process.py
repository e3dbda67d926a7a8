"""The run's own model as a chat back end: no server, and replies by a schema all the same."""

from collections.abc import Sequence

from compositional.chat_backends.base import Message, Reply, TooLongError
from compositional.generation.constrained import ConstrainedDecoder
from compositional.models.language_model import LanguageModel
from compositional.tasks.types import JsonObject


class InProcessBackend:
    """A language model that is loaded here.

    Args:
        model: The model with all that is attached to it.
    """

    name = "the model in this process"

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self._decoder = ConstrainedDecoder(model)

    def check(self) -> None:
        """Do nothing: the model is loaded."""

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
        said = [message.content for message in messages if message.role == "user"]
        answered = [message.content for message in messages if message.role == "assistant"]
        turns = list(zip(said, answered, strict=False))
        prompt = self.model.chat.prompt_ids(said[-1], turns=turns)
        if len(prompt) + max_tokens > self.model.window_tokens:
            raise TooLongError(
                f"{self.name}: a prompt of {len(prompt)} tokens and {max_tokens} for the answer "
                f"are over the window of {self.model.window_tokens}"
            )
        answer = self._decoder.decode(prompt, schema, max_tokens, temperature, seed)
        return Reply(self.model.text(list(answer.ids)), len(prompt), len(answer.ids))
