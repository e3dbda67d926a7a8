"""Changes to slots of every kind, on tiny models of every family."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from compositional.errors import ConfigError
from compositional.models.blocks import added_by, blocks_of, mlp_of
from compositional.models.neuron_slots import neuron_slots, second_mlp_slots
from compositional.models.product_keys import ProductKeySettings, fit_memories, product_key_slots
from compositional.models.second_mlp import SecondMlps
from compositional.models.sparse_slots import SlotChange, SlotLayer, SparseSlots
from tests.models.toy_families import CONFIGS, IDS, logits

KINDS = ("neurons", "second_mlp", "product_keys")
SETTINGS = ProductKeySettings(sub_keys=6, heads=2, key_width=8, num_blocks=2)


@pytest.fixture(params=list(CONFIGS))
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(0)
    found: PreTrainedModel = AutoModelForCausalLM.from_config(CONFIGS[request.param])
    return found.eval().requires_grad_(False)


def slots_of(model: PreTrainedModel, kind: str, *, fit: bool = True) -> SparseSlots:
    """Slots in two blocks; queries of product keys are fitted to a text of other tokens."""
    if kind == "neurons":
        return SparseSlots(neuron_slots(model, 2, k=4))
    if kind == "second_mlp":
        second = SecondMlps(model, 2)
        second.attach()
        return SparseSlots(second_mlp_slots(second, k=4))
    memories = product_key_slots(model, 4, SETTINGS)
    slots = SparseSlots(memories)
    if fit:
        with slots.watched() as seen:
            logits(model, torch.arange(50)[None])
        fit_memories(memories, [seen], np.random.default_rng(3))
    return slots


def some(slots: SparseSlots, seed: int = 0) -> list[torch.Tensor]:
    """A third of the slots of each layer."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randperm(s.size, generator=generator)[: s.size // 3] for s in slots.layers]


def disturb(slots: SparseSlots, name: str = "a", seed: int = 0) -> None:
    torch.manual_seed(seed)
    for parameter in slots.add(name, some(slots, seed)):
        parameter.data += torch.randn_like(parameter)


