"""The synthetic suite: facts stated once, questions that they answer, splits apart."""

import re
from collections import Counter
from itertools import islice

import pytest

from compositional.documents.names import SPLITS, Names, split_of
from compositional.documents.synthetic import (
    FIRST_YEAR,
    LAST_YEAR,
    RELATIONS,
    _templates,
    endless_documents,
    synthetic_documents,
)
from compositional.documents.types import KINDS
from compositional.errors import ConfigError
from compositional.streams import Streams

NAME = re.compile(r"[A-Z][a-z]+")


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("num_facts", [4, 9, 13, 256])
def test_each_fact_is_one_sentence_and_all_kinds_are_asked(num_facts: int, split: str) -> None:
    for document in synthetic_documents(2, num_facts, seed=3, split=split):
        assert document.document.text.count(".") == num_facts
        kinds = Counter(question.kind for question in document.questions)
        assert set(kinds) == set(KINDS)
        assert kinds["direct"] == kinds["paraphrased"] == num_facts
        for question in document.questions:
            assert (question.kind == "unanswerable") == (question.answers == ())
            text = document.document.text.lower()
            assert all(answer.lower() in text for answer in question.answers)


def test_four_facts_by_hand() -> None:
    (document,) = synthetic_documents(1, 4, seed=1)
    direct = [q for q in document.questions if q.kind == "direct"]
    employer, town, _, river = (q.answers[0] for q in direct)
    two_hop = [q for q in document.questions if q.kind == "two_hop"]
    assert [q.answers for q in two_hop] == [(town,), (river,)]
    assert employer in two_hop[1].text
    reversed_ = [q for q in document.questions if q.kind == "reversed"]
    person = reversed_[0].answers[0]
    assert person in direct[0].text
    assert [q.answers[0] for q in reversed_] == [person, employer, person, town]


def test_a_direct_question_has_one_answer_in_its_document() -> None:
    (document,) = synthetic_documents(1, 256, seed=5)
    answered = [q for q in document.questions if q.answers]
    assert len({q.text for q in answered}) == len(answered)


def test_the_seed_decides() -> None:
    first = synthetic_documents(2, 8, seed=1)
    assert synthetic_documents(2, 8, seed=1) == first
    assert synthetic_documents(2, 8, seed=2) != first
    assert synthetic_documents(3, 8, seed=1)[:2] == first
    assert list(islice(endless_documents(8, seed=1), 2)) == first


def test_training_and_test_share_no_name_and_no_template() -> None:
    values = {
        word for texts in _templates()["values"].values() for text in texts for word in text.split()
    }
    stems: dict[str, set[str]] = {}
    for split in SPLITS:
        documents = [d for seed in (1, 2) for d in synthetic_documents(2, 64, seed, split)]
        names = {
            name
            for d in documents
            for q in d.questions
            for a in q.answers
            for name in NAME.findall(a)
        }
        stems[split] = names - values
    endings = {"Works", "Mills", "Foundry", "Company", "Brothers", "Trading"}
    assert stems["train"] & stems["test"] <= endings
    train, test = (_wordings(split) for split in SPLITS)
    assert not train & test


def test_what_both_parts_share_are_values_that_are_no_names() -> None:
    years = {str(year) for year in range(FIRST_YEAR, LAST_YEAR + 1)}
    values = years.union(*_templates()["values"].values())
    answers = {
        split: [
            answer
            for document in synthetic_documents(20, 8, 1, split)
            for question in document.questions
            for answer in question.answers
        ]
        for split in SPLITS
    }
    for own in answers.values():
        assert sum(answer in values for answer in own) * 24 == len(own) * 10
    names = {split: set(own) - values for split, own in answers.items()}
    assert not names["train"] & names["test"]


def _wordings(split: str) -> set[str]:
    templates = _templates()[split]
    assert set(templates) == {*RELATIONS, "two_hop", "unanswerable"}
    return {text for own in templates.values() for texts in own.values() for text in texts}


def test_a_stem_is_of_one_split() -> None:
    names = Names("train", Streams(0).generator("names"))
    drawn = [names.person() for _ in range(50)]
    assert len({stem for name in drawn for stem in name.split()}) == 100
    assert {split_of(stem.lower()) for name in drawn for stem in name.split()} == {"train"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 8, 1), "num_documents is 0"),
        ((1, 3, 1), "num_facts is 3"),
        ((1, 8, 1, "dev"), "unknown split 'dev'"),
    ],
)
def test_what_cannot_be_made(arguments, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        synthetic_documents(*arguments)
