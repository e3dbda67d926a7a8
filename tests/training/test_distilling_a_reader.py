"""Context distillation by itself teaches what a context says: no right answer is ever shown.

The teacher is a tiny model that was fitted to repeat two letters of its context. A hypernetwork
learns from its distributions alone (`kl` 1, `ce` 0), and is asked about pairs that it has not seen.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from compositional.models.hypernetwork import Hypernetwork
from compositional.models.language_model import LanguageModel
from compositional.models.last_blocks import LastBlocks
from compositional.training.context_distillation import (
    DistillationObjective,
    distil,
    divergence,
    standardise,
)
from compositional.training.distillation_batch import answer_logits, updates_of, with_bias
from compositional.training.distillation_cache import DistillationCache
from compositional.training.distillation_evaluation import (
    CONTROLS,
    IN_CONTEXT,
    NO_LORA,
    OWN,
    evaluate,
)
from compositional.training.distillation_set import DistillationItem, DistillationSet
from tests.hypernetwork_toy import toy_shape
from tests.rounds_toy import toy_context
from tests.toy import load_toy

Pair = tuple[int, int]
LETTERS = range(60, 75)
SAYS, ASKS, ENDS = 80, 81, 82
PAIRS: list[Pair] = [(one, other) for one in LETTERS for other in LETTERS]
NUM_HELD_OUT = 45
FIT_STEPS, STEPS = 80, 200


def questions(pairs: Sequence[Pair]) -> DistillationSet:
    """A context a pair, and the question what it says."""
    items = [
        DistillationItem(place, (ASKS,), (SAYS, *pair, ASKS), (*pair, ENDS))
        for place, pair in enumerate(pairs)
    ]
    return DistillationSet(tuple((((SAYS, *pair)),) for pair in pairs), tuple(items))


def teach_to_read(model: LanguageModel) -> None:
    """Fit a model to repeat what its context says."""
    rows = torch.tensor([(SAYS, *pair, ASKS, *pair) for pair in PAIRS])
    expected = torch.tensor([(*pair, ENDS) for pair in PAIRS])
    model.backbone.requires_grad_(True)
    optimiser = torch.optim.Adam(model.backbone.parameters(), lr=5e-3)
    for _ in range(FIT_STEPS):
        logits = model.backbone(input_ids=rows).logits[:, -3:]
        loss = functional.cross_entropy(logits.flatten(0, 1), expected.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.backbone.requires_grad_(False)


def filled(
    model: LanguageModel, blocks: LastBlocks, folder: Path, pairs: Sequence[Pair]
) -> DistillationCache:
    """What is kept of a set, with the teacher's eight likeliest tokens."""
    cache = DistillationCache(folder, model, blocks, questions(pairs), 8)
    cache.fill(toy_context())
    return cache


@torch.no_grad()
def from_the_teacher(
    blocks: LastBlocks, cache: DistillationCache, network: Hypernetwork | None
) -> float:
    """The mean divergence from the teacher, in nats a token; without a network by itself."""
    places = range(len(cache.data.items))
    update = None
    if network is not None:
        update = with_bias(network, updates_of(network, cache, [[place] for place in places]))
    logits, kept = answer_logits(blocks, cache, places, update)
    teacher, ids = (torch.cat([getattr(k, n) for k in kept]) for n in ("teacher", "teacher_ids"))
    found: Tensor = divergence(logits, teacher, ids).mean()
    return float(found)


def test_what_the_teacher_reads_is_known_without_the_context(tmp_path: Path) -> None:
    model = LanguageModel(load_toy(tmp_path / "toy", packed_weights=False))
    teach_to_read(model)
    order = torch.randperm(len(PAIRS), generator=torch.Generator().manual_seed(0)).tolist()
    shuffled = [PAIRS[place] for place in order]
    blocks = LastBlocks(model.backbone, 1)
    training, held_out = (
        filled(model, blocks, tmp_path, pairs)
        for pairs in (shuffled[NUM_HELD_OUT:], shuffled[:NUM_HELD_OUT])
    )
    network = Hypernetwork(toy_shape(model, 1, rank=4, width=32))
    standardise(network, training)
    objective = DistillationObjective(lr=1e-2, kl=1.0, ce=0.0)
    distil("reader", network, blocks, training, STEPS, objective, toy_context(batch_size=16))

    scores = evaluate(network, blocks, held_out)
    right = {n: sum(s.exact_match for s in own) / len(own) for n, own in scores.items()}
    loss = {n: sum(s.cross_entropy for s in own) / len(own) for n, own in scores.items()}
    assert right[IN_CONTEXT] >= 0.95
    assert right[OWN] >= 0.6
    for control in CONTROLS:
        assert right[control] <= 0.1, control
        assert loss[OWN] < loss[control] - 1, control
    alone = from_the_teacher(blocks, held_out, None)
    assert from_the_teacher(blocks, held_out, network) < 0.2 * alone
    assert loss[NO_LORA] == pytest.approx(alone, abs=0.5)  # the teacher is all but sure
