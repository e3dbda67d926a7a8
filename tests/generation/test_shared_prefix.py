import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from compositional.generation.shared_prefix import (
    MIN_TOKENS,
    attending_to_prefix,
    attention_with_prefix,
    shared_prefix,
)
from tests.toy import load_toy


@given(
    st.lists(st.integers(0, 2), min_size=30, max_size=40),
    st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), min_size=2, max_size=5),
)
def test_shared_prefix_is_the_longest_that_leaves_each_prompt_a_token(shared, tails) -> None:
    prompts = [[*shared, *tail] for tail in tails]
    prefix = shared_prefix(prompts)
    shortest = min(map(len, prompts))
    longest = next(
        length
        for length in range(shortest - 1, -1, -1)
        if len({tuple(prompt[:length]) for prompt in prompts}) == 1
    )
    assert len(prefix) == (longest if longest >= MIN_TOKENS else 0)
    assert all(prompt[: len(prefix)] == prefix and len(prefix) < len(prompt) for prompt in prompts)
    assert shared_prefix(prompts[:1]) == []


@pytest.mark.parametrize("heads", [(4, 4), (6, 2), (3, 1)])
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_one_softmax_over_prefix_and_own_keys(heads, scaling) -> None:
    """As torch attends to both, end to end, a copy of the prefix for each sequence."""
    (h, g), b, n, p, d = heads, 3, 5, 7, 8
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    query, key, value = random(b, h, 1, d), random(b, g, n, d), random(b, g, n, d)
    prefix_key, prefix_value = random(1, g, p, d), random(1, g, p, d)
    mask = torch.zeros(b, 1, 1, n)
    mask[0, ..., 2:] = mask[1, ..., 4:] = torch.finfo(torch.float32).min
    expected = functional.scaled_dot_product_attention(
        query,
        torch.cat([prefix_key.expand(b, -1, -1, -1), key], dim=2),
        torch.cat([prefix_value.expand(b, -1, -1, -1), value], dim=2),
        attn_mask=torch.cat([torch.zeros(b, 1, 1, p), mask], dim=-1),
        scale=scaling,
        enable_gqa=True,
    )
    found = attention_with_prefix(query, key, value, mask, prefix_key, prefix_value, scaling)
    torch.testing.assert_close(found, expected.transpose(1, 2), atol=1e-5, rtol=1e-4)


def test_the_models_own_attention_comes_back(tmp_path) -> None:
    model = load_toy(tmp_path).model
    before = model.config._attn_implementation
    with attending_to_prefix(model, []):
        assert model.config._attn_implementation != before
    assert model.config._attn_implementation == before
    with attending_to_prefix(model, None):
        assert model.config._attn_implementation == before
