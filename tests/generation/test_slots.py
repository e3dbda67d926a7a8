import signal
from collections.abc import Sequence

import pytest
import torch

from compositional.generation.padded import decode_padded
from compositional.generation.slot_probe import can_decode_in_slots
from compositional.generation.slots import decode_in_slots
from compositional.generation.uncached import greedy
from compositional.models import parts
from compositional.models.language_model import LanguageModel
from compositional.preemption import PreemptedError
from compositional.settings import EvaluationConfig
from tests.generation.toy_prompts import ARCHS, add_random_rows, prompts_of, stopping_model
from tests.toy import load_toy

MANY = tuple(1 + 7 * n % 19 for n in range(23))


def settings(num_slots: int) -> EvaluationConfig:
    return EvaluationConfig(batch_size=num_slots, max_new_tokens=12)


def ignore(_count: int) -> None:
    """Watch no progress."""


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("prefix", [0, 40])
def test_refilled_slots_answer_as_padded_batches_do(tmp_path, arch, prefix) -> None:
    model = stopping_model(tmp_path, arch)
    prompts = prompts_of(MANY, prefix)
    expected = [greedy(model, prompt, 12) for prompt in prompts]
    assert decode_padded(model, prompts, settings(8), None, ignore) == expected
    for num_slots in (1, 3, 8, 50):
        done: list[int] = []
        found = decode_in_slots(model, prompts, settings(num_slots), None, done.append)
        assert found == expected
        assert sum(done) == len(prompts)


def forced_rows(model: LanguageModel, num_prompts: int) -> Sequence[Sequence[int]]:
    first = model.num_text_ids
    return [[first + (n + k) % 4 for k in range(n % 4)] for n in range(num_prompts)]


@pytest.mark.parametrize("arch", ARCHS)
def test_forced_rows_come_out_in_both_ways(tmp_path, arch) -> None:
    model = stopping_model(tmp_path, arch)
    add_random_rows(model)
    prompts, rows = prompts_of(MANY), forced_rows(model, len(MANY))
    found = decode_in_slots(model, prompts, settings(4), rows, ignore)
    assert found == decode_padded(model, prompts, settings(4), rows, ignore)
    assert any(len(row) > 1 and answer.ended for row, answer in zip(rows, found, strict=True))


def test_a_free_slot_is_filled_before_the_others_end(tmp_path) -> None:
    """Fewer passes than batches that wait for their longest answers."""
    model = stopping_model(tmp_path, "llama")
    prompts = prompts_of(MANY)
    passes: list[int] = []
    model.backbone.get_decoder().register_forward_pre_hook(
        lambda _m, _a, kwargs: passes.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    decode_padded(model, prompts, settings(4), None, ignore)
    in_batches = len(passes)
    passes.clear()
    decode_in_slots(model, prompts, settings(4), None, ignore)
    assert passes.count(1) < in_batches
    assert sum(length for length in passes if length > 1) <= sum(MANY)


@pytest.mark.parametrize(("at_call", "num_passes"), [(1, 0), (2, 2), (3, 3)])
def test_a_stop_is_heeded_between_any_two_passes(
    tmp_path, monkeypatch, at_call, num_passes
) -> None:
    monkeypatch.setattr(parts, "MAX_PACK_TOKENS", 8)
    model = stopping_model(tmp_path, "llama")
    passes: list[int] = []
    model.backbone.get_decoder().register_forward_pre_hook(
        lambda _m, _a, kwargs: passes.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    told: list[int] = []

    def stop(_count: int) -> None:
        told.append(1)
        if len(told) == at_call:
            raise PreemptedError(signal.SIGTERM)

    with pytest.raises(PreemptedError):  # before the prefix, and after each pack of prompts
        decode_in_slots(model, prompts_of(MANY, 40), settings(8), None, stop)
    assert len(passes) == num_passes


def test_no_prompts_make_no_answers(toy) -> None:
    assert decode_in_slots(LanguageModel(toy), [], settings(4), None, ignore) == []


@pytest.mark.parametrize("arch", ARCHS)
def test_the_probe_accepts_what_the_tests_show(tmp_path, arch) -> None:
    model = LanguageModel(load_toy(tmp_path, arch))
    assert can_decode_in_slots(model)
    add_random_rows(model)
    assert can_decode_in_slots(model)


def test_the_probe_refuses_an_attention_that_differs(toy, monkeypatch) -> None:
    """A prefix that is not attended to shows in the logits."""
    model = LanguageModel(toy)
    monkeypatch.setattr(
        "compositional.generation.shared_prefix.attention_with_prefix",
        lambda query, _key, value, *_rest: torch.zeros_like(query).transpose(1, 2) + value.mean(),
    )
    assert not can_decode_in_slots(model)
