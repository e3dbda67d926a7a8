import math
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor

from compositional.errors import ConfigError, ResultsError
from compositional.methods.background import BATCH_TOKENS, background_batches
from compositional.methods.dual_mlp import save_initial
from compositional.methods.sparse_memory import SparseMemory, SparseMemoryConfig
from compositional.models.blocks import blocks_of, mlp_of, output_of
from compositional.models.language_model import LanguageModel
from compositional.models.loading import LoadedModel
from compositional.models.product_keys import ProductKeySettings
from compositional.models.second_mlp import SecondMlps
from compositional.preemption import PreemptedError
from compositional.tasks.types import Document
from tests.documents_toy import toy_documents
from tests.methods_toy import fresh_model
from tests.rounds_toy import toy_context

DOCUMENT = Document("a", "The mill was built by Kor.")
OTHER = Document("b", "Bread is baked by Kor at night.")
K, BATCHES = 4, 3


KEYS = ProductKeySettings(sub_keys=6, heads=2, key_width=4, num_blocks=2)
every_kind = pytest.mark.parametrize("slots", ["neurons", "second_mlp", "product_keys"])


def method(toy: LoadedModel | LanguageModel, **settings: object) -> SparseMemory:
    model = toy if isinstance(toy, LanguageModel) else LanguageModel(toy)
    config = SparseMemoryConfig(
        **{"slots_per_token": K, "background_batches": BATCHES, "share_of_blocks": 1.0,
           "num_slots": 10, "product_keys": KEYS, **settings},
    )  # fmt: skip
    return config.build(model, toy_documents(1))


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
    outputs = [output_of(mlp) for mlp in mlps]
    if built.config.slots == "second_mlp":
        outputs = [layer.module for layer in built.slots.layers]
    for active in read_by(outputs, model, ids):
        count = torch.zeros(active.shape[1])
        for token in active:
            for slot in token.abs().argsort(descending=True)[:K]:
                count[slot] += 1
        counts.append(count)
    return counts


@every_kind
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


@every_kind
def test_a_stop_while_the_background_is_read_leaves_nothing_half_counted(toy, slots) -> None:
    built, run = method(toy, slots=slots), toy_context()
    run.stop.number = signal.SIGTERM
    with pytest.raises(PreemptedError):
        built.prepare(run)
    assert run.budget.input_tokens == 0
    chosen = built.select(DOCUMENT, toy_context())
    whole = method(toy, slots=slots).select(DOCUMENT, toy_context())
    assert all(map(torch.equal, chosen, whole))


@every_kind
@pytest.mark.parametrize(("selection", "share"), [("tf", None), ("random", None), ("all", 1)])
def test_other_selections_stand_beside_it(toy, slots, selection, share) -> None:
    built = method(toy, slots=slots, selection=selection)
    chosen = built.select(DOCUMENT, toy_context())
    size = {"neurons": 2 * 64, "second_mlp": 2 * 64, "product_keys": 2 * 36}[slots]
    assert sum(len(part) for part in chosen) == (10 if share is None else size)


@every_kind
def test_only_the_chosen_slots_move_and_go_without_a_trace(toy, slots) -> None:
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


@every_kind
def test_what_is_read_to_choose_slots_is_counted(toy, slots) -> None:
    built, run = method(toy, slots=slots), toy_context()
    one, other = (len(built.model.chat.text_ids(d.text)) for d in (DOCUMENT, OTHER))
    built.learn_document("text", DOCUMENT, 2, run)
    assert run.budget.input_tokens == BATCHES * BATCH_TOKENS + one + 2 * one
    built.learn_document("other", OTHER, 1, run)
    assert run.budget.input_tokens == BATCHES * BATCH_TOKENS + 3 * one + 2 * other


