"""Needles: one invented number in one sentence, alone or somewhere in a haystack of other facts.

Numbers, names and wordings of training and test are apart: a number belongs to the part that its
hash says, as a name does, and each part has wordings of its own.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from compositional.documents.names import SPLITS, Names, split_of
from compositional.documents.synthetic import synthetic_documents
from compositional.documents.types import Question, QuestionedDocument
from compositional.errors import ConfigError, check_at_least, check_choice
from compositional.streams import Streams
from compositional.tasks.types import Document

FACTS_OF_A_HAYSTACK = 64


@dataclass(frozen=True)
class Needles:
    """What needles are like.

    Attributes:
        digits: Digits of a number, 1 to 5.
        named: Whether each number is the code of an invented company, so that several needles can
            be told apart, or "the" code.
        wordings: Statements that are used, the first ones of a part; 0 for all.
    """

    digits: int = 4
    named: bool = False
    wordings: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        if not 1 <= self.digits <= 5:
            raise ConfigError(f"digits is {self.digits}; it must be from 1 to 5")
        check_at_least("wordings", self.wordings, 0)


def needles(
    kind: Needles, count: int, seed: int, split: str, wordings: str | None = None
) -> list[QuestionedDocument]:
    """Return documents of one sentence, each with one question.

    Args:
        kind: What they are like.
        count: How many; no two share a number.
        seed: Of numbers, names and wordings.
        split: `train` or `test`: whose numbers and names.
        wordings: `train` or `test`: whose wordings; None for those of the split.

    Raises:
        ConfigError: If there are fewer numbers, or a split is unknown.
    """
    check_at_least("count", count, 1)
    for part in (split, wordings or split):
        check_choice("split", part, SPLITS)
    rng = Streams(seed).generator("needles", split, kind.digits)
    own = [n for n in range(10**kind.digits) if split_of(_number(n, kind.digits)) == split]
    if len(own) < count:
        raise ConfigError(
            f"{count} needles are wanted, and of the numbers of {kind.digits} digits {len(own)} "
            f"belong to the part {split!r}: ask for fewer, or for more digits"
        )
    drawn = [own[place] for place in rng.permutation(len(own))[:count]]
    texts = _templates()["named" if kind.named else "plain"][wordings or split]
    statements = texts["statements"][: kind.wordings or None]
    names = Names(split, rng)
    found = []
    for number, value in enumerate(drawn, start=1):
        parts = {"value": _number(value, kind.digits), "name": names.company()}
        statement = statements[int(rng.integers(len(statements)))].format(**parts)
        question = texts["questions"][int(rng.integers(len(texts["questions"])))].format(**parts)
        name = f"needle-{split}-{seed}-{number}"
        asked = Question(f"{name}-question", question, (parts["value"],))
        found.append(QuestionedDocument(Document(name, statement), (asked,)))
    return found


def in_haystack(
    needle: QuestionedDocument, filler: Sequence[str], depth: float
) -> QuestionedDocument:
    """Return a needle among other sentences.

    Args:
        needle: A document of one sentence.
        filler: The other sentences.
        depth: Where it stands: 0 before them, 1 behind them, between for so large a share of them.
    """
    place = round(depth * len(filler))
    sentences = [*filler[:place], needle.document.text, *filler[place:]]
    return QuestionedDocument(Document(needle.document.name, " ".join(sentences)), needle.questions)


def filler_sentences(
    num_tokens: int, seed: int, split: str, count: Callable[[str], int]
) -> list[str]:
    """Return sentences of invented facts, as many as fit.

    Args:
        num_tokens: What they may take together.
        seed: Of the facts.
        split: `train` or `test`: whose names and wordings.
        count: Returns the tokens of a sentence.
    """
    (document,) = synthetic_documents(1, FACTS_OF_A_HAYSTACK, seed, split)
    taken: list[str] = []
    left = num_tokens
    for sentence in document.document.text.split(". "):
        left -= count(f"{sentence.rstrip('.')}. ")
        if left < 0:
            break
        taken.append(f"{sentence.rstrip('.')}.")
    return taken


def _number(value: int, digits: int) -> str:
    return f"{value:0{digits}d}"


@cache
def _templates() -> Any:
    """Return the wordings by kind and part."""
    resource = files("compositional.documents").joinpath("needle_templates.json")
    return json.loads(resource.read_text(encoding="utf-8"))
