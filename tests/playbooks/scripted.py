"""A back end that gives written replies in order, and keeps what it was asked."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from compositional.chat_backends.base import Message, Reply, TooLongError
from compositional.playbooks.asking import Asker
from compositional.playbooks.evolving import Evolver
from compositional.playbooks.roles import Question, Roles
from compositional.playbooks.tally import Tally
from compositional.run_context import RunContext
from tests.rounds_toy import toy_context

TOO_LONG = "too long"
QUESTION = Question("Question: Who built the mill?", "Kor Alman", "Kor Alman built it.", "mill.txt")


class Scripted:
    """A back end of written replies.

    Args:
        replies: Texts, or values that become JSON; `TOO_LONG` is refused as over the window.
    """

    name = "the script"

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.asked: list[Sequence[Message]] = []
        self.schemas: list[Any] = []

    def check(self) -> None:
        pass

    def chat(
        self,
        messages: Sequence[Message],
        schema: Any,
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Reply:
        self.asked.append(list(messages))
        self.schemas.append(schema)
        reply = self.replies.pop(0)
        if reply == TOO_LONG:
            raise TooLongError("over the window")
        return Reply(reply if isinstance(reply, str) else json.dumps(reply), 10, 5)

    def prompt(self, number: int) -> str:
        """What was said last in a request."""
        return self.asked[number][-1].content


def generated(answer: str, *ids: str) -> dict[str, Any]:
    return {"reasoning": "because", "bullet_ids": list(ids), "final_answer": answer}


def reflected(insight: str = "Kor built it", **tags: str) -> dict[str, Any]:
    """A reflection; tags by the number of an id."""
    return {
        "reasoning": "r",
        "error_identification": "wrong name",
        "root_cause_analysis": "guessed",
        "correct_approach": "recall the builder",
        "key_insight": insight,
        "bullet_tags": [{"id": f"str-0000{n[1:]}", "tag": tag} for n, tag in tags.items()],
    }


def curated(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"reasoning": "r", "operations": list(operations)}


def add(text: str, section: str = "facts") -> dict[str, Any]:
    return {"type": "ADD", "section": section, "text": text}


def evolver(
    backend: Scripted, retries: int = 1, budget: int = 1000, run: RunContext | None = None
) -> Evolver:
    """An evolver whose tokens are words."""
    tally = Tally()
    asker = Asker(backend, 64, 0.0, tally, run or toy_context())
    return Evolver(Roles(asker, 200), tally, retries, 0.5, lambda text: len(text.split()), budget)


def wrong_at_first(body: Any, note: Callable[[str], str], otherwise: str) -> str:
    """A server's reply to a role: a wrong answer, a reflection, or one note that is added.

    Args:
        body: Of an OpenAI-compatible request.
        note: What the curator adds, from what was said last in the request.
        otherwise: The reply where no role asks.
    """
    wanted = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
    fields = wanted.get("properties", {})
    if "final_answer" in fields:
        return json.dumps(generated("nobody"))
    if "key_insight" in fields:
        return json.dumps(reflected())
    if "operations" in fields:
        return json.dumps(curated(add(note(body["messages"][-1]["content"]))))
    return otherwise
