"""What each step of a lesson sees, and that only a lesson's settings and seed change it."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from compositional.errors import ConfigError
from compositional.generation.generate import generate
from compositional.models.adapters import LoraSettings
from compositional.models.language_model import LanguageModel
from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from compositional.run_context import Progress, RunContext
from compositional.settings import TrainingConfig
from compositional.streams import Streams
from compositional.training.batching import TokenSequence
from compositional.training.fit import ParameterGroup
from compositional.training.lesson import Lesson, Replay
from compositional.training.replay import exact_ratio, num_replayed
from tests.seen_rows import seen_sequences

END = 2


def row(number: int, num_calls: int = 1) -> TokenSequence:
    """A row that its first token tells from others, of some length."""
    prompt = (10 + number, *range(60, 60 + number % 4))
    return TokenSequence(prompt, (*range(90, 91 + number % 3), END), num_calls)


def numbers(batch: list[tuple[int, ...]]) -> list[int]:
    return [tokens[0] - 10 for tokens in batch]


def train(lesson: Lesson) -> None:
    rows = lesson.model.rows
    assert rows is not None
    lesson.fit([ParameterGroup(rows.named_current(), lr=1e-3)])


def model_with_a_row(loaded) -> LanguageModel:
    model = LanguageModel(loaded)
    model.add_rows(decoupled=False).begin(["a"], torch.ones(1, 32))
    return model


def context(batch_size: int, **settings) -> RunContext:
    return RunContext(Streams(5), training=TrainingConfig(batch_size=batch_size, **settings))


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5])
@pytest.mark.parametrize("ratio", ["0.2", "0.3", "0.5", "0.75"])
def test_replay_is_exact_after_every_step(toy, batch_size, ratio) -> None:
    model, run = model_with_a_row(toy), context(batch_size)
    batches = seen_sequences(model)
    new = [row(number) for number in range(11)]
    past = [row(number) for number in range(20, 40)]
    totals: list[tuple[int, int]] = []

    def count(step: int) -> Tensor:  # called in each step once its rows are chosen
        totals.append((run.budget.rows - run.budget.replayed_rows, run.budget.replayed_rows))
        return 0 * model.rows.current_head.sum()

    exact = exact_ratio(float(ratio))
    assert exact == Fraction(ratio)
    lesson = Lesson("round 2", model, new, 3, run, Replay(past, exact), extra_loss=count)
    train(lesson)
    assert totals[-1][0] == 33
    seen = 0
    for step, (num_new, replayed) in enumerate(totals):
        own, before = lesson.steps[step], totals[step - 1][1] if step else 0
        seen += len(own)
        assert num_new == seen
        assert replayed == num_replayed(seen, exact)
        assert replayed == (seen * exact / (1 - exact)).__floor__()
        batch = numbers(batches[step])
        assert batch[: len(own)] == own  # no new row is dropped
        drawn = batch[len(own) :]
        assert len(drawn) == replayed - before
        assert len(set(drawn)) == len(drawn)
        assert set(drawn) <= set(range(20, 40))


def test_a_small_buffer_keeps_the_ratio(toy) -> None:
    model, run = model_with_a_row(toy), context(4)
    batches = seen_sequences(model)
    past = [row(20), row(21), row(22)]
    train(Lesson("k", model, [row(n) for n in range(8)], 1, run, Replay(past, Fraction(2, 3))))
    assert run.budget.replayed_rows == 16
    for batch in batches:
        drawn = numbers(batch)[4:]
        assert sorted(drawn.count(n) for n in (20, 21, 22)) == [2, 3, 3]


@pytest.mark.parametrize(("past", "ratio"), [([], Fraction(1, 2)), ([row(20)], Fraction(0))])
def test_an_empty_buffer_or_a_ratio_of_0_replays_nothing(toy, past, ratio) -> None:
    model, run = model_with_a_row(toy), context(2)
    train(Lesson("k", model, [row(1), row(2)], 2, run, Replay(past, ratio)))
    assert (run.budget.rows, run.budget.replayed_rows) == (4, 0)


def test_the_loss_is_one_mean_over_new_and_replayed_tokens(toy) -> None:
    model, run = model_with_a_row(toy), context(2)
    batches = seen_sequences(model)
    sequences = {number: row(number) for number in (0, 1, 20, 21)}
    replay = Replay([sequences[20], sequences[21]], Fraction(1, 2))
    lesson = Lesson("k", model, [sequences[0], sequences[1]], 1, run, replay)
    train_nothing = ParameterGroup(model.rows.named_current(), lr=0.0)
    lesson.fit([train_nothing])
    shown = numbers(batches[0])
    assert sorted(shown) == [0, 1, 20, 21]
    losses = []
    for sequence in sequences.values():
        ids = torch.tensor([sequence.prompt + sequence.target])
        with torch.no_grad():
            positions = torch.arange(ids.shape[1]).unsqueeze(0)
            logits = model.backbone(input_ids=ids, position_ids=positions).logits[0]
        start = len(sequence.prompt)
        losses += functional.cross_entropy(
            logits[start - 1 : -1], ids[0, start:], reduction="none"
        ).tolist()
    assert run.losses["k"] == pytest.approx([sum(losses) / len(losses)], abs=1e-5)
    assert run.budget.target_tokens == len(losses)
    assert run.budget.input_tokens == sum(len(s.prompt + s.target) for s in sequences.values())


def test_an_extra_loss_is_added(toy) -> None:
    model, losses = model_with_a_row(toy), []
    rows = model.rows.current_head
    for extra in (None, lambda step: 10.0 * (step + 1) + 0 * rows.sum()):
        run = context(1)
        lesson = Lesson("k", model, [row(1), row(2)], 1, run, extra_loss=extra)
        lesson.fit([ParameterGroup(model.rows.named_current(), lr=0.0)])
        losses.append(run.losses["k"])
    plain, more = losses
    assert [b - a for a, b in zip(plain, more, strict=True)] == pytest.approx([10, 20], abs=1e-4)


def test_a_curriculum_orders_by_calls(toy) -> None:
    model, run = model_with_a_row(toy), context(2, curriculum_learning=True)
    batches = seen_sequences(model)
    rows = [row(n, num_calls) for n, num_calls in enumerate([3, 1, 2, 1])]
    train(Lesson("k", model, rows, 2, run))
    assert [numbers(batch) for batch in batches] == [[1, 3], [2, 0]] * 2


def test_the_budget_counts_new_values_once(toy) -> None:
    model, run = model_with_a_row(toy), context(2)
    stack = model.add_lora(LoraSettings(rank=1, target_modules=("q_proj",)))
    stack.attach(1)
    adapter = stack.named_parameters()
    per_adapter = 2 * (32 + 32)
    rows = model.rows
    first = [ParameterGroup(rows.named_current(), 0.1), ParameterGroup(adapter, 0.1)]
    Lesson("1", model, [row(1)], 1, run).fit(first)
    assert run.budget.trained_parameters == 32 + per_adapter
    rows.finish()
    rows.begin(["b", "c"], torch.ones(2, 32))
    second = [
        ParameterGroup(rows.named_current(), 0.1),
        ParameterGroup(adapter, 0.1, is_new=False),
    ]
    Lesson("2", model, [row(1)], 1, run).fit(second)
    assert run.budget.trained_parameters == 3 * 32 + per_adapter
    assert run.budget.steps == 2


def trained(folder, disturb: Callable[[LanguageModel, RunContext], None], run: RunContext):
    """Train an adapter with dropout and rows, something else going on between the steps."""
    model = LanguageModel(load_model(ModelConfig(name=str(folder), device="cpu")))
    rows = model.add_rows(decoupled=False)
    rows.begin(["a"], torch.ones(1, 32))
    stack = model.add_lora(LoraSettings(rank=2, dropout=0.3))
    stack.attach(1)
    stack.train()
    disturb(model, run)

    def after_step() -> None:
        stack.freeze()
        disturb(model, run)
        stack.train()
        for parameter in stack.named_parameters().values():
            parameter.requires_grad_(True)

    replay = Replay([row(n) for n in range(20, 25)], Fraction(1, 3))
    lesson = Lesson("k", model, [row(n) for n in range(7)], 2, run, replay)
    groups = [
        ParameterGroup(rows.named_current(), 0.01),
        ParameterGroup(stack.named_parameters(), 0.01),
    ]
    lesson.fit(groups, after_step)
    stack.freeze()
    return lesson.steps, run.losses["k"], model.attached_state()


def test_evaluating_and_logging_change_no_bit_of_a_training(toy_model_folder) -> None:
    def nothing(model: LanguageModel, run: RunContext) -> None:
        pass

    def evaluate(model: LanguageModel, run: RunContext) -> None:
        torch.randn(5)
        np.random.default_rng().random()
        generate(model, [[5, 6], [7, 8, 9]], run, "evaluation")

    plain = context(2)
    shown = replace(
        context(2),
        evaluation=replace(plain.evaluation, batch_size=1, max_new_tokens=3),
        progress=Progress("x", enabled=True),
    )
    steps, losses, state = trained(toy_model_folder, nothing, plain)
    steps_again, losses_again, state_again = trained(toy_model_folder, evaluate, shown)
    assert steps_again == steps
    assert losses_again == losses
    assert list(state_again) == list(state)
    assert all(torch.equal(state_again[name], tensor) for name, tensor in state.items())


def test_another_seed_is_another_training(toy_model_folder) -> None:
    losses = [
        trained(toy_model_folder, lambda *_: None, replace(context(2), streams=Streams(seed)))[1]
        for seed in (5, 6)
    ]
    assert losses[0] != losses[1]


def test_a_training_that_diverges_stops_with_a_line_that_says_so(toy) -> None:
    model, run = model_with_a_row(toy), context(1)
    head = model.rows.current_head
    lesson = Lesson(
        "round 3", model, [row(1), row(2)], 1, run, extra_loss=lambda step: head.exp().sum() / step
    )
    with pytest.raises(
        ConfigError, match="the loss of round 3 is inf at step 1 of 2: the learning"
    ):
        train(lesson)
