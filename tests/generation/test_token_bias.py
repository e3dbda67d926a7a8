"""A bias on logits: by hand, in both ways to decode, and in the likelihoods of choices."""

from collections.abc import Sequence

import pytest
import torch

from compositional.generation.generate import generate
from compositional.generation.likelihoods import choice_likelihoods, score_behind, score_whole
from compositional.generation.padded import decode_padded
from compositional.generation.slots import decode_in_slots
from compositional.generation.token_bias import TokenBias, biased
from compositional.generation.uncached import greedy
from compositional.models.language_model import LanguageModel
from compositional.settings import EvaluationConfig
from tests.generation.toy_prompts import ARCHS, context, prompts_of, stopping_model

LENGTHS = (3, 9, 1, 14, 6, 2, 11)
CHOICES = ("here", "x", "over there here")


def random_biases(num_prompts: int, num_tokens: int = 40) -> list[TokenBias | None]:
    """Biases strong enough to change answers; every third prompt has none."""
    generator = torch.Generator().manual_seed(7)
    found: list[TokenBias | None] = []
    for place in range(num_prompts):
        ids = (torch.randperm(245, generator=generator)[:num_tokens] + 5).tolist()
        values = (4 * torch.rand(num_tokens, generator=generator)).tolist()
        found.append(None if place % 3 == 2 else TokenBias(tuple(ids), tuple(values)))
    return found


def log_likelihood(
    model: LanguageModel, prompt: Sequence[int], choice: Sequence[int], bias: TokenBias | None
) -> float:
    """Token by token, each from a pass of its own."""
    total = 0.0
    for place, token in enumerate(choice):
        with torch.no_grad():
            ids = torch.tensor([[*prompt, *choice[:place]]])
            logits = model.backbone(ids, use_cache=False).logits[0, -1]
        for other, value in zip(bias.ids, bias.values, strict=True) if bias else ():
            logits[other] += 0.0 if other in choice[:place] else value
        total += float(logits.log_softmax(dim=-1)[token])
    return total


def test_is_added_to_each_row_until_the_token_was_emitted() -> None:
    logits = torch.arange(10.0).reshape(2, 5)
    bias = TokenBias((1, 3), (0.5, 2.0))
    found = biased(logits, [bias, None], [[], [1]])
    assert found.tolist() == [[0.0, 1.5, 2.0, 5.0, 4.0], [5.0, 6.0, 7.0, 8.0, 9.0]]
    found = biased(logits, [bias, bias], [[3, 3], [0, 4]])
    assert found.tolist() == [[0.0, 1.5, 2.0, 3.0, 4.0], [5.0, 6.5, 7.0, 10.0, 9.0]]
    assert biased(logits, [None, None], [[], [1]]) is logits


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("prefix", [0, 40])
def test_both_ways_to_decode_answer_as_the_plain_one(tmp_path, arch, prefix) -> None:
    model = stopping_model(tmp_path, arch)
    prompts = prompts_of(LENGTHS, prefix)
    biases = random_biases(len(prompts))
    pairs = zip(prompts, biases, strict=True)
    expected = [greedy(model, prompt, 10, bias=bias) for prompt, bias in pairs]
    plain = [greedy(model, prompt, 10) for prompt in prompts]
    changed = [n for n, bias in enumerate(biases) if bias and expected[n] != plain[n]]
    assert len(changed) >= 2
    settings = EvaluationConfig(batch_size=3, max_new_tokens=10)
    for decode in (decode_in_slots, decode_padded):
        assert decode(model, prompts, settings, None, lambda _n: None, biases) == expected


def test_a_token_that_was_emitted_is_favoured_no_more(tmp_path) -> None:
    """With a bias above all logits every token of it comes once, before any other."""
    model = stopping_model(tmp_path, "llama")
    (prompt,) = prompts_of((5,))
    bias = TokenBias((30, 31, 32), (1e4, 1e4, 1e4))
    ids = greedy(model, prompt, 8, bias=bias).ids
    assert sorted(ids[:3]) == [30, 31, 32]
    found = generate(model, [prompt], context(max_new_tokens=8), "answers", biases=[bias])
    assert found[0].ids == ids


def test_an_answer_under_another_bias_is_not_taken_for_it(tmp_path) -> None:
    model, run = stopping_model(tmp_path, "llama"), context()
    prompts = prompts_of((5, 8))
    biases = random_biases(2)
    plain = generate(model, prompts, run, "answers")
    with_bias = generate(model, prompts, run, "answers", biases=biases)
    assert not any(answer.reused for answer in with_bias)
    assert with_bias != plain
    again = generate(model, prompts, run, "answers", biases=[None, None])
    assert [answer.ids for answer in again] == [answer.ids for answer in plain]
    assert all(answer.reused for answer in again)


@pytest.mark.parametrize("arch", ARCHS)
def test_choices_are_scored_under_the_same_distribution(tmp_path, arch) -> None:
    model = stopping_model(tmp_path, arch)
    prompts = prompts_of((5, 9, 2))
    choices = [[model.chat.target_ids(text) for text in CHOICES]] * 3
    biases: list[TokenBias | None] = [
        TokenBias(tuple(model.chat.target_ids("herx")), (2.0, 1.0, 0.5, 3.0)), None,
        *random_biases(1),
    ]  # fmt: skip
    found = choice_likelihoods(model, prompts, choices, context(), "choices", biases)
    for prompt, texts, bias, likelihoods in zip(prompts, choices, biases, found, strict=True):
        expected = [log_likelihood(model, prompt, choice, bias) for choice in texts]
        assert likelihoods.sums == pytest.approx(expected, abs=1e-3)
    plain = choice_likelihoods(model, prompts, choices, context(), "choices")
    assert plain[1] == found[1]
    assert plain[0] != found[0]


def test_both_ways_to_score_agree_and_no_bias_changes_no_bit(tmp_path) -> None:
    model = stopping_model(tmp_path, "llama")
    prompts = prompts_of((5, 9, 2))
    choices = [[model.chat.target_ids(text) for text in CHOICES]] * 3
    biases = random_biases(3)
    fast, whole = (score(model, prompts, choices, biases) for score in (score_behind, score_whole))
    for one, other in zip(fast, whole, strict=True):
        assert one.sums == pytest.approx(other.sums, abs=1e-3)
    for score in (score_behind, score_whole):
        assert score(model, prompts, choices) == score(model, prompts, choices, [None] * 3)
