"""The one gradient loop: AdamW steps that can stop at any moment and go on as if they had not."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compositional.errors import ConfigError
from compositional.preemption import PreemptedError
from compositional.run_context import RunContext
from compositional.states import State
from compositional.training.schedule import rate_factor

# Steps whose losses are read together: reading one waits for the device.
READ_EVERY = 16


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that train with one rate.

    Attributes:
        parameters: By name; the names identify them in a saved state.
        lr: Peak learning rate.
        weight_decay: Decoupled weight decay of AdamW.
        is_new: Whether they train for the first time, so that the budget counts them.
    """

    parameters: dict[str, nn.Parameter]
    lr: float
    weight_decay: float = 0.0
    is_new: bool = True


def fit(
    key: str,
    num_steps: int,
    losses_at: Callable[[int], Iterable[Tensor]],
    groups: list[ParameterGroup],
    run: RunContext,
    after_step: Callable[[], None] | None = None,
) -> list[float]:
    """Train parameters for a number of steps, saving into the run's slot on the way.

    The groups' parameters require gradients while they train, and no others do. Each step has
    random streams of its own, so the state holds parameters, optimiser moments and losses only; a
    training that was cut off goes on from its last save and ends bit for bit as one that was not.

    Args:
        key: Names this training within the run; a saved state of another one is not taken.
        num_steps: Optimiser steps in all.
        losses_at: Returns the parts of the loss of a step (from 0), scalars with gradients that
            add up to it. Each part runs backward before the next is asked for, so that no two
            hold their activations at once.
        groups: What trains, at which rates.
        run: Where to save, what to count.
        after_step: Called after each optimiser step, for example to renormalise rows.

    Returns:
        The loss of every step.

    Raises:
        ConfigError: If a loss is not finite.
        PreemptedError: If the process was asked to stop, once the step under way is saved.
    """
    named = {name: p for group in groups for name, p in group.parameters.items()}
    for parameter in named.values():
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(
        [
            {"params": list(g.parameters.values()), "lr": g.lr, "weight_decay": g.weight_decay}
            for g in groups
        ],
        fused=True,
    )
    losses = _restore(key, named, optimiser, run)
    unread: list[Tensor] = []
    saved_at = time.monotonic()
    with run.progress.bar(key, num_steps, initial=len(losses)) as bar:
        for step in range(len(losses), num_steps):
            torch.manual_seed(run.streams.integer("dropout", key, step) + run.processes.place)
            factor = rate_factor(step, num_steps, run.training)
            for group, settings in zip(optimiser.param_groups, groups, strict=True):
                group["lr"] = settings.lr * factor
            loss, signal = _step(losses_at(step), optimiser, run)
            unread.append(loss)
            if after_step is not None:
                after_step()
            bar.update(1)
            is_read = (step + 1) % READ_EVERY == 0 or step + 1 == num_steps
            # Clocks differ: several processes are due where all of them read.
            may_save = is_read or run.processes.count == 1
            elapsed = time.monotonic() - saved_at
            is_due = may_save and elapsed >= run.training.checkpoint_seconds
            is_saved = is_due or signal is not None
            if is_read or is_saved:
                losses += _read(unread, key, len(losses), num_steps)
                unread.clear()
            if is_saved:
                _save(key, named, optimiser, losses, run)
                if signal is not None:
                    raise PreemptedError(signal)
                saved_at = time.monotonic()
    for parameter in named.values():
        parameter.requires_grad_(False)
    return losses


def _step(
    losses: Iterable[Tensor], optimiser: torch.optim.Optimizer, run: RunContext
) -> tuple[Tensor, int | None]:
    """Take one optimiser step on a sum of losses.

    Returns:
        The sum, still on its device, and the signal that asks for a stop; None for none.
    """
    optimiser.zero_grad(set_to_none=True)
    trained = [p for group in optimiser.param_groups for p in group["params"]]
    parts = []
    for loss in losses:
        torch.autograd.backward(loss)
        parts.append(loss.detach())
    own = torch.stack(parts).sum() if parts else torch.zeros((), device=trained[0].device)
    total, signal = run.processes.add_gradients(trained, own, run.stop.number)
    if run.training.max_grad_norm:
        nn.utils.clip_grad_norm_(trained, run.training.max_grad_norm)
    optimiser.step()
    return total, signal


def _read(unread: list[Tensor], key: str, num_read: int, num_steps: int) -> list[float]:
    """Return the losses of some steps, for which a device must finish them.

    Raises:
        ConfigError: If one is not finite.
    """
    losses: list[float] = torch.stack(unread).tolist()
    for step, loss in enumerate(losses, start=num_read + 1):
        if not math.isfinite(loss):
            raise ConfigError(
                f"the loss of {key} is {loss} at step {step} of {num_steps}: "
                "the learning rate is too high, lower it"
            )
    return losses


def _save(
    key: str,
    named: dict[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    losses: list[float],
    run: RunContext,
) -> None:
    """Write the state of a training into the run's slot."""
    tensors = {f"parameter.{name}": p.detach() for name, p in named.items()}
    for name, parameter in named.items():
        for field, value in optimiser.state[parameter].items():
            tensors[f"optimiser.{name}.{field}"] = value
    metadata = {"key": key, "losses": losses, "budget": run.budget.counters()}
    run.slot.save(State(tensors, metadata))


def _restore(
    key: str,
    named: dict[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    run: RunContext,
) -> list[float]:
    """Load the slot's state where it is of this training; return the losses so far."""
    saved = run.slot.load()
    if saved is None or saved.metadata["key"] != key:
        return []
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(saved.tensors[f"parameter.{name}"])
            prefix = f"optimiser.{name}."
            optimiser.state[parameter] = {
                field.removeprefix(prefix): value.to(parameter.device)
                for field, value in saved.tensors.items()
                if field.startswith(prefix)
            }
    run.budget.set_counters(saved.metadata["budget"])
    losses: list[float] = saved.metadata["losses"]
    return losses
