"""What a hypernetwork is worth on contexts it has not seen, beside its controls and its teacher.

All conditions ask the same questions of the same frozen model; they differ in what is added to it:
the update of the question's own context, nothing, the update of another context, the mean of all
contexts' updates. The teacher sees the context itself; it is the ceiling of what is distilled from
it, and none where right answers are learned that it would word otherwise.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from compositional.models.hypernetwork import Hypernetwork
from compositional.models.last_blocks import LastBlocks
from compositional.models.low_rank import LowRank, mean_update
from compositional.training.distillation_batch import answer_logits, updates_of, with_bias
from compositional.training.distillation_cache import DistillationCache

OWN, NO_LORA, SHUFFLED, MEAN = "hypernetwork", "no_lora", "shuffled", "mean"
IN_CONTEXT = "in_context"
CONTROLS = (NO_LORA, SHUFFLED, MEAN)
BATCH = 16

Chosen = Callable[[Sequence[int]], LowRank | None]


@dataclass(frozen=True)
class AnswerScore:
    """How one question was answered.

    Attributes:
        exact_match: 1 where every token of the answer, its end included, is the likeliest behind
            those before it: greedy decoding gives exactly this answer. Else 0.
        token_accuracy: The share of tokens that are.
        cross_entropy: The mean of minus the tokens' log-probabilities, in nats.
    """

    exact_match: float
    token_accuracy: float
    cross_entropy: float


def _score(log_probabilities: Tensor, is_right: Tensor) -> AnswerScore:
    right = is_right.float()
    return AnswerScore(
        float(right.min()), float(right.mean()), float(-log_probabilities.float().mean())
    )


@torch.no_grad()
def evaluate(
    network: Hypernetwork,
    blocks: LastBlocks,
    cache: DistillationCache,
    conditions: Sequence[str] = (OWN, *CONTROLS, IN_CONTEXT),
) -> dict[str, list[AnswerScore]]:
    """Score every question of a set under each condition.

    Args:
        network: The hypernetwork.
        blocks: The last blocks of the model.
        cache: The set's kept values; two contexts or more for `shuffled`.
        conditions: Which ones.

    Returns:
        By condition the scores, in the order of the questions.
    """
    count = len(cache.data.contexts)
    of = [item.context for item in cache.data.items]

    def own(items: Sequence[int]) -> LowRank:
        return with_bias(network, updates_of(network, cache, [[of[item]] for item in items]))

    def others(items: Sequence[int]) -> LowRank:
        contexts = [[(of[item] + 1) % count] for item in items]
        return with_bias(network, updates_of(network, cache, contexts))

    mean = with_bias(network, mean_update(_each(network, cache))) if MEAN in conditions else None
    chosen: dict[str, Chosen] = {
        OWN: own,
        NO_LORA: lambda _items: None,
        SHUFFLED: others,
        MEAN: lambda _items: mean,
    }
    return {
        name: _taught(cache) if name == IN_CONTEXT else _asked(blocks, cache, chosen[name])
        for name in conditions
    }


def _asked(blocks: LastBlocks, cache: DistillationCache, chosen: Chosen) -> list[AnswerScore]:
    """Score every question with the updates that are chosen for it."""
    scores = []
    for items in _batches(len(cache.data.items)):
        logits, _ = answer_logits(blocks, cache, items, chosen(items))
        rows = logits.split([len(cache.data.items[item].target) for item in items])
        for item, own in zip(items, rows, strict=True):
            target = torch.tensor(cache.data.items[item].target, device=own.device)
            losses = functional.cross_entropy(own, target, reduction="none")
            scores.append(_score(-losses, own.argmax(dim=-1) == target))
    return scores


def _taught(cache: DistillationCache) -> list[AnswerScore]:
    """Score the teacher, whose log-probabilities are kept."""
    scores = []
    for place, item in enumerate(cache.data.items):
        kept = cache.question(place)
        target = torch.tensor(item.target, device=kept.teacher_ids.device)
        scores.append(_score(kept.teacher_target, kept.teacher_ids[:, 0] == target))
    return scores


def _each(network: Hypernetwork, cache: DistillationCache) -> Iterator[LowRank]:
    """Yield the update of every context of a set, [K, r, ...]."""
    for places in _batches(len(cache.data.contexts)):
        made = updates_of(network, cache, [[place] for place in places])
        for number in range(len(places)):
            yield LowRank(made.a[number], made.b[number])


def _batches(count: int) -> Iterator[list[int]]:
    for start in range(0, count, BATCH):
        yield list(range(start, min(start + BATCH, count)))
