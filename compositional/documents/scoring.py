"""Scores of one question about a document, from its stored prediction alone."""

from collections.abc import Collection

from compositional.documents.normalising import exact_match, is_false_recall, token_f1
from compositional.tasks.types import Example, Prediction, token_means

FALSE_RECALL = "false_recall"
ANSWER_SCORE_NAMES = (
    "choice_accuracy",
    "choice_accuracy_sum",
    "answer_f1",
    "answer_match",
    FALSE_RECALL,
)
"""Names of the scores of a question, in the order of tables."""


def score_answer(
    example: Example, prediction: Prediction, taught: Collection[str], *, is_taught: bool
) -> dict[str, float]:
    """Score what a method answered to a question about a document.

    Args:
        example: The question with its one step.
        prediction: The likelihoods of its choices, and the answer where one was generated.
        taught: Normalised right answers about all documents taught so far.
        is_taught: Whether its document is one of them.

    Returns:
        Those of `ANSWER_SCORE_NAMES` that apply, each 0 or 1, `answer_f1` in 0..1. Choices need
        likelihoods, the others a generated answer; `false_recall` applies to questions about a
        document that was not taught. Two choices that are equally likely at the top are no choice.
    """
    (step,) = example.steps or ()
    answers = (step.acceptable or {}).get("answers", [step.response])
    scores: dict[str, float] = {}
    if prediction.likelihoods:
        gold = example.choices.index(step.response)
        means = token_means(prediction.likelihoods, prediction.choice_tokens)
        scores["choice_accuracy"] = _is_top(means, gold)
        scores["choice_accuracy_sum"] = _is_top(list(prediction.likelihoods), gold)
    if prediction.answered:
        scores["answer_f1"] = token_f1(prediction.raw, answers)
        scores["answer_match"] = exact_match(prediction.raw, answers)
        if not is_taught:
            scores[FALSE_RECALL] = float(is_false_recall(prediction.raw, taught))
    return scores


def _is_top(values: list[float], place: int) -> float:
    """Return 1 where a value lies above all others."""
    return float(all(values[place] > v for n, v in enumerate(values) if n != place))
