import math
from dataclasses import replace

import pytest

from compositional.errors import ConfigError, DataError
from compositional.methods.gaps import gaps_of
from compositional.methods.jitrl import Jitrl, JitrlConfig, candidates
from compositional.methods.questions import answer_alone
from compositional.tasks.types import TEXT, Document, Example, Prediction, Round
from tests.documents_toy import toy_documents
from tests.rounds_toy import toy_context

SURE = 1e-3
CHOICES = ("Kor", "Ann Temba", "a baker", "1712")
QUESTION = Example("q", "Who built the mill?", None, form=TEXT, choices=CHOICES)
MILL = Document("mill", "Kor Alman built the Marlow mill in 1712. It stands at the river Vunda.")
BREAD = Document("bread", "Temba bakes bread for 300 people. Her oven came from Steadholm.")


def method(model, **settings: object) -> Jitrl:
    return JitrlConfig(**settings).build(model, toy_documents(1))


def taught(index: int, *documents: Document, passes: int = 4) -> Round:
    return Round(index, f"round{index}", passes, (), (), (), (), documents)


def means(prediction: Prediction) -> list[float]:
    pairs = zip(prediction.likelihoods, prediction.choice_tokens, strict=True)
    return [total / count for total, count in pairs]


def best(prediction: Prediction) -> str:
    values = means(prediction)
    return CHOICES[values.index(max(values))]


def test_with_nothing_remembered_it_is_the_model(model) -> None:
    examples = [e.hidden() for e in toy_documents(1).rounds[0].test]
    built = method(model)
    assert built.answer(examples, toy_context()) == answer_alone(model, examples, toy_context())
    built.learn(taught(1, MILL), toy_context())
    apart = [replace(QUESTION, query="Xyzzy, plugh?")]
    assert built.answer(apart, toy_context()) == answer_alone(model, apart, toy_context())


def test_an_infinite_lambda_leaves_the_model_as_it_is(model) -> None:
    built = method(model, kl_weight=math.inf, least_similarity=0.0)
    built.learn(taught(1, MILL), toy_context())
    assert built.experiences.near(QUESTION.query, 1, 0.0)
    (found,) = built.answer([QUESTION], toy_context())
    (plain,) = answer_alone(model, [QUESTION], toy_context())
    assert found.raw == plain.raw
    assert found.likelihoods == pytest.approx(plain.likelihoods, abs=1e-4)


def test_with_an_infinite_lambda_a_likelier_remembered_answer_counts_for_nothing(model) -> None:
    """With a finite one the likeliest candidate is given, however little its return weighs."""
    (plain,) = answer_alone(model, [QUESTION], toy_context())
    for kl_weight, is_given in ((1e9, True), (math.inf, False)):
        built = method(model, kl_weight=kl_weight)
        for end in range(1, len(plain.raw)):
            built.feedback(QUESTION.query, plain.raw[:end], 1.0)
        (found,) = built.answer([QUESTION], toy_context())
        assert (found.raw != plain.raw) == is_given


def test_advantages_are_added_to_the_mean_log_likelihoods(model) -> None:
    built = method(model, kl_weight=0.5)
    (plain,) = built.answer([QUESTION], toy_context())
    built.feedback(QUESTION.query, "KOR!", 1.0)  # compared as answers are: normalised
    built.feedback(QUESTION.query, "baker", -0.5)
    built.feedback(QUESTION.query, "somebody", 1.0)
    (found,) = built.answer([QUESTION], toy_context())
    # The mean of all returns is 0.5; what was not tried counts as 0.
    expected = [0.5, -0.5, -1.0, -0.5]
    gains = [(f - p) * 0.5 for f, p in zip(means(found), means(plain), strict=True)]
    assert gains == pytest.approx(expected, abs=1e-4)


def test_a_reward_changes_the_choice_and_the_answer(model) -> None:
    built = method(model, kl_weight=SURE)
    (plain,) = built.answer([QUESTION], toy_context())
    losing = next(text for text in CHOICES if text != best(plain))
    built.feedback(QUESTION.query, losing, 1.0)
    (found,) = built.answer([QUESTION], toy_context())
    assert best(found) == losing
    assert (plain.raw != losing, found.raw) == (True, losing)
    assert found.num_tokens == len(model.chat.target_ids(losing))
    built.forget(f"feedback: {QUESTION.query}")
    assert built.answer([QUESTION], toy_context()) == [plain]


def test_an_answer_that_was_wrong_is_not_given_again(model) -> None:
    built = method(model, kl_weight=SURE)
    (plain,) = built.answer([QUESTION], toy_context())
    built.feedback(QUESTION.query, plain.raw, -1.0)
    (found,) = built.answer([QUESTION], toy_context())
    assert found.raw == "unknown"


