"""The three roles of ACE over one back end: generator, reflector, curator.

Zhang et al. 2025 (arXiv 2510.04618), section 3.1. Each reply has a schema in which only ids of the
playbook at hand can be named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from compositional.documents.normalising import token_f1
from compositional.playbooks import prompts
from compositional.playbooks.asking import Asker
from compositional.playbooks.operations import operations_schema
from compositional.playbooks.playbook import TAGS, Playbook
from compositional.tasks.parsing import parse_text_calls
from compositional.tasks.types import TEXT, JsonObject

MOST_CITED = 8


@dataclass(frozen=True)
class Question:
    """Something to learn from: a task with its right answer.

    Attributes:
        text: What is asked, with its instruction.
        answer: The right answer.
        passage: What it comes from, which the generator does not see.
        document: Name of the document that the passage stands in.
        form: What answers it: `text` or `calls`.
    """

    text: str
    answer: str
    passage: str
    document: str
    form: str = TEXT

    def score(self, answer: str) -> float:
        """Return an answer's F1 in words with the right one; of calls, 1 where all are right."""
        if self.form == TEXT:
            return token_f1(answer, [self.answer])
        found = parse_text_calls(answer).calls
        return float(found is not None and found == parse_text_calls(self.answer).calls)


@dataclass(frozen=True)
class Attempt:
    """What the generator said.

    Attributes:
        reasoning: Its thought.
        bullet_ids: Ids of the entries that it used, each once.
        answer: Its answer.
    """

    reasoning: str
    bullet_ids: tuple[str, ...]
    answer: str


@dataclass(frozen=True)
class Reflection:
    """What the reflector said of a wrong answer.

    Attributes:
        error: What is wrong.
        cause: Why.
        approach: How to get it right.
        insight: What to remember.
        tags: Pairs of an id that the generator used and one of `TAGS`, an id once.
    """

    error: str
    cause: str
    approach: str
    insight: str
    tags: tuple[tuple[str, str], ...]


class Roles:
    """The roles.

    Args:
        asker: Asks the back end.
        field_chars: The longest text of a field, in characters: a limit of tokens then seldom cuts
            a reply, which would not be JSON.
    """

    def __init__(self, asker: Asker, field_chars: int) -> None:
        self.asker = asker
        self.text = {"type": "string", "maxLength": field_chars}
        self.field_chars = field_chars

    def generate(
        self,
        playbook: Playbook,
        question: Question,
        wrong: tuple[Attempt, Reflection] | None = None,
        *,
        greedy: bool = False,
    ) -> Attempt | None:
        """Answer a question from the playbook.

        Args:
            playbook: What was learned so far.
            question: The task.
            wrong: An earlier answer and what was said of it; None at the first try.
            greedy: As `Asker.ask`.
        """
        reflection = ""
        if wrong is not None:
            attempt, said = wrong
            reflection = prompts.REFLECTION.format(
                answer=repr(attempt.answer), approach=said.approach, insight=said.insight
            )
        prompt = prompts.GENERATOR.format(
            playbook=shown(playbook), reflection=reflection, question=question.text
        )
        schema = _object(
            reasoning=self.text, bullet_ids=_some_of(playbook.ids), final_answer=self.text
        )
        reply = self.asker.ask(prompt, schema, "generator", greedy=greedy)
        if reply is None:
            return None
        cited = tuple(dict.fromkeys(reply["bullet_ids"]))
        return Attempt(reply["reasoning"], cited, reply["final_answer"].strip())

    def reflect(
        self, playbook: Playbook, question: Question, attempt: Attempt
    ) -> Reflection | None:
        """Say what is wrong with an answer, and which of the entries used helped or harmed."""
        used = [entry for entry in playbook.entries if entry.id in attempt.bullet_ids]
        prompt = prompts.REFLECTOR.format(
            question=question.text,
            passage=question.passage,
            reasoning=attempt.reasoning,
            answer=attempt.answer,
            right=question.answer,
            used="\n".join(entry.line for entry in used) or prompts.EMPTY,
        )
        ids = [entry.id for entry in used]
        tag = _object(id={"enum": ids or [""]}, tag={"enum": list(TAGS)})
        schema = _object(
            reasoning=self.text,
            error_identification=self.text,
            root_cause_analysis=self.text,
            correct_approach=self.text,
            key_insight=self.text,
            bullet_tags={"type": "array", "items": tag, "maxItems": len(ids)},
        )
        reply = self.asker.ask(prompt, schema, "reflector")
        if reply is None:
            return None
        return Reflection(
            reply["error_identification"],
            reply["root_cause_analysis"],
            reply["correct_approach"],
            reply["key_insight"],
            tuple({tag["id"]: tag["tag"] for tag in reply["bullet_tags"]}.items()),
        )

    def curate(
        self, playbook: Playbook, question: Question, reflection: Reflection, outcome: str
    ) -> list[dict[str, Any]] | None:
        """Return the operations on the playbook that a lesson calls for."""
        prompt = prompts.CURATOR.format(
            playbook=shown(playbook),
            question=question.text,
            passage=question.passage,
            right=question.answer,
            error=reflection.error,
            cause=reflection.cause,
            approach=reflection.approach,
            insight=reflection.insight,
            outcome=outcome,
        )
        operations = operations_schema(playbook, self.field_chars)
        reply = self.asker.ask(
            prompt, _object(reasoning=self.text, operations=operations), "curator"
        )
        if reply is None:
            return None
        found: list[dict[str, Any]] = reply["operations"]
        return found


def shown(playbook: Playbook) -> str:
    """Return the playbook as the roles see it."""
    return playbook.render() or prompts.EMPTY


def longest_fixed_prompt() -> str:
    """Return the longest prompt of a role without anything in it."""
    names = ("playbook", "reflection", "question", "passage", "reasoning", "answer", "right",
             "used", "error", "cause", "approach", "insight", "outcome")  # fmt: skip
    empty = dict.fromkeys(names, "")
    texts = (prompts.GENERATOR, prompts.REFLECTOR, prompts.CURATOR)
    return max((text.format(**empty) for text in texts), key=len)


def _some_of(ids: Sequence[str]) -> JsonObject:
    """Return the schema of a list of some of the ids."""
    most = min(len(ids), MOST_CITED)
    return {"type": "array", "items": {"enum": list(ids) or [""]}, "maxItems": most}


def _object(**properties: JsonObject) -> JsonObject:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
