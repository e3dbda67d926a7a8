"""Context distillation into a hypernetwork: a model with a text's LoRA answers as with the text.

The teacher is the frozen model with the context before the question, the student the same model
with the update that the hypernetwork makes of the context, and the question alone. The loss is the
teacher's KL divergence from the student at every token of the answer.

Source: Charakorn et al. 2026 (Doc-to-LoRA, arXiv 2602.15902).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from compositional.errors import ConfigError, check_at_least
from compositional.models.hypernetwork import Hypernetwork
from compositional.models.last_blocks import LastBlocks
from compositional.run_context import RunContext
from compositional.training.distillation_batch import answer_logits, updates_of, with_bias
from compositional.training.distillation_cache import DistillationCache, Question
from compositional.training.fit import ParameterGroup, fit
from compositional.training.schedule import plan_steps

SCALER_FACTOR = 10.0
"""The scalers of B begin at zero and take so many times the rate: they hold the rest back."""
STREAM = "hypernetwork"
"""Questions come in an order of the seed alone, the same for all settings."""


@dataclass(frozen=True)
class DistillationObjective:
    """What is minimised, and at which rate.

    Attributes:
        lr: Peak learning rate of AdamW.
        kl: Weight of the teacher's KL divergence from the student.
        ce: Weight of the cross-entropy on the answer itself.
        l1: Weight of the mean size of the generated matrices' entries.
        distractors: Other contexts whose updates are added to that of a question's own, so that
            several documents at once can be asked about.
    """

    lr: float = 2e-3
    kl: float = 1.0
    ce: float = 0.0
    l1: float = 0.0
    distractors: int = 0

    def __post_init__(self) -> None:
        """Refuse values that no training can have."""
        for name in ("lr", "kl", "ce", "l1", "distractors"):
            check_at_least(name, getattr(self, name), 0)
        if self.kl == self.ce == 0:
            raise ConfigError("kl and ce are both 0: nothing would be learned, set one above 0")


def distil(
    key: str,
    network: Hypernetwork,
    blocks: LastBlocks,
    cache: DistillationCache,
    num_steps: int,
    objective: DistillationObjective,
    run: RunContext,
    after_step: Callable[[], None] | None = None,
) -> list[float]:
    """Train a hypernetwork; it may be cut off and goes on from the run's slot.

    Args:
        key: Names the training; a saved state of another one is not taken.
        network: What trains.
        blocks: The last blocks of the frozen model.
        cache: The training set's kept values.
        num_steps: Optimiser steps; `run.training` says how many questions each takes.
        objective: The loss and the rate.
        run: Settings, streams, counters, slot.
        after_step: Called after every step.

    Returns:
        The loss of every step.
    """
    num_items, batch = len(cache.data.items), run.training.batch_size
    epochs = -(-num_steps // -(-num_items // batch))
    steps = plan_steps(num_items, epochs, batch, run.streams, STREAM)

    def losses_at(step: int) -> Iterator[Tensor]:
        chosen = [cache.data.items[place].context for place in steps[step]]
        rng = run.streams.generator("distractors", STREAM, step)
        beside = [_others(c, len(cache.data.contexts), objective.distractors, rng) for c in chosen]
        contexts = [[own, *others] for own, others in zip(chosen, beside, strict=True)]
        made = updates_of(network, cache, contexts)
        logits, questions = answer_logits(blocks, cache, steps[step], with_bias(network, made))
        run.budget.steps += 1
        run.budget.rows += len(questions)
        run.budget.target_tokens += len(logits)
        loss = _loss(logits, questions, _targets(cache, steps[step]), objective)
        if objective.l1:
            loss = loss + objective.l1 * (made.a.abs().mean() + made.b.abs().mean())
        yield loss

    named = dict(network.named_parameters())
    scalers = {"scale_b": named.pop("scale_b")}
    groups = [
        ParameterGroup(named, objective.lr),
        ParameterGroup(scalers, objective.lr * SCALER_FACTOR),
    ]
    return fit(key, num_steps, losses_at, groups, run, after_step)


def _others(own: int, count: int, wanted: int, rng: np.random.Generator) -> list[int]:
    """Draw other contexts, none of them twice."""
    drawn = rng.permutation(count - 1)[: min(wanted, count - 1)]
    return [int(place) + int(place >= own) for place in drawn]


def _targets(cache: DistillationCache, items: Sequence[int]) -> list[Tensor]:
    return [torch.tensor(cache.data.items[place].target) for place in items]


def _loss(
    logits: Tensor,
    questions: Sequence[Question],
    targets: Sequence[Tensor],
    objective: DistillationObjective,
) -> Tensor:
    """Return the mean over questions of the mean over their answers' tokens."""
    weights = torch.cat([torch.full((len(t),), 1 / len(t)) for t in targets]).to(logits.device)
    total = torch.zeros_like(weights)
    if objective.kl:
        teacher = torch.cat([question.teacher for question in questions])
        ids = torch.cat([question.teacher_ids for question in questions])
        total = total + objective.kl * divergence(logits, teacher, ids)
    if objective.ce:
        gold = torch.cat(list(targets)).to(logits.device)
        total = total + objective.ce * functional.cross_entropy(logits, gold, reduction="none")
    return (weights * total).sum() / len(targets)


def divergence(logits: Tensor, teacher: Tensor, teacher_ids: Tensor) -> Tensor:
    """Return the KL divergence of a student from a teacher whose k likeliest tokens are known.

    All other tokens count as one, so that it is never below 0, and is the whole divergence where
    all tokens are known: sum_i p_i log(p_i / q_i) + p_rest log(p_rest / q_rest), in nats.

    Args:
        logits: The student's, [t, V].
        teacher: The teacher's log-probabilities, [t, k].
        teacher_ids: Their tokens, [t, k].

    Returns:
        Of each place, [t].
    """
    student = logits.log_softmax(dim=-1).gather(1, teacher_ids)
    known = (teacher.exp() * (teacher - student)).sum(dim=-1)
    rest = (1 - teacher.exp().sum(dim=-1)).clamp(min=0)
    student_rest = (1 - student.exp().sum(dim=-1)).clamp(min=torch.finfo(student.dtype).eps)
    return known + torch.xlogy(rest, rest) - rest * student_rest.log()


@torch.no_grad()
def standardise(network: Hypernetwork, cache: DistillationCache, most: int = 256) -> None:
    """Let a network standardise activations by those of a set's first contexts."""
    contexts = range(min(most, len(cache.data.contexts)))
    tokens = torch.cat(
        [chunk.float() for place in contexts for chunk in cache.context(place)], dim=1
    )
    network.standardise(tokens.mean(dim=1), tokens.std(dim=1))
