from dataclasses import replace

import pytest

from compositional.methods.lesson_questions import split_held_out
from tests.playbooks.scripted import QUESTION
from tests.rounds_toy import toy_context


@pytest.mark.parametrize(
    ("count", "share", "num_held_out"),
    [(0, 0.25, 0), (1, 0.25, 0), (2, 0.25, 1), (3, 0.25, 1), (7, 0.25, 1), (8, 0.25, 2),
     (2, 0.9, 1), (10, 0.9, 9), (3, 0.0, 0)],
)  # fmt: skip
def test_the_share_is_rounded_down_but_one_of_two_is_held_out(
    count: int, share: float, num_held_out: int
) -> None:
    questions = [replace(QUESTION, text=f"Question: number {n}?") for n in range(count)]
    kept, held_out = split_held_out(questions, share, "k", toy_context())
    assert len(held_out) == num_held_out
    assert sorted(q.text for q in [*kept, *held_out]) == [q.text for q in questions]
    assert [q for q in questions if q in held_out] == held_out
    assert split_held_out(questions, share, "k", toy_context()) == (kept, held_out)