def write(slots: SparseSlots, changes: list[SlotChange]) -> None:
    """Add changes to the columns of the last matrices themselves."""
    for layer, change in zip(slots.layers, changes, strict=True):
        weight = layer.module.weight.data
        if isinstance(layer.module, torch.nn.Linear):
            weight[:, change.slots] += change.values.data.T
        else:
            weight[change.slots] += change.values.data


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_zeros_changes_no_bit_and_its_gradient_is_alive(model, kind) -> None:
    before = logits(model)
    slots = slots_of(model, kind)
    values = slots.add("a", some(slots))
    assert torch.equal(logits(model), before)
    for parameter in values:
        parameter.requires_grad_(True)
    model(input_ids=IDS, labels=IDS, use_cache=False).loss.backward()
    assert len(values) == 2
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in values)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_later_tokens_change_nothing_before_and_a_cache_changes_nothing(model, kind) -> None:
    disturb(slots_of(model, kind))
    whole = logits(model)
    changed = IDS.clone()
    changed[0, 5:] = 7
    assert torch.allclose(logits(model, changed)[:, :5], whole[:, :5], atol=1e-6)
    with torch.no_grad():
        first = model(input_ids=IDS[:, :5], use_cache=True)
        rest = model(input_ids=IDS[:, 5:], past_key_values=first.past_key_values).logits
    assert torch.allclose(torch.cat([first.logits, rest], dim=1), whole, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_each_change_is_taken_away_without_a_trace(model, kind) -> None:
    before = logits(model)
    slots = slots_of(model, kind)
    disturb(slots, "a", 1)
    alone = logits(model)
    disturb(slots, "b", 2)
    both = logits(model)
    assert not torch.equal(alone, before)
    assert not torch.equal(both, alone)
    with slots.paused():
        assert torch.equal(logits(model), before)
    assert torch.equal(logits(model), both)
    slots.remove("b")
    assert torch.equal(logits(model), alone)
    slots.remove("a")
    assert torch.equal(logits(model), before)
    assert slots.state_dict() == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_gives_the_same_logits_in_a_fresh_model(model, kind) -> None:
    slots = slots_of(model, kind)
    disturb(slots, "a", 1)
    disturb(slots, "b", 2)
    expected, state = logits(model), slots.state_dict()
    for name in ("a", "b"):
        slots.remove(name)
    fresh = slots_of(model, kind, fit=False)
    fresh.load_state_dict(state, ["a", "b"])
    assert torch.equal(logits(model), expected)
    assert {n: t.tolist() for n, t in fresh.state_dict().items()} == {
        n: t.tolist() for n, t in state.items()
    }
    fresh.load_state_dict({}, [])
    assert fresh.changes == {}


def test_changes_of_neurons_are_those_of_columns(model) -> None:
    slots = slots_of(model, "neurons")
    disturb(slots)
    found, changes = logits(model), slots.changes["a"]
    slots.remove("a")
    write(slots, changes)
    assert torch.allclose(logits(model), found, atol=1e-5)


def test_slots_of_untrained_second_mlps_are_those_of_the_models_own_neurons(model) -> None:
    """Until an initialisation is learned for them, their neurons are copies.

    Behind a norm after the MLP, where a family has one, a change of theirs is another one.
    """
    found, counts = [], []
    for kind in ("neurons", "second_mlp"):
        slots = slots_of(model, kind)
        with slots.watched() as seen:
            logits(model)
        counts.append(slots.count(seen))
        disturb(slots)
        found.append(logits(model))
        slots.remove("a")
    assert all(one.equal(other) for one, other in zip(*counts, strict=True))
    block = blocks_of(model)[-1]
    assert torch.allclose(*found, atol=1e-6) == (added_by(block) is mlp_of(block))


def test_second_mlps_have_slots_of_their_own_once_they_are_trained(model) -> None:
    second = SecondMlps(model, 2)
    second.attach()
    torch.manual_seed(2)
    for parameter in second.named_parameters().values():
        parameter.data += 0.1 * torch.randn_like(parameter)
    before = logits(model)
    slots = SparseSlots(second_mlp_slots(second, k=4))
    assert torch.equal(logits(model), before)
    disturb(slots)
    changed, changes = logits(model), slots.changes["a"]
    slots.remove("a")
    assert torch.equal(logits(model), before)
    write(slots, changes)
    assert torch.allclose(logits(model), changed, atol=1e-5)


def test_a_memory_adds_weighted_values_to_what_its_mlp_gives(model) -> None:
    """By loops over tokens, heads and slots."""
    slots = slots_of(model, "product_keys")
    disturb(slots)
    layer, (change, _) = slots.layers[0], slots.changes["a"]
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    hook = layer.module.register_forward_hook(lambda _m, given, gave: seen.append((given[0], gave)))
    logits(model)
    hook.remove()
    (given, gave), places = seen[0], change.slots.tolist()
    with slots.paused(), torch.no_grad():
        plain = layer.module(given)
    chosen, weights = layer.read(given)
    for token in range(IDS.shape[1]):
        expected = plain[0, token].clone()
        for head in range(SETTINGS.heads):
            for slot, weight in zip(chosen[0, token, head], weights[0, token, head], strict=True):
                if int(slot) in places:
                    expected += 4 * weight * change.values.data[places.index(int(slot))]
        assert torch.allclose(gave[0, token], expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_uses_are_counted_by_slot(model, kind) -> None:
    slots = slots_of(model, kind)
    with slots.watched() as seen:
        logits(model)
    for layer, given, count in zip(slots.layers, seen, slots.count(seen), strict=True):
        expected = torch.zeros(layer.size, dtype=torch.long)
        for slot in layer.used(given).flatten():
            expected[slot] += 1
        assert count.equal(expected)
        heads = SETTINGS.heads if kind == "product_keys" else 1
        assert int(count.sum()) == IDS.shape[1] * heads * 4


def test_more_slots_a_token_than_there_are_is_refused(model) -> None:
    with pytest.raises(ConfigError, match="slots_per_token is 37; the memory has 36 slots"):
        product_key_slots(model, 37, SETTINGS)
    layer: SlotLayer = neuron_slots(model, 1, 1)[0]
    with pytest.raises(ConfigError, match=f"slots_per_token is 9999; .* has {layer.size} slots"):
        neuron_slots(model, 1, 9999)
