"""Learning a text by next-token loss in slices, each of which sees all that stands before it.

The slices of a pass come in order, one optimiser step each; keys and values of earlier slices are
kept as they were computed, without gradients. So a step's gradient covers its slice alone, and the
text costs one forward pass and one backward pass of the trained part.

Source: the inner loop of Tandon et al. 2025 (TTT-E2E, arXiv 2512.23675), section 2.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from compositional.errors import ConfigError, check_at_least, check_choice
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.stopping import heed_stop
from compositional.training.losses import summed_cross_entropy

SGD, ADAMW = "sgd", "adamw"


@dataclass(frozen=True)
class TextTraining:
    """How a text is learned.

    Attributes:
        lr: Learning rate, constant.
        optimiser: `sgd` (without momentum or decay) or `adamw`.
        slice_tokens: Tokens of a slice, that is of a step.
        max_grad_norm: Gradients are scaled down to this norm; 0 for never.
    """

    lr: float
    optimiser: str = SGD
    slice_tokens: int = 256
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values that no training can have."""
        check_choice("optimiser", self.optimiser, (SGD, ADAMW))
        check_at_least("slice_tokens", self.slice_tokens, 1)
        for name in ("lr", "max_grad_norm"):
            check_at_least(name, getattr(self, name), 0)

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser of some parameters, without any moments yet."""
        if self.optimiser == SGD:
            return torch.optim.SGD(parameters, lr=self.lr)
        return torch.optim.AdamW(parameters, lr=self.lr, weight_decay=0.0)


def learn_text(
    key: str,
    model: LanguageModel,
    text: str,
    passes: int,
    parameters: Sequence[nn.Parameter],
    training: TextTraining,
    run: RunContext,
) -> list[float]:
    """Train parameters on a text for some passes over it.

    The optimiser begins without moments: nothing of an earlier text moves these parameters.

    Args:
        key: Names it in the progress line, in errors, and among the run's losses.
        model: The model with all that is attached to it.
        text: The document, none of it left out.
        passes: How often it is read.
        parameters: What trains; they require gradients meanwhile, and no others do.
        training: Rate, optimiser, slices.
        run: Counters, progress, and whether to stop.

    Returns:
        The loss of every step.

    Raises:
        ConfigError: If a loss is not finite.
        PreemptedError: If the run was asked to stop; the lesson is then taken from its start.
    """
    ids = model.chat.text_ids(text)
    steps_a_pass = -(-(len(ids) - 1) // training.slice_tokens)
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimiser = training.build(parameters)
    losses: list[float] = []
    kernel = run.training.cross_entropy
    with run.progress.bar(key, passes * steps_a_pass) as bar:
        for _ in range(passes):
            for loss in losses_by_slice(model, ids, training.slice_tokens, kernel):
                optimiser.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                losses.append(float(loss.detach()))
                if not math.isfinite(losses[-1]):
                    raise ConfigError(
                        f"the loss of {key} is {losses[-1]} at step {len(losses)}: the learning "
                        "rate is too high, lower it"
                    )
                if training.max_grad_norm:
                    nn.utils.clip_grad_norm_(parameters, training.max_grad_norm)
                optimiser.step()
                bar.update(1)
                heed_stop(run)
    for parameter in parameters:
        parameter.requires_grad_(False)
        parameter.grad = None
    run.losses[key] = losses
    run.budget.steps += len(losses)
    run.budget.rows += len(losses)
    run.budget.input_tokens += passes * len(ids)
    run.budget.target_tokens += passes * (len(ids) - 1)
    return losses


def losses_by_slice(
    model: LanguageModel, ids: Sequence[int], slice_tokens: int, kernel: str = "torch"
) -> Iterator[Tensor]:
    """Yield the mean next-token loss of each slice, in order, with its gradient.

    Whoever asks for the next slice has done with this one's graph: what it computed is kept for
    later slices without it.

    Args:
        model: The model as it is when each slice is asked for.
        ids: The text's tokens, two or more.
        slice_tokens: Predicted tokens a slice; the last one may have fewer.
        kernel: What computes the loss; see `summed_cross_entropy`.
    """
    cache = DynamicCache(config=model.backbone.config)
    whole = torch.tensor([list(ids)], device=model.device)
    for start in range(0, len(ids) - 1, slice_tokens):
        end = min(start + slice_tokens, len(ids) - 1)
        logits = model.backbone(
            input_ids=whole[:, start:end], past_key_values=cache, use_cache=True
        ).logits[0]
        targets = whole[0, start + 1 : end + 1]
        yield summed_cross_entropy(logits, targets, kernel) / len(targets)
        for layer in cache.layers:
            states: Any = layer  # transformers' types know keys and values of some kinds only
            states.keys, states.values = states.keys.detach(), states.values.detach()
