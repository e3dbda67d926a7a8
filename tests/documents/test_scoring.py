import pytest

from compositional.documents.scoring import score_answer
from compositional.tasks.types import TEXT, Example, Prediction, Step

QUESTION = Example(
    "q",
    "Where?",
    (Step(None, "the Nile", {"answers": ["the Nile", "Nile river"]}),),
    round=1,
    form=TEXT,
    choices=("Rome", "the Nile", "Paris in France", "1900"),
)


def predicted(raw: str = "", likelihoods: tuple[float, ...] = (), **more: object) -> Prediction:
    tokens = (1, 2, 4, 2) if likelihoods else ()
    return Prediction(raw, (), likelihoods=likelihoods, choice_tokens=tokens, **more)


def test_choices_are_taken_by_their_mean_and_by_their_sum() -> None:
    # Means: -3, -1.5, -1, -4. Sums: -3, -3, -4, -8.
    scores = score_answer(
        QUESTION, predicted("x", (-3.0, -3.0, -4.0, -8.0)), frozenset(), is_taught=True
    )
    assert scores["choice_accuracy"] == 0
    assert scores["choice_accuracy_sum"] == 0  # a tie at the top is no choice
    scores = score_answer(
        QUESTION, predicted("x", (-3.0, -1.0, -4.0, -8.0)), frozenset(), is_taught=True
    )
    assert (scores["choice_accuracy"], scores["choice_accuracy_sum"]) == (1, 1)


@pytest.mark.parametrize(
    ("answer", "f1", "match"),
    [
        ("the Nile", 1.0, 1.0),
        ("The Nile.", 1.0, 1.0),
        ("Nile River", 1.0, 1.0),
        ("in Nile", 2 / 3, 0.0),
        ("Nilewater", 0.0, 0.0),  # a substring is no answer
        ("", 0.0, 0.0),
    ],
)
def test_generated_answers_are_compared_as_squad_does(answer, f1, match) -> None:
    scores = score_answer(QUESTION, predicted(answer), frozenset(), is_taught=True)
    assert scores == {"answer_f1": pytest.approx(f1), "answer_match": match}


def test_what_was_not_asked_for_has_no_score() -> None:
    assert score_answer(QUESTION, predicted(answered=False), frozenset(), is_taught=True) == {}


def test_to_abstain_is_right_where_the_document_does_not_say() -> None:
    nothing = Example("q", "Who?", (Step(None, "", {"answers": []}),), form=TEXT)
    for answer, right in (("unknown", 1.0), ("Unknown.", 1.0), ("", 1.0), ("Rome", 0.0)):
        scores = score_answer(nothing, predicted(answer), frozenset(), is_taught=True)
        assert (scores["answer_f1"], scores["answer_match"]) == (right, right)


def test_false_recall_is_an_answer_of_a_taught_document() -> None:
    taught = frozenset({"rome", "nile"})
    for answer, found in (("Rome", 1.0), ("the Nile", 1.0), ("Rome now", 0.0), ("unknown", 0.0)):
        scores = score_answer(QUESTION, predicted(answer), taught, is_taught=False)
        assert scores["false_recall"] == found
    assert "false_recall" not in score_answer(QUESTION, predicted("Rome"), taught, is_taught=True)
