import numpy as np
import pytest

from compositional.generation.likelihoods import Likelihoods
from compositional.validation.facts import invented_facts
from tests.validation.words import word_facts


def test_each_choice_is_right_as_often_as_it_is_wrong_and_was_taught() -> None:
    facts = invented_facts(seed=3)
    assert len(facts.documents) == len(facts.questions) == 4 * 2  # people, what is true of each
    rows = zip(facts.documents, facts.questions, facts.beginnings, strict=True)
    for document, question, begin in rows:
        assert question.steps is not None
        assert document.text == f"{begin} {question.steps[0].response}."
        assert len(set(question.choices)) == 4
        alike = [other for other in facts.questions if other.choices == question.choices]
        golds = [other.steps[0].response for other in alike if other.steps]
        assert sorted(golds) == sorted(question.choices)
        assert not question.generates


def test_a_seed_gives_the_same_facts_again_and_another_one_others() -> None:
    assert invented_facts(3) == invented_facts(3)
    assert invented_facts(3) != invented_facts(4)


def test_what_makes_a_choice_likelier_whatever_is_asked_gains_nothing() -> None:
    facts = invented_facts(3)
    every = sorted({choice for question in facts.questions for choice in question.choices})
    push = {choice: float(place) ** 2 for place, choice in enumerate(every)}
    found = [
        Likelihoods(tuple(3 * push[choice] for choice in question.choices), (3,) * 4)
        for question in facts.questions
    ]
    assert facts.leads(found) == pytest.approx(np.zeros(8))


def test_a_lead_is_worked_out_by_hand() -> None:
    """Two people, so two choices: the difference of the two differences."""
    facts = invented_facts(3, num_people=2)
    found = [
        Likelihoods((-2.0, -9.0), (2, 3)),  # a token: -1 right, -3 wrong: ahead by 2
        Likelihoods((-4.0, -5.0), (1, 1)),  # -4 wrong, -5 right: the first one ahead by 1
        Likelihoods((-1.0, -1.0), (1, 1)),
        Likelihoods((-1.0, -1.0), (1, 1)),
    ]
    assert facts.leads(found) == pytest.approx([2 - 1, -1 + 2, 0, 0])


def test_both_questions_on_a_person_stand_against_all_on_others() -> None:
    facts = word_facts()
    rows = [Likelihoods((-1.0,) * 6, (1,) * 6)] * len(facts.questions)
    rows[0] = Likelihoods((-1.0 + 5, *(-1.0,) * 5), (1,) * 6)
    found = facts.leads(rows)
    assert found[0] == pytest.approx(5)
    assert found[1] == pytest.approx(0)  # the same person: not held against the first
    # Its answer lies 1 behind the mean of the others there, in one of ten rows on other people.
    assert found[2] == pytest.approx(1 / 10)


def test_questions_and_likelihoods_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="zip"):
        word_facts().leads([Likelihoods((-1.0,) * 6, (1,) * 6)])
