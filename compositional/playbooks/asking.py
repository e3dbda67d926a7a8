"""Asking a back end for JSON by a schema: checked, asked again once, then left out and counted."""

import re
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from compositional.chat_backends.base import ChatBackend, Message, Reply, TooLongError
from compositional.logs import LOGGER
from compositional.playbooks.tally import Tally
from compositional.run_context import RunContext
from compositional.stopping import heed_stop
from compositional.tasks.parsing import parse_arguments
from compositional.tasks.types import JsonObject

REPAIR = (
    "That reply cannot be used: {wrong}. Reply again with the one JSON object and nothing else."
)
SHOWN = 120
_FENCE = re.compile(r"^\s*(?:```|~~~)[\w+-]*|(?:```|~~~)\s*$")


class Asker:
    """Asks for replies by a schema.

    Args:
        backend: Who replies.
        max_tokens: The longest reply.
        temperature: 0 for the likeliest token each time.
        tally: Counts replies and what was left out.
        run: Its streams give the seeds; its budget counts tokens and replies.

    Attributes:
        last_wrong: Why the last step that was left out was.
    """

    def __init__(
        self,
        backend: ChatBackend,
        max_tokens: int,
        temperature: float,
        tally: Tally,
        run: RunContext,
    ) -> None:
        self.backend = backend
        self.max_tokens = max_tokens
        self.temperature = temperature
        self.tally = tally
        self.run = run
        self.last_wrong = ""

    def ask(
        self, prompt: str, schema: JsonObject, who: str, *, greedy: bool = False
    ) -> JsonObject | None:
        """Return the reply to a prompt, or None where it was left out.

        Args:
            prompt: What is said to the model.
            schema: What the reply must fit, whatever the back end made of it.
            who: The role, for the log.
            greedy: Whether the likeliest tokens are taken whatever the temperature: in evaluation.

        Raises:
            BackendError: If the back end cannot be reached or does not answer as one.
            PreemptedError: If the run was asked to stop.
        """
        messages = [Message("user", prompt)]
        wrong = ""
        for attempt in range(2):
            try:
                text = self._reply(messages, schema, 0.0 if greedy else self.temperature)
            except TooLongError as error:
                wrong = str(error)
                break
            value, wrong = read_reply(text, schema)
            if value is not None:
                self.tally.usable += 1
                self.tally.repaired += attempt
                return value
            messages += [Message("assistant", text), Message("user", REPAIR.format(wrong=wrong))]
        self.tally.skipped += 1
        self.run.budget.skipped_replies += 1
        self.last_wrong = wrong
        LOGGER.info("%s: a step of the %s is left out: %s", self.run.name, who, wrong)
        return None

    def _reply(self, messages: list[Message], schema: JsonObject, temperature: float) -> str:
        """Return the back end's reply; of several processes, the first one's counts."""
        heed_stop(self.run)
        own = self.backend.chat(
            messages,
            schema,
            max_tokens=self.max_tokens,
            temperature=temperature,
            seed=self.run.streams.integer("chat", self.tally.replies),
        )
        reply: Reply = self.run.processes.exchange(own)[0]
        self.tally.replies += 1
        self.run.budget.replies += 1
        self.run.budget.input_tokens += reply.prompt_tokens + reply.completion_tokens
        return reply.text


def read_reply(text: str, schema: JsonObject) -> tuple[JsonObject | None, str]:
    """Read a reply as one JSON object that fits a schema; a code fence around it is taken off.

    Returns:
        The object and "", or None and what is wrong.
    """
    value: Any = parse_arguments(_FENCE.sub("", _FENCE.sub("", text)).strip())
    if value is None:
        shown = " ".join(text.split())
        return None, f"it is no JSON object but {shown[:SHOWN]!r}"
    error = best_match(Draft202012Validator(schema).iter_errors(value))
    if error is None:
        return value, ""
    return None, f"{error.json_path}: {error.message[:SHOWN]}"
