"""Distractors: where they come from, that none is right, that the seed alone decides."""

import pytest

from compositional.documents.choices import choices_of
from compositional.documents.normalising import normalise
from compositional.documents.types import Question, QuestionedDocument
from compositional.errors import DataError
from compositional.streams import Streams
from compositional.tasks.types import Document


def document(name: str, *answers: tuple[str, ...]) -> QuestionedDocument:
    questions = [Question(f"{name}{n}", f"{name} {n}?", own) for n, own in enumerate(answers)]
    return QuestionedDocument(Document(name, f"About {name}."), tuple(questions))


RIVER = document("river", ("Ebbe",), ("1704", "the year 1704"), ("salt",), ("Osla",), ())
TOWN = document("town", ("Marn",), ("salt",), ("Keld",))


def test_two_are_of_the_same_document_and_one_of_another() -> None:
    choices = choices_of([RIVER, TOWN], Streams(7))
    assert set(choices) == {"river0", "river1", "river2", "river3", "town0", "town1", "town2"}
    for name, drawn in choices.items():
        own, other = (RIVER, TOWN) if name.startswith("river") else (TOWN, RIVER)
        (question,) = (q for q in own.questions if q.id == name)
        assert drawn.texts[drawn.gold] == question.answers[0]
        assert drawn.num_from_the_same == 2
        wrong = [text for place, text in enumerate(drawn.texts) if place != drawn.gold]
        assert len(set(wrong)) == 3
        assert not {normalise(text) for text in wrong} & {normalise(a) for a in question.answers}
        assert sum(text in own.answers for text in wrong) >= 2
        assert sum(text in other.answers for text in wrong) >= 1


def test_an_answer_that_both_documents_have_is_drawn_once() -> None:
    for seed in range(20):
        for drawn in choices_of([RIVER, TOWN], Streams(seed)).values():
            assert len({normalise(text) for text in drawn.texts}) == 4


def test_a_draw_depends_on_seed_and_question_alone() -> None:
    first = choices_of([RIVER, TOWN], Streams(7))
    assert choices_of([RIVER, TOWN], Streams(7)) == first
    assert choices_of([RIVER, TOWN], Streams(8)) != first
    golds = {
        drawn.gold
        for seed in range(20)
        for drawn in choices_of([RIVER, TOWN], Streams(seed)).values()
    }
    assert golds == {0, 1, 2, 3}


def test_where_a_document_has_one_answer_others_lend_more() -> None:
    lonely = document("lonely", ("Ebbe",))
    drawn = choices_of([lonely, TOWN], Streams(1))["lonely0"]
    assert drawn.num_from_the_same == 0
    assert set(drawn.texts) == {"Ebbe", "Marn", "salt", "Keld"}


def test_too_few_answers_are_an_error() -> None:
    with pytest.raises(DataError, match="question lonely0: 3 distractors are needed, and all doc"):
        choices_of([document("lonely", ("Ebbe",), ("Osla",))], Streams(1))