@every_kind
def test_what_other_text_uses_is_counted_once_and_kept(toy, toy_model_folder, slots) -> None:
    built, again = method(toy, slots=slots), fresh_model(toy_model_folder)
    fresh = method(again, slots=slots)
    passes: list[int] = []
    for backbone in (toy.model, again.backbone):
        backbone.register_forward_pre_hook(lambda *_: passes.append(1))
    built.select(DOCUMENT, toy_context())
    assert len(passes) == BATCHES + 1
    built.select(DOCUMENT, toy_context())
    assert len(passes) == BATCHES + 2
    fresh.load_state_dict(built.state_dict())
    passes.clear()
    for one, other in zip(
        fresh.select(DOCUMENT, toy_context()), built.select(DOCUMENT, toy_context()), strict=True
    ):
        assert one.equal(other)
    assert len(passes) == 2
    facts = fresh.describe()
    assert 0 < facts["slots that other text uses"] <= facts["slots in all"]
    assert (facts["slots moved"], facts["trained parameters"]) == (0, 0)
    plain = fresh_model(toy_model_folder).fingerprint()
    assert built.model.fingerprint() == again.fingerprint() == plain  # nothing was learned


def lesson(built: SparseMemory, *documents: Document) -> SparseMemory:
    for document in documents:
        built.learn_document(document.name, document, 2, toy_context())
    return built


def values(built: SparseMemory, name: str) -> list[Tensor]:
    return [change.values.data for change in built.slots.changes[name]]


@every_kind
def test_what_is_learned_first_cannot_be_taken_out_exactly(toy_model_folder, slots) -> None:
    """The other is learned around its change: it is not what it would be without it."""

    def fresh() -> SparseMemory:
        return method(fresh_model(toy_model_folder), slots=slots, lr=1.0)

    both = lesson(fresh(), DOCUMENT, OTHER)
    assert not both.can_forget("a")
    assert both.can_forget("b")
    moved = [len(change.slots) for name in "ab" for change in both.slots.changes[name]]
    facts = both.describe()
    assert (facts["slots moved"], sum(moved)) == (20, 20)
    assert facts["trained parameters"] == 20 * 32
    without_last, only_first = lesson(fresh(), DOCUMENT, OTHER), lesson(fresh(), DOCUMENT)
    without_last.forget("b")
    assert without_last.can_forget("a")
    for one, other in zip(values(without_last, "a"), values(only_first, "a"), strict=True):
        assert one.equal(other)
    both.forget("a")
    only_last = lesson(fresh(), OTHER)
    pairs = list(zip(both.slots.changes["b"], only_last.slots.changes["b"], strict=True))
    assert all(one.slots.equal(other.slots) for one, other in pairs)
    assert not all(one.values.equal(other.values) for one, other in pairs)


def initialisation(model: LanguageModel, path: Path) -> Path:
    """A file as `meta-train` writes it, of second MLPs that give something."""
    second = SecondMlps(model.backbone, 2)
    torch.manual_seed(1)
    for parameter in second.named_parameters().values():
        parameter.data += 0.1 * torch.randn_like(parameter)
    save_initial(path, second, model, {})
    return path


def test_second_mlps_may_begin_with_what_meta_train_learned(toy_model_folder, tmp_path) -> None:
    def model() -> LanguageModel:
        return fresh_model(toy_model_folder)

    path = initialisation(model(), tmp_path / "initial.safetensors")
    settings = {"slots": "second_mlp", "initial": str(path), "lr": 1.0}
    built, plain = method(model(), **settings), method(model(), slots="second_mlp")
    assert plain.model.fingerprint() == model().fingerprint() != built.model.fingerprint()
    begun = built.model.fingerprint()
    selected, otherwise = (each.select(DOCUMENT, toy_context()) for each in (built, plain))
    assert not all(one.equal(other) for one, other in zip(selected, otherwise, strict=True))
    losses = built.learn_document("text", DOCUMENT, 3, toy_context())
    assert losses[-1] < losses[0]
    state = built.state_dict()
    restored = method(model(), **settings)
    restored.load_state_dict(state)
    assert restored.model.fingerprint() == built.model.fingerprint() != begun
    built.forget("a")
    assert built.model.fingerprint() == begun
    with pytest.raises(ResultsError, match=r"another initialisation \(.{12}\) than .*none"):
        plain.load_state_dict(state)
    with pytest.raises(ConfigError, match="set slots second_mlp"):
        method(model(), initial=str(path))


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
