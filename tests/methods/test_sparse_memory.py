import math

import pytest
import torch
from torch import Tensor

from compositional.errors import ConfigError
from compositional.methods.background import BATCH_TOKENS, background_batches
from compositional.methods.sparse_memory import SparseMemory, SparseMemoryConfig
from compositional.models.blocks import blocks_of, mlp_of, output_of
from compositional.models.language_model import LanguageModel
from compositional.models.loading import LoadedModel
from compositional.models.product_keys import ProductKeySettings
from compositional.tasks.types import Document
from tests.documents_toy import toy_documents
from tests.rounds_toy import toy_context

DOCUMENT = Document("a", "The mill was built by Kor.")
K, BATCHES = 4, 3


KEYS = ProductKeySettings(sub_keys=6, heads=2, key_width=4, num_blocks=2)
both_kinds = pytest.mark.parametrize("slots", ["neurons", "product_keys"])


def method(toy: LoadedModel, **settings: object) -> SparseMemory:
    config = SparseMemoryConfig(
        **{"slots_per_token": K, "background_batches": BATCHES, "share_of_blocks": 1.0,
           "num_slots": 10, "product_keys": KEYS, **settings},
    )  # fmt: skip
    return config.build(LanguageModel(toy), toy_documents(1))


def read_by(modules: list[torch.nn.Module], model: LanguageModel, ids: list[int]) -> list[Tensor]:
    """What some modules are given by a text, [tokens, width] each, by a hook of its own."""
    seen: list[Tensor] = []
    hooks = [m.register_forward_pre_hook(lambda _m, x: seen.append(x[0][0])) for m in modules]
    with torch.no_grad():
        model.backbone(input_ids=torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    return seen


def uses(built: SparseMemory, ids: list[int]) -> list[Tensor]:
    """How often each slot is used, token by token."""
    model = built.model
    mlps = [mlp_of(block) for block in blocks_of(model.backbone)]
    counts = []
    if built.memories:
        for memory, given in zip(built.memories, read_by(mlps, model, ids), strict=True):
            count = torch.zeros(memory.size)
            for slot in memory.read(given)[0].flatten():
                count[slot] += 1
            counts.append(count)
        return counts
    for active in read_by([output_of(mlp) for mlp in mlps], model, ids):
        count = torch.zeros(active.shape[1])
        for token in active:
            for slot in token.abs().argsort(descending=True)[:K]:
                count[slot] += 1
        counts.append(count)
    return counts


@both_kinds
def test_the_slots_are_those_of_the_highest_tf_idf(toy, slots) -> None:
    built = method(toy, slots=slots)
    chosen = built.select(DOCUMENT, toy_context())
    model = built.model
    counts = uses(built, model.chat.text_ids(DOCUMENT.text))
    total = sum(float(count.sum()) for count in counts)
    background = [uses(built, ids) for ids in background_batches(model, BATCHES)]
    scores = []
    for block, count in enumerate(counts):
        for slot in range(len(count)):
            df = sum(bool(batch[block][slot] > 0) for batch in background)
            idf = math.log((BATCHES + 1) / (df + 1))
            scores.append((float(count[slot]) / total * idf, block, slot))
    least = sorted(score for score, _, _ in scores)[-10]
    assert sum(len(part) for part in chosen) == 10
    taken = {(block, int(slot)) for block, part in enumerate(chosen) for slot in part}
    assert all(score >= least - 1e-6 for score, *place in scores if tuple(place) in taken)


@both_kinds
@pytest.mark.parametrize(("selection", "share"), [("tf", None), ("random", None), ("all", 1)])
def test_other_selections_stand_beside_it(toy, slots, selection, share) -> None:
    built = method(toy, slots=slots, selection=selection)
    chosen = built.select(DOCUMENT, toy_context())
    size = {"neurons": 2 * 64, "product_keys": 2 * 36}[slots]
    assert sum(len(part) for part in chosen) == (10 if share is None else size)


@both_kinds
def test_only_the_chosen_slots_move_and_are_taken_out_exactly(toy, slots) -> None:
    built = method(toy, slots=slots, lr=1.0)
    model = built.model
    ids = torch.tensor([model.chat.text_ids("Another text.")])
    weights = {name: p.detach().clone() for name, p in toy.model.named_parameters()}
    with torch.no_grad():
        before = toy.model(input_ids=ids).logits
    losses = built.learn_document("text", DOCUMENT, 3, toy_context())
    assert losses[-1] < losses[0]
    chosen = built.select(DOCUMENT, toy_context())  # what was learned has no say in it
    assert all(
        change.slots.equal(slots)
        for change, slots in zip(built.slots.changes["a"], chosen, strict=True)
    )
    assert sum(len(change.values) for change in built.slots.changes["a"]) == 10
    for name, parameter in toy.model.named_parameters():
        assert parameter.equal(weights[name]), name
    with torch.no_grad():
        assert not torch.equal(toy.model(input_ids=ids).logits, before)
        built.forget("a")
        assert torch.equal(toy.model(input_ids=ids).logits, before)


@both_kinds
def test_what_other_text_uses_is_counted_once_and_kept(toy, slots) -> None:
    built = method(toy, slots=slots)
    passes: list[int] = []
    toy.model.register_forward_pre_hook(lambda *_: passes.append(1))
    built.select(DOCUMENT, toy_context())
    assert len(passes) == BATCHES + 1
    built.select(DOCUMENT, toy_context())
    assert len(passes) == BATCHES + 2
    fresh = method(toy, slots=slots)
    fresh.load_state_dict(built.state_dict())
    passes.clear()
    for one, other in zip(
        fresh.select(DOCUMENT, toy_context()), built.select(DOCUMENT, toy_context()), strict=True
    ):
        assert one.equal(other)
    assert len(passes) == 2
    facts = fresh.describe()
    assert 0 < facts["slots that other text uses"] <= facts["slots in all"]
    assert built.model.fingerprint() == LanguageModel(toy).fingerprint()  # nothing was learned


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"slots": "keys"}, "unknown slots 'keys'"),
        ({"slots_per_token": 65}, "slots_per_token is 65; an MLP of this model has 64 slots"),
        ({"slots_per_token": 37, "slots": "product_keys"}, "the memory has 36 slots"),
        (
            {"slots": "product_keys", "product_keys": ProductKeySettings(num_blocks=3)},
            "num_blocks is 3; this model has 2 blocks",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(toy, settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        method(toy, **settings)


def test_background_batches_are_of_one_length_and_spread(toy) -> None:
    model = LanguageModel(toy)
    batches = background_batches(model, 90)
    assert {len(batch) for batch in batches} == {BATCH_TOKENS}
    assert len({tuple(batch) for batch in batches}) > 80  # some topics begin alike
    with pytest.raises(ConfigError, match="background_batches is 10000000; there are"):
        background_batches(model, 10_000_000)
