from itertools import islice

import pytest

from compositional.documents.names import TEST, TRAIN
from compositional.documents.needles import (
    FACTS_OF_A_DOCUMENT,
    NUMBER,
    SENTENCE,
    Needles,
    filler_sentences,
    in_haystack,
    invented_sentences,
    needles,
    place_at,
)
from compositional.errors import ConfigError


def numbers(kind: Needles, count: int, split: str, seed: int = 0) -> set[str]:
    return {each.questions[0].answers[0] for each in needles(kind, count, seed, split)}


def test_training_and_test_share_no_number_no_name_and_no_wording() -> None:
    kind = Needles(digits=2, named=True)
    train, test = (
        [n for seed in (0, 1) for n in needles(kind, 30, seed, split)] for split in (TRAIN, TEST)
    )
    for one, other in ((train, test),):
        assert not {n.answers[0] for n in one} & {n.answers[0] for n in other}
    names = [{word for n in part for word in n.document.text.split() if word.istitle()}
             for part in (train, test)]  # fmt: skip
    stems = [{name for name in own if len(name) > 4} for own in names]
    common = stems[0] & stems[1]
    assert common <= {"Remember", "Works", "Mills", "Foundry", "Company", "Brothers", "Trading",
                      "Works.", "Mills.", "Foundry.", "Company.", "Brothers.",
                      "Trading."}  # fmt: skip
    forms = [
        {n.document.text.replace(n.questions[0].answers[0], "#")[:12] for n in part}
        for part in (train, test)
    ]
    assert not forms[0] & forms[1]


def test_a_needle_states_its_number_once_and_is_the_same_for_a_seed() -> None:
    kind = Needles(digits=4)
    found = needles(kind, 50, 3, TRAIN)
    assert found == needles(kind, 50, 3, TRAIN)
    assert found != needles(kind, 50, 4, TRAIN)
    for each in found:
        (question,) = each.questions
        (answer,) = question.answers
        assert len(answer) == 4
        assert each.document.text.count(answer) == 1
        assert answer not in question.text
    assert len({each.questions[0].answers[0] for each in found}) == 50


def test_wordings_can_be_fewer_or_those_of_the_other_part() -> None:
    one = needles(Needles(wordings=1), 20, 0, TRAIN)
    assert {e.document.text.rstrip(".0123456789") for e in one} == {"The secret access code is "}
    with_theirs = needles(Needles(wordings=1), 20, 0, TEST, TRAIN)
    assert all(e.document.text.startswith("The secret access code is ") for e in with_theirs)
    assert numbers(Needles(), 20, TEST).isdisjoint(numbers(Needles(), 20, TRAIN))


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("split", [TRAIN, TEST])
def test_an_answer_in_words_holds_the_number_and_no_other_draw(named: bool, split: str) -> None:
    alone = needles(Needles(named=named, form=NUMBER), 20, 0, split)
    in_words = needles(Needles(named=named, form=SENTENCE), 20, 0, split)
    for one, other in zip(alone, in_words, strict=True):
        assert one.document == other.document
        ((number,), (sentence, alias)) = (each.questions[0].answers for each in (one, other))
        assert one.questions[0].text == other.questions[0].text
        assert alias == number
        assert sentence.count(number) == 1
        assert sentence.endswith(".")


def test_a_haystack_holds_the_needle_at_its_depth_and_fits() -> None:
    (needle,) = needles(Needles(), 1, 0, TEST)
    filler = filler_sentences(120, 0, TEST, len)
    assert len(filler) >= 2
    assert sum(len(sentence) + 1 for sentence in filler) <= 120
    for depth, place in ((0.0, 0), (1.0, len(filler))):
        whole = in_haystack(needle, filler, place_at(depth, len(filler)))
        assert whole.document.text.count(needle.document.text) == 1
        sentences = [*filler[:place], needle.document.text, *filler[place:]]
        assert whole.document.text == " ".join(sentences)
        assert whole.questions == needle.questions
    assert filler_sentences(0, 0, TEST, len) == []


def test_the_middle_is_neither_the_beginning_nor_the_end() -> None:
    assert [place_at(0.5, number) for number in (2, 4, 10)] == [1, 2, 5]
    for number in range(2, 40):
        assert 0 < place_at(0.5, number) < number
        assert (place_at(0, number), place_at(1, number)) == (0, number)
    assert (place_at(0, 1), place_at(1, 1)) == (0, 1)


@pytest.mark.parametrize(("depth", "number"), [(0.5, 1), (0.5, 0), (0, 0), (1, 0), (0.1, 4)])
def test_a_depth_that_so_few_sentences_cannot_have_is_refused(depth: float, number: int) -> None:
    message = f"a haystack of {number} sentences has no place at depth {depth:g}"
    with pytest.raises(ConfigError, match=message):
        place_at(depth, number)


@pytest.mark.parametrize("length", [1_000, 4_000, 20_000])
def test_a_haystack_is_as_long_as_it_is_asked_to_be(length: int) -> None:
    filler = filler_sentences(length, 1, TEST, lambda text: len(text.split()))
    assert len(filler) > FACTS_OF_A_DOCUMENT
    longest = max(len(sentence.split()) for sentence in filler)
    assert length - longest <= len(" ".join(filler).split()) <= length
    assert len(set(filler)) == len(filler)


def test_a_longer_haystack_begins_as_a_shorter_one_does() -> None:
    short, long = (filler_sentences(length, 3, TEST, len) for length in (500, 9_000))
    assert long[: len(short)] == short
    assert list(islice(invented_sentences(3, TEST), len(long))) == long
    assert filler_sentences(500, 4, TEST, len) != short


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Needles(digits=6), "digits is 6"),
        (lambda: Needles(form="word"), "unknown form 'word'"),
        (lambda: needles(Needles(digits=1), 9, 0, TRAIN), "9 needles are wanted"),
        (lambda: needles(Needles(), 3, 0, "dev"), "split 'dev'"),
    ],
)
def test_what_cannot_be_is_refused(make, message) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
