from collections.abc import Sequence

import pytest
import torch

from compositional.benchmarks.decoding import (
    Prompts,
    compare,
    first_gap,
    in_continuous_batches,
    teach,
)
from compositional.generation.answers import Answer
from compositional.generation.uncached import greedy
from compositional.models.language_model import LanguageModel
from compositional.settings import EvaluationConfig
from compositional.training.batching import TokenSequence
from tests.generation.toy_prompts import LENGTHS, prompts_of, stopping_model

SETTINGS = EvaluationConfig(batch_size=4, max_new_tokens=8)


@pytest.fixture
def model(tmp_path) -> LanguageModel:
    return stopping_model(tmp_path, "llama")


def test_two_ways_give_the_same_answers(model) -> None:
    prompts = prompts_of(LENGTHS)
    found = compare(model, model, prompts, SETTINGS, repeats=2)
    assert list(found.answers) == [greedy(model, prompt, 8) for prompt in prompts]
    assert (found.num_different, found.num_unexplained) == (0, 0)
    assert len(found.ours.seconds) == len(found.other.seconds) == 2


def test_answers_that_differ_are_counted(model) -> None:
    prompts = prompts_of(LENGTHS)

    def wrong(prompts: Prompts) -> Sequence[Answer]:
        return [Answer((9, 9), ended=True), *(greedy(model, p, 8) for p in prompts[1:])]

    found = compare(model, model, prompts, SETTINGS, 1, other=wrong)
    assert (found.num_different, found.num_unexplained) == (1, 1)


def test_answers_that_differ_in_one_run_of_several_are_counted(model) -> None:
    prompts = prompts_of(LENGTHS)
    right = [greedy(model, prompt, 8) for prompt in prompts]
    wrong = [Answer((9, 9), ended=True), *right[1:]]
    runs = [right, wrong, right]  # the warm-up's is the first
    found = compare(model, model, prompts, SETTINGS, 2, other=lambda _prompts: runs.pop(0))
    assert (found.num_different, found.num_unexplained) == (1, 1)


def test_a_warm_up_may_answer_fewer_prompts(model) -> None:
    asked: list[int] = []

    def one_at_a_time(prompts: Prompts) -> Sequence[Answer]:
        asked.append(len(prompts))
        return [greedy(model, prompt, 8) for prompt in prompts]

    prompts = prompts_of(LENGTHS)
    found = compare(model, model, prompts, SETTINGS, 2, other=one_at_a_time, warm=prompts[:1])
    assert asked == [1, len(prompts), len(prompts)]
    assert len(found.answers) == len(prompts)


def test_the_gap_is_that_of_the_first_token_that_differs(model) -> None:
    prompt = prompts_of((5,))[0]
    with torch.no_grad():
        one, two = (
            float(logits[0] - logits[1])
            for logits in (
                model.backbone(torch.tensor([ids])).logits[0, -1].topk(2).values
                for ids in (prompt, [*prompt, 7])
            )
        )
    ended = Answer((7,), ended=True)
    assert first_gap(model, prompt, ended, Answer((8, 7), ended=True)) == pytest.approx(one)
    assert first_gap(model, prompt, ended, Answer((7, 8), ended=True)) == pytest.approx(two)
    assert first_gap(model, prompt, Answer((7,), ended=False), ended) == pytest.approx(two)


def test_a_taught_model_is_a_plain_one_again(model) -> None:
    before = greedy(model, [5, 6], 8)
    teach(model, [TokenSequence((5, 6), (200, 201, model.stop_ids[0]))] * 40)
    assert greedy(model, [5, 6], 8) != before
    assert not model.lora.attached


def test_continuous_batches_give_the_same_answers(model) -> None:
    prompts = prompts_of(LENGTHS)
    found = in_continuous_batches(model, prompts, SETTINGS)
    assert found == [greedy(model, prompt, 8) for prompt in prompts]
