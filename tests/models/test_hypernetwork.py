from dataclasses import replace
from pathlib import Path

import pytest
import torch

from compositional.errors import ConfigError, ModelError, ResultsError
from compositional.models.hypernetwork import Hypernetwork, HypernetworkShape
from compositional.models.hypernetwork_file import load_hypernetwork
from compositional.models.language_model import LanguageModel
from compositional.states import State, load_state, save_state
from tests.hypernetwork_toy import disturbed, toy_hypernetwork, toy_shape
from tests.methods_toy import fresh_model
from tests.toy import load_toy

SHAPE = HypernetworkShape(
    num_blocks=3, model_width=20, inner_width=50, rank=4, bias_rank=2, width=16, depth=2, heads=4
)
ACTIVATIONS = torch.randn(2, 3, 7, 20, generator=torch.Generator().manual_seed(0))


def whole(batch: torch.Tensor) -> torch.Tensor:
    return torch.ones(len(batch), batch.shape[2], dtype=torch.bool)


def test_every_block_gets_its_ranks_and_an_untrained_network_adds_nothing() -> None:
    network = Hypernetwork(SHAPE)
    made = network(ACTIVATIONS, whole(ACTIVATIONS))
    assert made.a.shape == (2, 3, 4, 50)
    assert made.b.shape == (2, 3, 4, 20)
    assert made.rank == 4
    assert made.a.abs().sum() > 0
    assert made.b.abs().sum() == 0
    bias = network.bias()
    assert bias is not None
    assert (bias.a.shape, bias.b.shape) == ((3, 2, 50), (3, 2, 20))
    assert bias.b.abs().sum() == 0
    assert Hypernetwork(replace(SHAPE, bias_rank=0)).bias() is None


def test_its_parameters_are_those_of_its_sizes() -> None:
    w, k, r = 16, 3, 4
    block = (w * w * 4) + (w * 4 * w + 4 * w) + (4 * w * w + w) + 3 * 2 * w
    expected = (20 * w + w) + k * w + k * r * w + 2 * block
    expected += k * w * (50 + 20) + 2 * k * r + k * 2 * (50 + 20)
    assert Hypernetwork(SHAPE).num_parameters() == expected


def test_a_chunk_is_read_alike_whatever_is_padded_beside_it() -> None:
    network = disturbed(SHAPE)
    alone = network(ACTIVATIONS[:1, :, :5], whole(ACTIVATIONS[:1, :, :5]))
    is_token = torch.tensor([[True] * 5 + [False] * 2, [True] * 7])
    both = network(ACTIVATIONS, is_token)
    assert torch.allclose(both.a[0], alone.a[0], atol=1e-5)
    assert torch.allclose(both.b[0], alone.b[0], atol=1e-5)
    assert not torch.allclose(both.b[1], alone.b[0], atol=1e-2)


def test_the_order_of_tokens_matters() -> None:
    network = disturbed(SHAPE)
    turned = network(ACTIVATIONS.flip(2), whole(ACTIVATIONS))
    assert not torch.allclose(turned.b, network(ACTIVATIONS, whole(ACTIVATIONS)).b, atol=1e-3)


def test_activations_are_standardised_by_block_and_dimension() -> None:
    network, plain = disturbed(SHAPE), disturbed(SHAPE)
    mean, deviation = torch.randn(3, 20), torch.rand(3, 20) + 0.5
    network.standardise(mean, deviation)
    moved = ACTIVATIONS * deviation[:, None] + mean[:, None]
    found = network(moved, whole(moved))
    expected = plain(ACTIVATIONS, whole(ACTIVATIONS))
    assert torch.allclose(found.a, expected.a, atol=1e-4)
    assert torch.allclose(found.b, expected.b, atol=1e-4)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [({"rank": 0}, "rank is 0"), ({"width": 20, "heads": 4}, "width is 20 and heads 4"),
     ({"bias_rank": -1}, "bias_rank is -1")],
)  # fmt: skip
def test_sizes_that_cannot_be_are_refused(sizes, message) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(SHAPE, **sizes)


def test_a_file_gives_the_network_back(tmp_path: Path, toy_model_folder: Path) -> None:
    model = fresh_model(toy_model_folder)
    path = toy_hypernetwork(tmp_path / "h.safetensors", model, "text", 30)
    found = load_hypernetwork(path, model)
    assert (found.mode, found.chunk_tokens) == ("text", 30)
    expected = disturbed(toy_shape(model)).state_dict()
    assert set(found.network.state_dict()) == set(expected)
    assert all(found.network.state_dict()[name].equal(t) for name, t in expected.items())
    assert not any(parameter.requires_grad for parameter in found.network.parameters())


def test_a_file_of_another_model_or_kind_is_refused_by_name(
    tmp_path: Path, toy_model_folder: Path
) -> None:
    model = fresh_model(toy_model_folder)
    path = toy_hypernetwork(tmp_path / "h.safetensors", model)
    other = LanguageModel(load_toy(tmp_path / "other", seed=3))
    names = f"{model.name} .*, and this is {other.name} "
    with pytest.raises(ModelError, match=rf"h\.safetensors was trained for another model: {names}"):
        load_hypernetwork(path, other)
    kept = load_state(path)
    del kept.metadata["model"]
    save_state(tmp_path / "unnamed.safetensors", kept)
    with pytest.raises(ModelError, match=r"another model: unnamed model \(weights \w{12}\), and"):
        load_hypernetwork(tmp_path / "unnamed.safetensors", other)
    with pytest.raises(ResultsError, match=r"none\.safetensors: cannot be read"):
        load_hypernetwork(tmp_path / "none.safetensors", model)
    save_state(tmp_path / "x.safetensors", State({}, {"names": []}))
    with pytest.raises(ResultsError, match=r"x\.safetensors is no hypernetwork"):
        load_hypernetwork(tmp_path / "x.safetensors", model)
    kept = load_state(path)
    save_state(path, State(kept.tensors, {**kept.metadata, "version": 9}))
    with pytest.raises(ResultsError, match="has version 9; this program reads 1"):
        load_hypernetwork(path, model)
