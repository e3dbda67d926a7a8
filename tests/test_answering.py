from dataclasses import replace

import pytest

from compositional.answering import Answering, is_computed, shares
from compositional.tasks.types import Prediction

GENERATED = Prediction("a", (), num_tokens=6)
SCORED = Prediction("", (), likelihoods=(-1.0, -2.0), choice_tokens=(1, 3), answered=False)
REUSED = replace(GENERATED, reused=True)


def test_a_cell_has_the_share_of_the_tokens_computed_for_it() -> None:
    # 6 generated, 4 of choices, and 4 of choices beside a reused answer of 6
    cells = [[GENERATED], [SCORED], [replace(SCORED, num_tokens=6, answered=True, reused=True)]]
    assert shares(cells) == pytest.approx([6 / 14, 4 / 14, 4 / 14])


def test_a_row_without_such_tokens_is_shared_by_examples() -> None:
    empty = Prediction("", ())
    assert shares([[REUSED] * 3, [REUSED]]) == [0.75, 0.25]
    assert shares([[empty], [empty]]) == [0.5, 0.5]
    assert shares([[REUSED] * 3, [GENERATED]]) == [0, 1]


def test_what_is_computed_is_generated_anew_or_scored() -> None:
    assert is_computed(GENERATED)
    assert is_computed(SCORED)
    assert is_computed(replace(SCORED, answered=True, reused=True))
    assert not is_computed(REUSED)
    assert not is_computed(Prediction("", (), answered=False))


def test_tokens_add_up() -> None:
    answering = Answering()
    answering.add([[1, 2], [3]], generated=[[4, 5, 6], []])
    answering.add([[1, 2]], choices=[[7], [8, 9]])
    assert answering == Answering(prompt_tokens=5, choice_tokens=3, generated_tokens=3)
