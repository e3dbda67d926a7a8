"""The order in which documents are taken, and which questions are asked of each."""

from collections.abc import Sequence

import numpy as np

from compositional.documents.types import KINDS, Question, QuestionedDocument
from compositional.streams import Streams


def in_drawn_order(
    documents: Sequence[QuestionedDocument], streams: Streams
) -> list[QuestionedDocument]:
    """Return documents in the order in which rounds, trials and trainings take them."""
    order = streams.generator("documents").permutation(len(documents))
    return [documents[place] for place in order]


def asked_questions(
    questions: Sequence[Question], most: int, rng: np.random.Generator
) -> tuple[Question, ...]:
    """Draw the questions that are asked: one of each kind in turn, until there are enough.

    Args:
        questions: All questions about a document.
        most: How many are asked at the most.
        rng: Where from.
    """
    by_kind = {kind: [q for q in questions if q.kind == kind] for kind in KINDS}
    queues = [[own[n] for n in rng.permutation(len(own))] for own in by_kind.values()]
    drawn: list[Question] = []
    while len(drawn) < most and any(queues):
        drawn += [queue.pop() for queue in queues if queue]
    return tuple(drawn[:most])
