"""Learning a text until its loss has fallen to a target, so that learning is equal by construction.

Plain gradient steps overshoot the target by as much as one step does. So the last step is taken to
the share that just reaches it, found by bisection.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.training.text_lesson import TextTraining, learn_text, losses_by_slice

BISECTIONS = 3


@dataclass(frozen=True)
class Lesson:
    """How a text was learned.

    Attributes:
        loss: Of the text afterwards, in nats a token.
        num_steps: Steps taken, the shortened one included.
        reached: Whether the loss is at the target.
    """

    loss: float
    num_steps: int
    reached: bool


@torch.no_grad()
def text_loss(model: LanguageModel, text: str) -> float:
    """Return the mean next-token loss of a text, in nats, read at once."""
    ids = model.chat.text_ids(text)
    return float(next(losses_by_slice(model, ids, len(ids))))


def learn_to(
    target: float,
    most_steps: int,
    model: LanguageModel,
    text: str,
    parameters: Sequence[nn.Parameter],
    training: TextTraining,
    run: RunContext,
) -> Lesson:
    """Train parameters on a text until its loss is at most a target, and not much below.

    Args:
        target: The loss, in nats a token.
        most_steps: After so many the parameters stay as they are.
        model: The model with all that is attached to it.
        text: The document, read at once in every step.
        parameters: What trains, by an optimiser without a state.
        training: Rate and optimiser.
        run: As every lesson is handed it.

    Raises:
        ConfigError: If a loss is not finite.
    """
    at_once = replace(training, slice_tokens=len(model.chat.text_ids(text)))
    earlier: list[Tensor] = []
    for num_steps in range(most_steps + 1):
        values = [parameter.detach().clone() for parameter in parameters]
        # The loss is that before the step: a step that was one too many is taken back.
        (loss,) = learn_text("equal learning", model, text, 1, parameters, at_once, run)
        if loss <= target or num_steps == most_steps:
            _set(parameters, values)
            break
        earlier = values
    if loss <= target and num_steps > 0:
        loss = _shorten(target, model, text, parameters, earlier, values, loss)
    return Lesson(loss, num_steps, loss <= target)


def _shorten(
    target: float,
    model: LanguageModel,
    text: str,
    parameters: Sequence[nn.Parameter],
    start: Sequence[Tensor],
    end: Sequence[Tensor],
    loss: float,
) -> float:
    """Take a step to the share that just reaches the target; return the loss there.

    Args:
        target: The loss that the start is above and the end is not.
        model: The model with all that is attached to it.
        text: The document.
        parameters: What takes the values.
        start: Values before the step.
        end: Values after it.
        loss: Of the end.
    """
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        _set(parameters, [a.lerp(b, middle) for a, b in zip(start, end, strict=True)])
        found = text_loss(model, text)
        if found <= target:
            high, loss = middle, found
        else:
            low = middle
    _set(parameters, [a.lerp(b, high) for a, b in zip(start, end, strict=True)])
    return loss


@torch.no_grad()
def _set(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)
