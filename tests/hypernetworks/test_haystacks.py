"""Haystacks are as long as they are called, and the needle stands where they say."""

import re
from itertools import product

import pytest

from compositional.documents.names import TEST, TRAIN
from compositional.documents.needles import Needles, needles
from compositional.errors import ConfigError
from compositional.hypernetworks.haystacks import (
    DEPTHS,
    SHARES,
    among_other_facts,
    haystack_name,
    haystacks,
)

KIND = Needles()
NUM_NEEDLES = 3
NAME = re.compile(r"haystack of (\d+)(?: to (\d+))? tokens, depth (.+)")


def words(text: str) -> int:
    return len(text.split())


@pytest.mark.parametrize("longest", [120, 400, 4_000])
def test_they_are_called_by_the_length_that_they_have(longest: int) -> None:
    made = haystacks(KIND, NUM_NEEDLES, longest, 0, words)
    needle_words = [words(n.document.text) for n in needles(KIND, NUM_NEEDLES, 0, TEST, TRAIN)]
    assert len(made) == len(SHARES) * len(DEPTHS)
    for (share, depth), (name, own) in zip(product(SHARES, DEPTHS), made.items(), strict=True):
        matched = NAME.fullmatch(name)
        assert matched is not None
        low, high, said = matched.groups()
        assert float(said) == depth
        pairs = zip(own, needle_words, strict=True)
        lengths = [words(each.document.text) - of_needle for each, of_needle in pairs]
        assert (min(lengths), max(lengths)) == (int(low), int(high or low))
        assert share * longest - 20 < min(lengths) <= max(lengths) <= share * longest


@pytest.mark.parametrize("longest", [120, 400])
def test_the_needle_stands_where_they_say(longest: int) -> None:
    own = [each.document.text for each in needles(KIND, NUM_NEEDLES, 0, TEST, TRAIN)]
    for name, made in haystacks(KIND, NUM_NEEDLES, longest, 0, words).items():
        depth = float(name.rpartition(" ")[2])
        for needle, each in zip(own, made, strict=True):
            before, behind = (
                part.count(".") for part in each.document.text.split(needle, maxsplit=1)
            )
            assert before + behind >= 2
            if depth == 0.5:
                assert abs(before - behind) <= 1
            else:
                assert (behind if depth else before) == 0


def test_no_two_depths_are_one_text() -> None:
    made = haystacks(KIND, NUM_NEEDLES, 120, 0, words)
    texts = [each.document.text for own in made.values() for each in own]
    assert len(set(texts)) == len(texts)


def test_those_too_short_to_have_a_middle_are_refused_with_the_length_that_has_one() -> None:
    message = r"haystack_tokens is 24: 6 tokens of other facts are [01] sentence\(s\)"
    with pytest.raises(ConfigError, match=message) as caught:
        haystacks(KIND, NUM_NEEDLES, 24, 0, words)
    least = int(str(caught.value).split("set it to ")[1].split()[0])
    assert len(haystacks(KIND, NUM_NEEDLES, least, 0, words)) == len(SHARES) * len(DEPTHS)
    with pytest.raises(ConfigError, match=f"haystack_tokens is {least - 4}"):
        haystacks(KIND, NUM_NEEDLES, least - 4, 0, words)


def test_haystacks_of_one_length_have_one_number() -> None:
    assert haystack_name([60, 60], 0.5) == "haystack of 60 tokens, depth 0.5"
    assert haystack_name([57, 64, 60], 1.0) == "haystack of 57 to 64 tokens, depth 1"


def test_those_to_train_on_are_of_all_lengths_and_places() -> None:
    own = needles(KIND, 40, 0, TRAIN)
    made = among_other_facts(own, 100, 0, words)
    before = []
    for needle, each in zip(own, made, strict=True):
        assert each.questions == needle.questions
        first, last = each.document.text.split(needle.document.text, maxsplit=1)
        assert words(first) + words(last) <= 100
        before.append((first.count("."), last.count(".")))
    assert len(set(before)) > 20
    assert any(0 in places for places in before)
    assert any(0 not in places for places in before)
