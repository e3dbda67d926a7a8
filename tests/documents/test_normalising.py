"""SQuAD's comparison of answers, by hand."""

import pytest

from compositional.documents.normalising import (
    exact_match,
    is_false_recall,
    normalise,
    token_f1,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Panthers' defense!", "panthers defense"),
        ("A theatre, an anthem", "theatre anthem"),  # articles are whole words
        ("U.S.", "us"),
        ("the", ""),
        ("Ninety-five", "ninetyfive"),
        ("Żelazna  Wola", "żelazna wola"),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


def test_exact_match_takes_aliases_and_no_substrings() -> None:
    assert exact_match("The 308.", ["308"]) == 1.0
    assert exact_match("308 points", ["308"]) == 0.0
    assert exact_match("NIST", ["National Institute of Standards and Technology", "nist"]) == 1.0
    assert exact_match("23", ["2"]) == 0.0


def test_token_f1_is_the_best_over_aliases() -> None:
    # Shared: 2 of 3 given words, 2 of 2 right ones.
    assert token_f1("Denver Broncos won", ["Denver Broncos"]) == pytest.approx(4 / 5)
    assert token_f1("Broncos", ["Denver Broncos", "Broncos"]) == 1.0
    assert token_f1("one one two", ["one two two"]) == pytest.approx(4 / 6)
    assert token_f1("nothing", ["Denver"]) == 0.0
    assert token_f1("the", ["Denver"]) == 0.0
    assert token_f1("the", ["a"]) == 1.0


@pytest.mark.parametrize("score", [exact_match, token_f1])
def test_what_no_document_says_is_answered_by_abstaining(score) -> None:
    assert score("Unknown.", []) == 1.0
    assert score(" ", []) == 1.0
    assert score("Denver", []) == 0.0


def test_false_recall_needs_the_whole_answer() -> None:
    taught = ["Denver Broncos", "308"]
    assert is_false_recall("the denver broncos", taught)
    assert not is_false_recall("Denver", taught)
    assert not is_false_recall("unknown", ["unknown"])
    assert not is_false_recall("", taught)
