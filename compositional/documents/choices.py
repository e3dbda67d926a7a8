"""The choices of a question: the gold answer and three distractors, drawn once by the seed.

Two of the distractors answer other questions about the same document, one answers a question about
another document, so that a method which knows only what a document is about, or only which words
stand in it, is told apart from one that knows the answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from compositional.documents.normalising import normalise
from compositional.documents.types import Question, QuestionedDocument
from compositional.errors import DataError
from compositional.streams import Streams

NUM_FROM_THE_SAME = 2
NUM_DISTRACTORS = 3
CHANCE = 1 / (1 + NUM_DISTRACTORS)


@dataclass(frozen=True)
class Choices:
    """What a question is answered from by likelihood.

    Attributes:
        texts: Four answers in an order drawn by the seed.
        gold: Place of the right one.
        num_from_the_same: How many distractors come from the same document: two, fewer where it
            has no more answers.
    """

    texts: tuple[str, ...]
    gold: int
    num_from_the_same: int


def choices_of(documents: Sequence[QuestionedDocument], streams: Streams) -> dict[str, Choices]:
    """Draw the choices of every answerable question.

    A draw depends on the seed and the question's id alone, besides the documents.

    Args:
        documents: All documents of a source whose answers may be distractors.
        streams: The data's random streams.

    Returns:
        The choices by question id.

    Raises:
        DataError: If the documents have too few different answers.
    """
    answers = [
        _distinct(question.answers[0] for question in document.questions if question.answers)
        for document in documents
    ]
    return {
        question.id: _draw(question, place, answers, streams.generator("choices", question.id))
        for place, document in enumerate(documents)
        for question in document.questions
        if question.answers
    }


def _draw(
    question: Question,
    place: int,
    answers: Sequence[dict[str, str]],
    rng: np.random.Generator,
) -> Choices:
    """Draw one question's distractors, none of them right, and the order of all four."""
    used = {normalise(text) for text in question.answers}
    same = _without(answers[place], used)
    near = _sample(same, NUM_FROM_THE_SAME, rng)
    used |= {normalise(text) for text in near}
    others = {key: text for n, own in enumerate(answers) if n != place for key, text in own.items()}
    far = _sample(_without(others, used), NUM_DISTRACTORS - len(near), rng)
    distractors = [*near, *far]
    if len(distractors) < NUM_DISTRACTORS:
        raise DataError(
            f"question {question.id}: {NUM_DISTRACTORS} distractors are needed, and all documents "
            f"have {len(distractors)} other answers: read more documents"
        )
    texts = [question.answers[0], *distractors]
    order = rng.permutation(len(texts))
    return Choices(tuple(texts[n] for n in order), int(np.argmin(order)), len(near))


def _distinct(texts: Iterable[str]) -> dict[str, str]:
    """Return texts by what they are normalised, the first of those that are one."""
    distinct: dict[str, str] = {}
    for text in texts:
        distinct.setdefault(normalise(text), text)
    distinct.pop("", None)
    return distinct


def _without(texts: dict[str, str], used: set[str]) -> list[str]:
    return [text for key, text in texts.items() if key not in used]


def _sample(texts: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    places = rng.permutation(len(texts))[:count]
    return [texts[place] for place in places]
