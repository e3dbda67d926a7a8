from collections.abc import Iterator

import pytest
import torch
from torch import nn

from compositional.errors import ConfigError
from compositional.run_context import RunContext
from compositional.settings import TrainingConfig
from compositional.states import Slot
from compositional.streams import Streams
from compositional.training.fit import READ_EVERY, ParameterGroup, fit


class Problem:
    """Least squares with noise drawn from torch's generator, as dropout draws it."""

    def __init__(self) -> None:
        self.weight = nn.Parameter(torch.tensor([1.0, -2.0]), requires_grad=False)
        self.bias = nn.Parameter(torch.tensor([0.5]), requires_grad=False)
        self.groups = [
            ParameterGroup({"weight": self.weight}, lr=0.1),
            ParameterGroup({"bias": self.bias}, lr=0.01, weight_decay=0.1),
        ]

    def loss(self, step: int) -> list[torch.Tensor]:
        inputs = torch.tensor([float(step), 1.0]) + torch.randn(2)
        return [((self.weight * inputs).sum() + self.bias - step).pow(2).mean()]


def context(tmp_path, checkpoint_seconds: float = 0.0) -> RunContext:
    training = TrainingConfig(checkpoint_seconds=checkpoint_seconds)
    return RunContext(Streams(3), training=training, slot=Slot(tmp_path / "slot"))


class KilledError(Exception):
    pass


@pytest.mark.parametrize("killed_at", [1, 4, 9])
def test_a_training_that_was_cut_off_ends_as_one_that_was_not(tmp_path, killed_at) -> None:
    whole = Problem()
    losses = fit("k", 10, whole.loss, whole.groups, context(tmp_path / "whole"))

    cut, run = Problem(), context(tmp_path / "cut")

    def dies(step: int) -> list[torch.Tensor]:
        if step == killed_at:
            raise KilledError
        return cut.loss(step)

    with pytest.raises(KilledError):
        fit("k", 10, dies, cut.groups, run)
    resumed = Problem()
    torch.manual_seed(99)
    assert fit("k", 10, resumed.loss, resumed.groups, context(tmp_path / "cut")) == losses
    assert torch.equal(resumed.weight, whole.weight)
    assert torch.equal(resumed.bias, whole.bias)


def test_a_state_of_another_training_is_not_taken(tmp_path) -> None:
    first = Problem()
    fit("round 1", 3, first.loss, first.groups, context(tmp_path))
    second, alone = Problem(), Problem()
    fit("round 2", 3, second.loss, second.groups, context(tmp_path))
    fit("round 2", 3, alone.loss, alone.groups, context(tmp_path / "other"))
    assert torch.equal(second.weight, alone.weight)


def test_only_the_groups_parameters_train_and_only_meanwhile(tmp_path) -> None:
    problem = Problem()
    seen = []

    def loss(step: int) -> list[torch.Tensor]:
        seen.append((problem.weight.requires_grad, problem.bias.requires_grad))
        return problem.loss(step)

    before = problem.bias.clone()
    fit("k", 2, loss, problem.groups[:1], context(tmp_path))
    assert seen == [(True, False)] * 2
    assert not problem.weight.requires_grad
    assert torch.equal(problem.bias, before)
    assert not torch.equal(problem.weight, torch.tensor([1.0, -2.0]))


def test_first_step_is_adamw_by_hand(tmp_path) -> None:
    weight = nn.Parameter(torch.tensor([2.0]))
    run = RunContext(Streams(0), training=TrainingConfig(warmup_ratio=0.0, max_grad_norm=0.0))
    group = ParameterGroup({"w": weight}, lr=0.5, weight_decay=0.1)
    fit("k", 1, lambda _: [3.0 * weight.sum()], [group], run)
    # decay 2 * (1 - 0.5 * 0.1) = 1.9; the first Adam step is the rate times the gradient's sign
    assert weight.item() == pytest.approx(1.9 - 0.5, abs=1e-6)


def test_gradients_are_clipped_over_all_groups(tmp_path) -> None:
    seen = []
    a, b = nn.Parameter(torch.tensor([0.0])), nn.Parameter(torch.tensor([0.0]))
    run = RunContext(Streams(0), training=TrainingConfig(max_grad_norm=1.0))
    groups = [ParameterGroup({"a": a}, 0.1), ParameterGroup({"b": b}, 0.1)]
    fit(
        "k",
        1,
        lambda _: [3.0 * a.sum(), 4.0 * b.sum()],
        groups,
        run,
        lambda: seen.append((a.grad.item(), b.grad.item())),
    )
    assert seen[0] == pytest.approx((0.6, 0.8), abs=1e-5)


def test_parts_of_a_loss_run_backward_one_after_another(tmp_path) -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    gradients = []

    def losses(_step: int) -> Iterator[torch.Tensor]:
        for factor in (1.0, 2.0, 4.0):
            gradients.append(None if weight.grad is None else weight.grad.item())
            yield factor * weight.sum()

    run = RunContext(Streams(0), training=TrainingConfig(max_grad_norm=0.0))
    found = fit("k", 1, losses, [ParameterGroup({"w": weight}, 0.1)], run)
    assert gradients == [None, 1.0, 3.0]
    assert weight.grad.item() == 7.0
    assert found == [7.0]


@pytest.mark.parametrize("bad", [0, 5, READ_EVERY, 2 * READ_EVERY + 3])
def test_a_loss_that_is_not_finite_ends_the_training_and_is_not_saved(tmp_path, bad) -> None:
    problem, run = Problem(), context(tmp_path, checkpoint_seconds=1e9)

    def losses(step: int) -> list[torch.Tensor]:
        return [part / (step != bad) for part in problem.loss(step)]

    num_steps = 2 * READ_EVERY + 4
    with pytest.raises(ConfigError, match=f"is (inf|nan) at step {bad + 1} of {num_steps}"):
        fit("k", num_steps, losses, problem.groups, run)
    assert run.slot.load() is None
