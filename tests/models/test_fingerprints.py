"""Equal tensors under other settings give other answers, so they have another fingerprint."""

import numpy as np
import pytest
import torch

from compositional.methods.dual_mlp import DualMlpConfig
from compositional.models.language_model import LanguageModel
from compositional.models.loading import LoadedModel
from compositional.models.neighbours import NeighbourStore
from compositional.models.neuron_slots import neuron_slots, second_mlp_slots
from compositional.models.product_keys import ProductKeySettings, fit_memories, product_key_slots
from compositional.models.second_mlp import SecondMlps
from compositional.models.sparse_slots import SlotLayer, SparseSlots
from tests.documents_toy import toy_documents

KEYS = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
VALUES = torch.tensor([3, 4, 3, 7, 8])
STORE = {"k": 2, "temperature": 0.5, "share": 0.25}
SHAPE = {"sub_keys": 4, "heads": 2, "key_width": 4}


def of_store(toy: LoadedModel, names: str = "ab", **settings: float) -> str:
    """The fingerprint of a model with neighbours from documents of the same states."""
    model = LanguageModel(toy)
    store = NeighbourStore(toy.model, **{**STORE, **settings})
    model.attachments["neighbours"] = store
    for name in names:
        store.put(name, KEYS, VALUES)
    found = model.fingerprint()
    for name in names:
        store.remove(name)
    return found


@pytest.mark.parametrize(("name", "value"), [("k", 3), ("temperature", 0.6), ("share", 0.3)])
def test_neighbours_of_other_settings_are_another_model(toy, name, value) -> None:
    assert of_store(toy) == of_store(toy)
    assert of_store(toy, **{name: value}) != of_store(toy)
    empty = of_store(toy, "", **{name: value})
    assert empty == of_store(toy, "") == LanguageModel(toy).fingerprint()


def test_the_order_of_documents_counts_where_it_can_change_an_answer(toy) -> None:
    assert of_store(toy, "ba") != of_store(toy, "ab")  # which of two equal keys is among the k
    layers = neuron_slots(toy.model, 1, k=4)
    assert of_slots(toy, layers, names="ba") != of_slots(toy, layers, names="ab")  # of sums


def of_slots(toy: LoadedModel, layers: list[SlotLayer], names: str = "ab") -> str:
    """The fingerprint of a model with the same changes to the first slots of each layer."""
    model = LanguageModel(toy)
    slots = SparseSlots(layers)
    model.attachments["slots"] = slots
    for name in names:
        for parameter in slots.add(name, [torch.arange(3) for _ in layers]):
            parameter.data += 1.0
    found = model.fingerprint()
    for name in names:
        slots.remove(name)
    return found


def memories(toy: LoadedModel, k: int = 3, **shape: int) -> list[SlotLayer]:
    """Memories of some shape, all with keys and queries of the same numbers."""
    fitted = product_key_slots(toy.model, 3, ProductKeySettings(**SHAPE))
    fit_memories(fitted, [[KEYS]], np.random.default_rng(0))
    layers = product_key_slots(toy.model, k, ProductKeySettings(**{**SHAPE, **shape}))
    for layer, other in zip(layers, fitted, strict=True):
        layer.load_state_dict(other.state_dict())
    return list(layers)


def test_slots_of_other_settings_are_another_model(toy) -> None:
    assert of_slots(toy, memories(toy)) == of_slots(toy, memories(toy))
    assert of_slots(toy, memories(toy, k=4)) != of_slots(toy, memories(toy))
    other_shape = memories(toy, heads=1, key_width=8)
    assert of_slots(toy, other_shape) != of_slots(toy, memories(toy))


def test_neurons_of_second_mlps_are_not_the_models_own(toy) -> None:
    own, second = neuron_slots(toy.model, 2, 4), second_mlp_slots(SecondMlps(toy.model, 2), 4)
    assert of_slots(toy, second) != of_slots(toy, own)
    # How many a token is said to use decides what is learned, not what is answered.
    assert of_slots(toy, neuron_slots(toy.model, 2, 5)) == of_slots(toy, own)


def test_settings_that_only_learning_depends_on_do_not_count(toy) -> None:
    prints = set()
    for alpha in (0.0, 0.5):
        method = DualMlpConfig(alpha=alpha).build(LanguageModel(toy), toy_documents(1))
        prints.add(method.model.fingerprint())
        method.second.detach()
    assert len(prints) == 1
