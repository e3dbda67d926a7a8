"""The bias of text_rag towards the words of the passages in a prompt."""

import math

import pytest

from compositional.errors import ConfigError
from compositional.generation.token_bias import TokenBias
from compositional.generation.uncached import greedy
from compositional.methods.passage_bias import idf_weights, passage_bias, passage_tokens
from compositional.methods.text_rag import TextRag, TextRagConfig
from compositional.models.language_model import LanguageModel
from compositional.tasks.types import TEXT, Document, Example
from tests.documents_toy import toy_documents
from tests.rounds_toy import toy_context

QUESTION = Example("q", "Who built the mill?", None, form=TEXT, choices=("Kor", "Alba", "May"))
DOCUMENTS = [
    Document("a", "The mill was built by Kor."),
    Document("b", "Bread is baked at night."),
    Document("c", "Kor sold it in May."),
]


def method(model: LanguageModel, **settings: object) -> TextRag:
    built = TextRagConfig(**settings).build(model, toy_documents(1))
    built.documents = list(DOCUMENTS)
    return built


def test_weights_fall_with_the_number_of_passages_that_hold_a_token() -> None:
    weights = idf_weights([frozenset({1, 2}), frozenset({1, 3}), frozenset({1, 2, 4})])
    assert weights[1] == 0.0
    assert weights[2] == pytest.approx(math.log(4 / 3) / math.log(2))
    assert weights[3] == weights[4] == pytest.approx(1.0)
    assert all(0 <= weight <= 1 for weight in weights.values())


def test_one_passage_sets_no_token_apart() -> None:
    assert idf_weights([frozenset({1, 2})]) == {}
    assert idf_weights([]) == {}
    assert passage_bias(2.0, [frozenset({1, 2})], {}) is None


def test_a_bias_holds_the_tokens_of_the_passages_in_the_prompt_alone() -> None:
    weights = {1: 0.0, 2: 0.5, 3: 1.0, 4: 1.0}
    assert passage_bias(3.0, [frozenset({1, 2}), frozenset({2, 3})], weights) == TokenBias(
        (2, 3), (1.5, 3.0)
    )
    assert passage_bias(3.0, [frozenset({1})], weights) is None
    assert passage_bias(3.0, [], weights) is None


def test_words_count_as_they_stand_and_by_themselves(toy) -> None:
    model = LanguageModel(toy)
    passage = "Kor sold it.<|im_end|>"
    expected = {token for text in (passage, "Kor") for token in model.chat.target_ids(text)}
    assert model.stop_ids[0] in model.chat.target_ids(passage)
    assert passage_tokens(model, passage) == expected - set(model.stop_ids)


def test_answers_and_choices_are_those_under_the_bias_by_hand(toy) -> None:
    model = LanguageModel(toy)
    built = method(model, k=1, bias=6.0)
    (prompt,) = built.prompts([QUESTION])
    texts = [document.text for document in DOCUMENTS]
    tokens = [set(model.chat.target_ids(text)) for text in texts]  # bytes: words have no others
    values = {
        token: 6.0 * math.log(4 / (1 + sum(token in each for each in tokens))) / math.log(2)
        for token in tokens[0]
    }
    kept = {token: value for token, value in sorted(values.items()) if value > 0}
    bias = TokenBias(tuple(kept), tuple(kept.values()))
    assert 0 < len(kept) < len(values)
    ((found,),) = [built.biases([[texts[0]]])]
    assert found is not None
    assert found.ids == bias.ids
    assert found.values == pytest.approx(bias.values)
    (prediction,) = built.answer([QUESTION], toy_context())
    expected = greedy(model, prompt, toy_context().evaluation.max_new_tokens, bias=found)
    assert prediction.raw == model.text(list(expected.ids)).strip()
    (plain,) = method(model, k=1).answer([QUESTION], toy_context())
    assert plain.likelihoods != prediction.likelihoods


def test_a_bias_of_zero_is_none(toy) -> None:
    """Bit for bit: it is the same call, so that answers are even shared with other methods."""
    model, run = LanguageModel(toy), toy_context()
    first = method(model, k=1).answer([QUESTION], run)
    (again,) = method(model, k=1, bias=0.0).answer([QUESTION], run)
    assert again.reused
    assert again.likelihoods == first[0].likelihoods


def test_before_anything_is_taught_there_is_no_bias(toy) -> None:
    model = LanguageModel(toy)
    built = TextRagConfig(bias=3.0).build(model, toy_documents(1))
    (found,) = built.answer([QUESTION], toy_context())
    (plain,) = TextRagConfig().build(model, toy_documents(1)).answer([QUESTION], toy_context())
    assert (found.raw, found.likelihoods) == (plain.raw, plain.likelihoods)


@pytest.mark.parametrize("bias", [-1.0, math.inf, math.nan])
def test_a_bias_that_cannot_be_is_refused(toy, bias) -> None:
    with pytest.raises(ConfigError, match="bias is"):
        TextRagConfig(bias=bias).build(LanguageModel(toy), toy_documents(1))
