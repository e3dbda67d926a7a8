import numpy as np

from compositional.documents.normalising import normalise
from compositional.methods.gaps import GAP, Gap, choices_at, gaps_of
from compositional.methods.self_study import evenly_spread

TEXT = "Kor Alman built the Marlow mill in 1712. It ran (on water) for 1,200.5 days."


def answers(text: str) -> list[str]:
    return [gap.answer for gap in gaps_of(text, 10)]


def test_names_numbers_and_short_runs_are_left_out() -> None:
    assert answers(TEXT) == [
        "Kor Alman", "Kor Alman built", "built", "Marlow", "Marlow mill", "mill", "1712",
        "ran", "water", "1,200.5", "1,200.5 days", "days",
    ]  # fmt: skip


def test_of_words_that_are_no_name_the_last_ones_are_left_out() -> None:
    assert answers("They make very fine old tin whistles.") == [
        "make", "old tin whistles", "tin whistles", "whistles",
    ]  # fmt: skip
    assert answers("She has a bachelor's degree, twenty-one cats.") == [
        "bachelor's degree", "degree", "twenty-one cats", "cats",
    ]  # fmt: skip


def test_a_gap_keeps_the_words_around() -> None:
    (first, *_) = gaps_of(TEXT, 10)
    assert first == Gap(f"{GAP} built the Marlow mill in 1712", "Kor Alman")
    near = [gap.state for gap in gaps_of(TEXT, 2) if gap.answer == "Marlow mill"]
    assert near == [f"built the {GAP} in 1712"]


def test_nothing_to_leave_out_or_nothing_around_is_no_gap() -> None:
    assert gaps_of("It was. Who? The Mill. 1712", 10) == []
    assert gaps_of("", 10) == []


def test_as_many_as_asked_for_are_spread_evenly() -> None:
    everything = gaps_of(TEXT, 10)
    assert evenly_spread(everything, 3) == [everything[0], everything[4], everything[8]]
    assert gaps_of(TEXT + "\n" + TEXT, 10) == everything  # each once


def test_choices_are_the_answer_and_others_of_the_document() -> None:
    gaps = gaps_of(TEXT, 10)
    drawn = choices_at(gaps, 4, np.random.default_rng(0))
    assert drawn == choices_at(gaps, 4, np.random.default_rng(0))
    assert drawn != choices_at(gaps, 4, np.random.default_rng(1))
    texts = {gap.answer for gap in gaps}
    for gap, own in zip(gaps, drawn, strict=True):
        assert own[0] == gap.answer
        assert len({normalise(text) for text in own}) == len(own) == 4
        assert set(own) <= texts
    assert choices_at(gaps[:1], 4, np.random.default_rng(0)) == [("Kor Alman",)]
