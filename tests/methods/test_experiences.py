import json

import pytest

from compositional.methods.experiences import Experiences, grams, similarity


def test_grams_are_four_letters_of_a_word_with_blanks_around() -> None:
    assert grams("The Mill!") == {" mil", "mill", "ill "}
    assert grams("of x") == {" of ", " x "}
    assert grams("an, the ____.") == frozenset()


def test_similarity_is_the_share_of_grams_in_common() -> None:
    assert similarity("the mill", "Mills") == pytest.approx(2 / 5)
    assert similarity("Mill, mill", "a mill") == 1.0
    assert similarity("mill", "bread") == similarity("", "the") == 0.0


def filled() -> Experiences:
    experiences = Experiences()
    experiences.add("a", "who built the mill", "Kor", 1.0)
    experiences.add("a", "who built the mill", "Ann", -1.0)
    experiences.add("a", "who owns the mill", "Ann", 1.0)
    experiences.add("b", "who bakes bread", "Kor", 0.5)
    experiences.add("b", "who owns the mill", "Bo", 0.25)
    return experiences


def test_finds_the_states_most_like_a_question() -> None:
    experiences = filled()
    near = experiences.near("who built a mill in May", 2, 0.1)
    assert near == [("a", "who built the mill"), ("a", "who owns the mill")]
    assert len(experiences.near("who built a mill in May", 9, 0.0)) == 4
    assert experiences.near("who built a mill in May", 9, 0.6) == near[:1]
    assert experiences.near("quick foxes", 9, 0.0) == []


def test_a_state_that_is_remembered_speaks_for_itself() -> None:
    near = filled().near("Who owns the mill?", 1, 0.0)
    assert near == [("a", "who owns the mill"), ("b", "who owns the mill")]
    assert filled().returns(near) == {"Ann": [1.0], "Bo": [0.25]}


def test_returns_are_put_together_over_states() -> None:
    places = [("a", "who built the mill"), ("b", "who bakes bread")]
    assert filled().returns(places) == {"Kor": [1.0, 0.5], "Ann": [-1.0]}


def test_a_source_is_taken_out_exactly() -> None:
    experiences, expected = filled(), Experiences()
    expected.add("b", "who bakes bread", "Kor", 0.5)
    expected.add("b", "who owns the mill", "Bo", 0.25)
    experiences.remove("a")
    experiences.remove("no such one")
    assert experiences.by_source == expected.by_source
    assert (experiences.num_states, experiences.num_returns) == (2, 2)
    assert filled().num_returns == 5


def test_what_is_kept_does_not_change_with_what_comes_later() -> None:
    experiences = filled()
    kept = experiences.to_json()
    as_text = json.dumps(kept)
    again = Experiences(json.loads(as_text))
    experiences.add("a", "who owns the mill", "Ann", -1.0)
    again.add("c", "x", "y", 0.0)
    assert json.dumps(kept) == as_text
    assert again.by_source["a"] == filled().by_source["a"]


def test_bytes_are_those_of_the_json() -> None:
    experiences = Experiences()
    experiences.add("a", "ä", "x", 1.0)
    assert experiences.num_bytes == len('{"a":{"ä":{"x":[1.0]}}}'.encode())