def test_unknown_is_no_candidate_where_nothing_says_that_the_answer_is_wrong() -> None:
    """It is right of every question that has no answer: to offer it would be a hint."""
    recalled = {"Kor": [1.0, -0.5], "Ann": [0.5, -1.0], "kor!": [1.0]}
    assert candidates("a mill", recalled) == ["a mill", "Kor"]
    assert candidates("ANN", recalled) == ["ANN", "unknown", "Kor"]
    assert candidates("", recalled) == ["unknown", "Kor"]


def test_what_a_document_taught_answers_a_question_worded_like_it(model) -> None:
    built = method(model, kl_weight=SURE, most_states=1)
    built.learn(taught(1, MILL, BREAD, passes=12), toy_context())
    question = replace(QUESTION, query="Who built the Marlow mill in 1712?",
                       choices=("Temba", "Steadholm", "300", "Kor Alman"))  # fmt: skip
    (found,) = built.answer([question], toy_context())
    assert means(found)[3] == max(means(found))
    assert found.raw == "Kor Alman"


def test_only_choices_are_scored_where_nothing_is_to_be_generated(model) -> None:
    built = method(model)
    built.feedback(QUESTION.query, "Kor", 1.0)
    (found,) = built.answer([QUESTION.hidden(generates=False)], toy_context())
    assert not found.answered
    assert (found.raw, found.num_tokens) == ("", 0)
    assert len(found.likelihoods) == 4


def test_documents_are_learned_each_by_itself_and_taken_out_exactly(model) -> None:
    one, other, alone = (method(model) for _ in range(3))
    one.learn(taught(1, MILL), toy_context())
    one.learn(taught(2, BREAD), toy_context())
    other.learn(taught(1, BREAD, MILL), toy_context())
    assert one.experiences.by_source == other.experiences.by_source
    assert one.rewards == other.rewards
    one.forget("mill")
    alone.learn(taught(1, BREAD), toy_context())
    assert one.state_dict() == alone.state_dict()
    assert one.describe() == alone.describe()


def test_practice_gets_better_on_a_model(model) -> None:
    built = method(model)
    run = toy_context()
    built.learn(taught(1, MILL, BREAD, passes=8), run)
    assert run.notes == []  # no gap is left out
    for rewards in built.rewards.values():
        assert len(rewards) == 8
        assert rewards[-1] > rewards[0] + 0.5
    facts = built.describe()
    assert facts["returns remembered"] == 8 * facts["states remembered"]
    assert facts["mean reward of the last pass"] > facts["mean reward of the first pass"]
    assert run.budget.buffer_bytes == built.experiences.num_bytes
    assert run.budget.input_tokens > 0
    assert (run.budget.trained_parameters, run.budget.steps) == (0, 0)


def test_gaps_that_are_not_practised_on_are_counted(model) -> None:
    built = method(model, gaps=5)
    run = toy_context()
    built.learn(taught(1, MILL, BREAD), run)
    assert run.notes == [
        f"5 of its {len(gaps_of(document.text, 10))} gaps practised on"
        for document in (MILL, BREAD)
    ]
    assert built.experiences.num_states == 10


def test_only_the_documents_are_learned_from(model) -> None:
    benchmark = toy_documents(1)
    hidden = replace(benchmark.rounds[0], test=())
    one, other = method(model), method(model)
    one.learn(benchmark.rounds[0], toy_context())
    other.learn(hidden, toy_context())
    assert one.state_dict() == other.state_dict()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kl_weight": 0.0}, "kl_weight is 0.0; it must be above 0"),
        ({"kl_weight": math.nan}, "kl_weight is nan"),
        ({"least_similarity": 1.5}, "least_similarity is 1.5"),
        ({"most_states": 0}, "most_states is 0"),
        ({"gaps": 0}, "gaps is 0"),
        ({"choices": 1}, "choices is 1; it must be 2 or more"),
        ({"context_words": 0}, "context_words is 0"),
        ({"bonus": -1.0}, "bonus is -1.0"),
        ({"rewards": "shufled"}, "did you mean 'shuffled'"),
    ],
)
def test_settings_that_cannot_be_are_refused(model, settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        method(model, **settings)


def test_a_document_without_anything_to_leave_out_is_refused(model) -> None:
    benchmark = toy_documents(1)
    empty = replace(benchmark.rounds[0], documents=(Document("list", "Mill\nBread\n1712"),))
    with pytest.raises(DataError, match="'list' has no sentence of which a word could be left"):
        JitrlConfig().build(model, replace(benchmark, rounds=(empty,)))
    with pytest.raises(DataError, match="'list' has no sentence of which a word could be left"):
        method(model).check_document(empty.documents[0])


def test_a_document_may_be_longer_than_the_window(model) -> None:
    built = method(model)
    long = Document("long", f"{MILL.text} " * 100)
    assert len(model.chat.text_ids(long.text)) > model.window_tokens
    assert not built.traits.reads_whole
    built.check_document(long)
    built.learn(taught(1, long), toy_context())
    assert built.experiences.num_states > 0
