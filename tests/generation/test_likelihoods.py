import pytest
import torch

from compositional.answering import Answering
from compositional.errors import ModelError
from compositional.generation.likelihoods import choice_likelihoods, score_behind, score_whole
from compositional.models.language_model import LanguageModel
from compositional.preemption import PreemptedError
from tests.rounds_toy import toy_context

PROMPTS = ["where is it", "who", "a longer prompt than the others are"]
CHOICES = [["here", "x", "over there"], ["you", "me"], ["1", "22", "333", "4444"]]


def ids(model: LanguageModel) -> tuple[list[list[int]], list[list[list[int]]]]:
    prompts = [model.chat.prompt_ids(text) for text in PROMPTS]
    return prompts, [[model.chat.target_ids(text) for text in texts] for texts in CHOICES]


def test_is_the_sum_over_the_tokens_of_a_choice(toy) -> None:
    model = LanguageModel(toy)
    prompts, choices = ids(model)
    found = choice_likelihoods(model, prompts, choices, toy_context(), "choices")
    for prompt, texts, likelihoods in zip(prompts, choices, found, strict=True):
        assert likelihoods.num_tokens == tuple(map(len, texts))
        for choice, value in zip(texts, likelihoods.sums, strict=True):
            whole = torch.tensor([[*prompt, *choice]])
            with torch.no_grad():
                logs = toy.model(input_ids=whole).logits[0].log_softmax(dim=-1)
            places = range(len(prompt) - 1, whole.shape[1] - 1)
            expected = sum(float(logs[n, whole[0, n + 1]]) for n in places)
            assert value == pytest.approx(expected, abs=1e-4)


def test_the_fast_way_equals_the_plain_one(toy) -> None:
    model = LanguageModel(toy)
    prompts, choices = ids(model)
    fast, plain = score_behind(model, prompts, choices), score_whole(model, prompts, choices)
    for one, other in zip(fast, plain, strict=True):
        assert one.sums == pytest.approx(other.sums, abs=1e-4)
        assert one.num_tokens == other.num_tokens


def test_a_model_that_packs_no_sequences_is_scored_as_well(toy) -> None:
    model = LanguageModel(toy)
    prompts, choices = ids(model)
    expected = choice_likelihoods(model, prompts, choices, toy_context(), "choices")
    model.packs_sequences = False
    found = choice_likelihoods(model, prompts, choices, toy_context(), "choices")
    for one, other in zip(found, expected, strict=True):
        assert one.sums == pytest.approx(other.sums, abs=1e-4)


def test_nothing_is_cut(toy) -> None:
    model = LanguageModel(toy, max_length=20)
    prompts, choices = ids(model)
    with pytest.raises(ModelError, match="over the window of 20"):
        choice_likelihoods(model, prompts, choices, toy_context(), "choices")


def test_prompts_and_choices_are_counted(toy) -> None:
    model, run = LanguageModel(toy), toy_context()
    prompts, choices = ids(model)
    choice_likelihoods(model, prompts, choices, run, "choices")
    assert run.answering == Answering(
        prompt_tokens=sum(map(len, prompts)),
        choice_tokens=sum(len(choice) for texts in choices for choice in texts),
    )


def test_a_signal_stops_it(toy) -> None:
    model, run = LanguageModel(toy), toy_context()
    prompts, choices = ids(model)
    run.stop.number = 15
    with pytest.raises(PreemptedError):
        choice_likelihoods(model, prompts, choices, run, "choices")
