"""Which scores a benchmark has, and the scores of one answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from compositional.documents.scoring import ANSWER_SCORE_NAMES, score_answer
from compositional.tasks.benchmark import DOCUMENTS, TOOLS, Benchmark
from compositional.tasks.scoring import HEADLINE_SCORES, SCORE_NAMES, score_example
from compositional.tasks.types import TEXT, Example, Prediction


@dataclass(frozen=True)
class Measures:
    """The scores of a kind of rounds.

    Attributes:
        names: All of them, in the order of tables.
        headline: Those whose matrices head a report, the first of them the one that counts.
        right: The score that is 1 where an example is right.
    """

    names: tuple[str, ...]
    headline: tuple[str, ...]
    right: str


MEASURES: Mapping[str, Measures] = {
    TOOLS: Measures(SCORE_NAMES, HEADLINE_SCORES, "exact_match"),
    DOCUMENTS: Measures(ANSWER_SCORE_NAMES, ("choice_accuracy", "answer_f1"), "choice_accuracy"),
}


def measures_of(task: str) -> Measures:
    """Return the scores of rounds of tools or of documents."""
    return MEASURES[task]


def score_prediction(
    example: Example, prediction: Prediction, benchmark: Benchmark, row: int
) -> dict[str, float]:
    """Score what a method answered to one example.

    Args:
        example: The example with its steps.
        prediction: The answer.
        benchmark: What was taught.
        row: Rounds learned.
    """
    if example.form != TEXT:
        return score_example(example, prediction, benchmark.skills)
    is_taught = example.round is not None and example.round <= row
    return score_answer(example, prediction, benchmark.answers_until(row), is_taught=is_taught)
