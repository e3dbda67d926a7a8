"""A document with the questions that are asked of whoever learned it."""

from dataclasses import dataclass

from compositional.tasks.types import Document

DIRECT, PARAPHRASED, REVERSED, TWO_HOP = "direct", "paraphrased", "reversed", "two_hop"
UNANSWERABLE = "unanswerable"
KINDS = (DIRECT, PARAPHRASED, REVERSED, TWO_HOP, UNANSWERABLE)


@dataclass(frozen=True)
class Question:
    """A question about one document.

    Attributes:
        id: Unique within its source.
        text: The question.
        answers: The right answers, the first of them the gold one and the others its aliases;
            `()` where the document does not say.
        kind: One of `KINDS`; what people wrote is `direct` or `unanswerable`.
    """

    id: str
    text: str
    answers: tuple[str, ...]
    kind: str = DIRECT


@dataclass(frozen=True)
class QuestionedDocument:
    """A document and its questions.

    Attributes:
        document: The text to learn.
        questions: What is asked of it; `()` where a source has texts only.
    """

    document: Document
    questions: tuple[Question, ...] = ()

    @property
    def answers(self) -> tuple[str, ...]:
        """Every right answer to a question about it, aliases included, each once."""
        return tuple(dict.fromkeys(a for question in self.questions for a in question.answers))
