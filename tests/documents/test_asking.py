"""Which questions are drawn."""

from compositional.documents.asking import asked_questions
from compositional.documents.types import Question
from compositional.streams import Streams

QUESTIONS = [
    Question(f"{kind}{number}", "?", ("a",), kind)
    for kind, count in (("direct", 4), ("two_hop", 2), ("unanswerable", 1))
    for number in range(count)
]


def kinds(most: int, seed: int = 0) -> list[str]:
    rng = Streams(seed).generator("asked")
    return [question.kind for question in asked_questions(QUESTIONS, most, rng)]


def test_each_kind_in_turn() -> None:
    assert kinds(3) == ["direct", "two_hop", "unanswerable"]
    assert kinds(5) == ["direct", "two_hop", "unanswerable", "direct", "two_hop"]
    assert kinds(99) == [*kinds(5), "direct", "direct"]


def test_which_of_a_kind_is_drawn() -> None:
    firsts = {
        asked_questions(QUESTIONS, 1, Streams(seed).generator("asked"))[0].id for seed in range(30)
    }
    assert firsts == {"direct0", "direct1", "direct2", "direct3"}


def test_none_stands_twice() -> None:
    rng = Streams(0).generator("asked")
    drawn = asked_questions(QUESTIONS, 99, rng)
    assert sorted(q.id for q in drawn) == sorted(q.id for q in QUESTIONS)
