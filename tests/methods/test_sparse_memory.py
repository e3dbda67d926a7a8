import math

import pytest
import torch

from compositional.errors import ConfigError
from compositional.methods.background import BATCH_TOKENS, background_batches
from compositional.methods.sparse_memory import SparseMemory, SparseMemoryConfig
from compositional.models.blocks import blocks_of, mlp_of, output_of
from compositional.models.language_model import LanguageModel
from compositional.models.loading import LoadedModel
from compositional.tasks.types import Document
from tests.documents_toy import toy_documents
from tests.rounds_toy import toy_context

DOCUMENT = Document("a", "The mill was built by Kor.")
K, BATCHES = 4, 3


def method(toy: LoadedModel, **settings: object) -> SparseMemory:
    config = SparseMemoryConfig(
        **{"slots_per_token": K, "background_batches": BATCHES, "share_of_blocks": 1.0,
           "num_slots": 10, **settings},
    )  # fmt: skip
    return config.build(LanguageModel(toy), toy_documents(1))


def uses(model: LanguageModel, ids: list[int]) -> list[torch.Tensor]:
    """How many tokens have each slot among their most active ones, by a hook of its own."""
    seen: list[torch.Tensor] = []
    outputs = [output_of(mlp_of(block)) for block in blocks_of(model.backbone)]
    hooks = [o.register_forward_pre_hook(lambda _m, x: seen.append(x[0][0])) for o in outputs]
    with torch.no_grad():
        model.backbone(input_ids=torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    counts = []
    for active in seen:
        count = torch.zeros(active.shape[1])
        for token in active:
            for slot in token.abs().argsort(descending=True)[:K]:
                count[slot] += 1
        counts.append(count)
    return counts


def test_the_slots_are_those_of_the_highest_tf_idf(toy) -> None:
    built = method(toy)
    model = built.model
    counts = uses(model, model.chat.text_ids(DOCUMENT.text))
    total = sum(float(count.sum()) for count in counts)
    background = [uses(model, ids) for ids in background_batches(model, BATCHES)]
    scores = []
    for block, count in enumerate(counts):
        for slot in range(len(count)):
            df = sum(bool(batch[block][slot] > 0) for batch in background)
            idf = math.log((BATCHES + 1) / (df + 1))
            scores.append((float(count[slot]) / total * idf, block, slot))
    least = sorted(score for score, _, _ in scores)[-10]
    chosen = built.select(DOCUMENT, toy_context())
    assert sum(len(slots) for slots in chosen) == 10
    taken = {(block, int(slot)) for block, slots in enumerate(chosen) for slot in slots}
    assert all(score >= least - 1e-6 for score, *place in scores if tuple(place) in taken)


@pytest.mark.parametrize(("selection", "count"), [("tf", 10), ("random", 10), ("all", 128)])
def test_other_selections_stand_beside_it(toy, selection: str, count: int) -> None:
    chosen = method(toy, selection=selection).select(DOCUMENT, toy_context())
    assert sum(len(slots) for slots in chosen) == count


def test_only_the_chosen_columns_move_and_are_taken_out_exactly(toy) -> None:
    built = method(toy, lr=1.0)
    model = built.model
    ids = torch.tensor([model.chat.text_ids("Another text.")])
    with torch.no_grad():
        before = toy.model(input_ids=ids).logits
    built.learn_document("text", DOCUMENT, 3, toy_context())
    chosen = built.select(DOCUMENT, toy_context())  # what was learned has no say in it
    assert all(
        change.slots.equal(slots)
        for change, slots in zip(built.slots.changes["a"], chosen, strict=True)
    )
    with torch.no_grad():
        assert not torch.equal(toy.model(input_ids=ids).logits, before)
        built.forget("a")
        assert torch.equal(toy.model(input_ids=ids).logits, before)


def test_background_batches_are_of_one_length_and_spread(toy) -> None:
    model = LanguageModel(toy)
    batches = background_batches(model, 90)
    assert {len(batch) for batch in batches} == {BATCH_TOKENS}
    assert len({tuple(batch) for batch in batches}) > 80  # some topics begin alike
    with pytest.raises(ConfigError, match="background_batches is 10000000; there are"):
        background_batches(model, 10_000_000)
