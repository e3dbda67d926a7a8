"""Needles: one invented number in one sentence, alone or somewhere in a haystack of other facts.

Numbers, names and wordings of training and test are apart: a number belongs to the part that its
hash says, as a name does, and each part has statements and questions of its own. The sentences that
are right to answer are the same in both.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from compositional.documents.names import SPLITS, Names, split_of
from compositional.documents.synthetic import endless_documents
from compositional.documents.types import Question, QuestionedDocument
from compositional.errors import ConfigError, check_at_least, check_choice
from compositional.streams import Streams
from compositional.tasks.types import Document

FACTS_OF_A_DOCUMENT = 64
SENTENCE, NUMBER = "sentence", "number"
FORMS = (SENTENCE, NUMBER)


@dataclass(frozen=True)
class Needles:
    """What needles are like.

    Attributes:
        digits: Digits of a number, 1 to 5.
        named: Whether each number is the code of an invented company, so that several needles can
            be told apart, or "the" code.
        wordings: Statements that are used, the first ones of a part; 0 for all.
        form: What is right to answer: `sentence`, the number in a sentence, or `number`, alone.
    """

    digits: int = 4
    named: bool = False
    wordings: int = 0
    form: str = NUMBER

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not 1 <= self.digits <= 5:
            raise ConfigError(f"digits is {self.digits}; it must be from 1 to 5")
        check_at_least("wordings", self.wordings, 0)
        check_choice("form", self.form, FORMS)


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
        asked = int(rng.integers(len(texts["questions"])))
        said = texts["answers"][asked].format(**parts)
        answers = (said, parts["value"]) if kind.form == SENTENCE else (parts["value"],)
        name = f"needle-{split}-{seed}-{number}"
        question = Question(f"{name}-question", texts["questions"][asked].format(**parts), answers)
        found.append(QuestionedDocument(Document(name, statement), (question,)))
    return found


def place_at(depth: float, num_sentences: int) -> int:
    """Return how many of a haystack's other sentences stand before the needle.

    Args:
        depth: 0 before them all, 1 behind them all, between for so large a share of them.
        num_sentences: The other sentences.

    Raises:
        ConfigError: If there are too few for the needle to stand at this depth and no other.
    """
    place = round(depth * num_sentences)
    if num_sentences == 0 or (0 < depth < 1 and place in (0, num_sentences)):
        raise ConfigError(
            f"a haystack of {num_sentences} sentences has no place at depth {depth:g}: ask for a "
            "longer one"
        )
    return place


def in_haystack(
    needle: QuestionedDocument, filler: Sequence[str], place: int
) -> QuestionedDocument:
    """Return a needle among other sentences.

    Args:
        needle: A document of one sentence.
        filler: The other sentences.
        place: How many of them stand before it.
    """
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
    taken: list[str] = []
    left = num_tokens
    for sentence in invented_sentences(seed, split):
        left -= count(f"{sentence} ")
        if left < 0:
            break
        taken.append(sentence)
    return taken


def invented_sentences(seed: int, split: str) -> Iterator[str]:
    """Yield sentences of invented facts without end.

    Args:
        seed: Of the facts.
        split: `train` or `test`: whose names and wordings.
    """
    for each in endless_documents(FACTS_OF_A_DOCUMENT, seed, split):
        for sentence in each.document.text.split(". "):
            yield f"{sentence.rstrip('.')}."


def _number(value: int, digits: int) -> str:
    return f"{value:0{digits}d}"


@cache
def _templates() -> Any:
    """Return the wordings by kind and part."""
    resource = files("compositional.documents").joinpath("needle_templates.json")
    return json.loads(resource.read_text(encoding="utf-8"))
