from fractions import Fraction

import pytest
import torch
from torch import Tensor

from compositional.methods.lora import Lora, LoraConfig
from compositional.methods.prompts import text_sequence
from compositional.methods.stored import stored_bytes
from compositional.models.language_model import LanguageModel
from compositional.tasks.types import Example
from compositional.training.replay import num_replayed
from tests.methods_toy import SMALL, fresh_model
from tests.rounds_toy import toy_benchmark, toy_context, toy_round
from tests.seen_rows import seen_sequences

IDS = torch.tensor([[5, 60, 7, 200, 9]])


def build(model: LanguageModel, between_rounds: str = "continue", **settings) -> Lora:
    config = LoraConfig(adapter=SMALL, between_rounds=between_rounds, **settings)
    return config.build(model, toy_benchmark(3))


def tensors(method: Lora) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in method.lora.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(other[n], t) for n, t in one.items())


def sequences_of(model: LanguageModel, examples: tuple[Example, ...]) -> set[tuple[int, ...]]:
    rows = [text_sequence(model, example) for example in examples]
    return {(row.prompt + row.target)[:-1] for row in rows}  # an end predicts nothing


@pytest.mark.parametrize("batch_size", [1, 2, 3])
@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.6])
def test_replay_adds_rows_of_finished_rounds_at_its_ratio(model, batch_size, ratio) -> None:
    method = build(model, use_replay_buffer=True, replay_ratio=ratio, replay_buffer_size=5)
    batches, run, exact = seen_sequences(model), toy_context(batch_size), Fraction(str(ratio))
    past: set[tuple[int, ...]] = set()
    for index in (1, 2, 3):
        round_ = toy_round(index, epochs=3)
        own = sequences_of(model, round_.train)
        kept = sequences_of(model, tuple(method.buffer.examples))
        assert kept <= past
        batches.clear()
        replayed_before = run.budget.replayed_rows
        method.learn(round_, run)
        new = [row for batch in batches for row in batch if row in own]
        old = [row for batch in batches for row in batch if row not in own]
        assert sorted(new) == sorted(list(own) * 3)
        assert len(old) == (0 if index == 1 else num_replayed(12, exact))
        assert len(old) == run.budget.replayed_rows - replayed_before
        assert set(old) <= kept
        past |= own
        assert method.buffer.num_offered == 4 * index  # each row once, when its round ends
        assert len(method.buffer.examples) == min(4 * index, 5)
        assert run.budget.buffer_bytes >= stored_bytes(method.buffer.examples) > 0


def test_replay_changes_neither_the_first_round_nor_the_order_of_new_rows(toy_model_folder):
    shown, first = [], []
    for use in (False, True):
        model = fresh_model(toy_model_folder)
        method, run = build(model, use_replay_buffer=use, replay_ratio=0.5), toy_context()
        batches = seen_sequences(model)
        method.learn(toy_round(1), run)
        first.append(tensors(method))
        method.learn(toy_round(2), run)
        new = sequences_of(model, toy_round(2).train)
        shown.append([[row for row in batch if row in new] for batch in batches])
    assert same(*first)
    assert shown[0] == shown[1]


def test_without_replay_nothing_is_kept(model) -> None:
    method, run = build(model), toy_context()
    method.learn(toy_round(1), run)
    method.learn(toy_round(2), run)
    assert (method.buffer.examples, method.buffer.num_offered) == ([], 0)
    assert (run.budget.buffer_bytes, run.budget.replayed_rows) == (0, 0)
