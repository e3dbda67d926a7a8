"""A prefix that all prompts share: found once, computed once, held once for all of a batch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel

from compositional.models.parts import KeyValues

MIN_TOKENS = 32
ATTENTION = "compositional_shared_prefix"


def shared_prefix(prompts: Sequence[Sequence[int]]) -> list[int]:
    """Return the tokens that all prompts begin with, where computing them once is worth it.

    Every prompt keeps at least one token of its own.
    """
    if len(prompts) < 2:
        return []
    first, last = min(map(list, prompts)), max(map(list, prompts))
    pairs = zip(first[:-1], last[:-1], strict=False)
    prefix = [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    return prefix if len(prefix) >= MIN_TOKENS else []


@contextmanager
def attending_to_prefix(model: PreTrainedModel, prefix: KeyValues | None) -> Iterator[None]:
    """Let every token of a batch attend to a prefix as well, without a copy of it for each row."""
    if prefix is None:
        yield
        return

    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor,
        scaling: float | None = None,
        **_kwargs: object,
    ) -> tuple[Tensor, None]:
        states = prefix[int(module.layer_idx)]  # type: ignore[arg-type]
        return attention_with_prefix(query, key, value, attention_mask, *states, scaling), None

    before = model.config._attn_implementation
    AttentionInterface.register(ATTENTION, attend)
    model.set_attn_implementation(ATTENTION)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def attention_with_prefix(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    prefix_key: Tensor,
    prefix_value: Tensor,
    scaling: float | None = None,
) -> Tensor:
    """Attend to a shared prefix and to own keys by one softmax.

    Legend: b sequences, h query heads, g key heads, n own keys, p keys of the prefix, d size.

    Args:
        query: One token a sequence, [b, h, 1, d].
        key: Own keys, [b, g, n, d].
        value: Own values, [b, g, n, d].
        mask: Added to the scores of own keys, [b, 1, 1, n].
        prefix_key: [1, g, p, d].
        prefix_value: [1, g, p, d].
        scaling: Factor on the scores; None for 1 / sqrt(d).

    Returns:
        What each sequence read, [b, 1, h, d].
    """
    b, h, _, d = query.shape
    g = key.shape[1]
    queries = query.reshape(b, g, h // g, d)  # the query heads of a key head, side by side
    stacked = queries.transpose(0, 1).reshape(g, b * (h // g), d)
    shared = (stacked @ prefix_key[0].mT).reshape(g, b, h // g, -1).transpose(0, 1)
    scores = torch.cat([shared, queries @ key.mT], dim=-1) * (scaling or d**-0.5)
    num_shared = prefix_key.shape[2]
    scores[..., num_shared:] += mask
    weights = scores.float().softmax(dim=-1).to(query.dtype)
    over_prefix = weights[..., :num_shared].transpose(0, 1).reshape(g, b * (h // g), -1)
    read = (over_prefix @ prefix_value[0]).reshape(g, b, h // g, d).transpose(0, 1)
    read = read + weights[..., num_shared:] @ value
    return read.reshape(b, 1, h, d)
