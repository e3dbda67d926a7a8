"""Product keys: against a search over all keys, and what whitening does to the use of slots."""

from itertools import product

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from compositional.errors import ConfigError
from compositional.models.blocks import blocks_of, mlp_of
from compositional.models.product_keys import (
    ProductKeySettings,
    ProductKeySlots,
    product_key_slots,
)
from tests.models.toy_families import CONFIGS

WIDTH = 32


def memory(k: int, **settings: int) -> ProductKeySlots:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS["llama"])
    return ProductKeySlots(mlp_of(blocks_of(model)[0]), k, ProductKeySettings(**settings))


def skewed(num_tokens: int, seed: int) -> torch.Tensor:
    """Inputs in a narrow cone: a large mean, and one direction that drowns the others."""
    torch.manual_seed(5)
    direction, mean = torch.randn(WIDTH), 10 * torch.randn(WIDTH)
    torch.manual_seed(seed)
    return mean + 20 * torch.randn(num_tokens, 1) * direction + torch.randn(num_tokens, WIDTH)


@pytest.mark.parametrize(("k", "sub_keys"), [(1, 4), (3, 4), (9, 4), (16, 4), (5, 7)])
def test_reads_the_best_of_all_pairs(k, sub_keys) -> None:
    layer = memory(k, sub_keys=sub_keys, heads=3, key_width=6)
    layer.fit(skewed(200, 1), np.random.default_rng(0))
    inputs = skewed(5, 2)
    slots, weights = layer.read(inputs)
    state = layer.state_dict()
    for token in range(5):
        query = (state["queries"] @ (inputs[token] - state["mean"])).reshape(3, 2, 3)
        for head in range(3):
            halves = [half / half.norm() * 3**0.5 for half in query[head]]
            scores = {
                row * sub_keys + column: float(
                    halves[0] @ state["keys"][head, 0, row]
                    + halves[1] @ state["keys"][head, 1, column]
                )
                for row, column in product(range(sub_keys), repeat=2)
            }
            best = sorted(scores, key=scores.__getitem__, reverse=True)[:k]
            assert slots[token, head].tolist() == best
            expected = torch.tensor([scores[slot] for slot in best]).softmax(dim=0)
            assert torch.allclose(weights[token, head], expected, atol=1e-5)


def test_activity_is_k_times_the_weights_of_all_heads() -> None:
    layer = memory(4, sub_keys=3, heads=5, key_width=4)
    layer.fit(skewed(200, 1), np.random.default_rng(0))
    inputs = skewed(6, 2)[None]
    slots, weights = layer.read(inputs)
    expected = torch.zeros(1, 6, 9)
    for token, head, place in product(range(6), range(5), range(4)):
        expected[0, token, slots[0, token, head, place]] += 4 * weights[0, token, head, place]
    assert torch.allclose(layer.activity(inputs), expected, atol=1e-6)
    assert layer.activity(inputs).sum(dim=-1) == pytest.approx(torch.full((1, 6), 20.0).numpy())
    assert layer.used(inputs).shape == (6, 20)


def test_queries_are_white_over_the_text_that_they_were_fitted_to() -> None:
    layer = memory(4, sub_keys=8, heads=2, key_width=8)
    inputs = skewed(4000, 1)
    layer.fit(inputs, np.random.default_rng(0))
    state = layer.state_dict()
    queries = (inputs - state["mean"]) @ state["queries"].T
    assert torch.allclose(queries.mean(dim=0), torch.zeros(16), atol=1e-3)
    found = queries.T @ queries / len(queries)
    rng = np.random.default_rng(0)
    mixing = torch.from_numpy(rng.standard_normal((16, WIDTH))).float() / WIDTH**0.5
    centred = (inputs - inputs.mean(dim=0)).double()
    covariance = centred.T @ centred / len(inputs)
    ridge = 0.01 * covariance.diagonal().mean() * torch.eye(WIDTH)
    lower = torch.linalg.cholesky(covariance + ridge)
    shrunk = torch.linalg.inv(lower) @ covariance @ torch.linalg.inv(lower).T
    expected = mixing @ shrunk.float() @ mixing.T
    assert torch.allclose(found, expected, atol=1e-3)


def test_whitening_spreads_the_use_of_slots() -> None:
    layer = memory(4, sub_keys=16, heads=1, key_width=16)
    rng = np.random.default_rng(0)
    layer.fit(skewed(2000, 1), rng)
    other = skewed(300, 2)
    white = int((layer.used(other).flatten().bincount(minlength=256) > 0).sum())
    plain = torch.from_numpy(rng.standard_normal((16, WIDTH))).float()
    layer.load_state_dict(
        {**layer.state_dict(), "mean": torch.zeros(WIDTH), "queries": plain},
    )
    unwhitened = int((layer.used(other).flatten().bincount(minlength=256) > 0).sum())
    assert white > 200
    assert white > 2 * unwhitened


def test_the_same_draw_gives_the_same_keys() -> None:
    states = []
    for seed in (0, 0, 1):
        layer = memory(4, sub_keys=4, heads=2, key_width=4)
        layer.fit(skewed(100, 1), np.random.default_rng(seed))
        states.append(layer.state_dict())
    first, second, third = states
    assert all(first[name].equal(tensor) for name, tensor in second.items())
    assert not first["keys"].equal(third["keys"])


def test_memories_stand_in_the_middle() -> None:
    model = AutoModelForCausalLM.from_config(CONFIGS["gpt2"])
    mlps = [mlp_of(block) for block in blocks_of(model)]
    for count, expected in ((1, mlps[1:2]), (2, mlps[1:3]), (4, mlps)):
        settings = ProductKeySettings(sub_keys=4, num_blocks=count)
        assert [s.module for s in product_key_slots(model, 2, settings)] == expected
    with pytest.raises(ConfigError, match=r"num_blocks is 5; this model has 4 blocks"):
        product_key_slots(model, 2, ProductKeySettings(sub_keys=4, num_blocks=5))


@pytest.mark.parametrize(
    ("name", "value"),
    [("sub_keys", 0), ("heads", 0), ("num_blocks", 0), ("key_width", 3), ("key_width", 0)],
)
def test_shapes_that_cannot_be_are_refused(name, value) -> None:
    with pytest.raises(ConfigError, match=f"product_keys.{name} is {value}"):
        ProductKeySettings(**{name: value})
