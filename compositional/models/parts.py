"""Parts of sequences in one pass: end to end in a row, each behind keys and values of its own.

A part sees the prefix that all share, what its own sequence has in the cache, and itself; nothing
of another sequence, and no padding.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from compositional.models.language_model import LanguageModel

# For each layer the keys and the values of one sequence, [1, heads, tokens, d].
KeyValues = list[tuple[Tensor, Tensor]]
MAX_PACK_TOKENS = 512


def slices_of(lengths: Sequence[int]) -> Iterator[slice]:
    """Cut sequences in their order into packs of at most `MAX_PACK_TOKENS`, or of one sequence.

    Attention costs the square of a pack's length though most of it is masked, and a matrix product
    of a few hundred rows already runs at the machine's full rate.
    """
    start, total = 0, 0
    for place, length in enumerate(lengths):
        if place > start and total + length > MAX_PACK_TOKENS:
            yield slice(start, place)
            start, total = place, 0
        total += length
    if start < len(lengths):
        yield slice(start, len(lengths))


def run_parts(
    model: LanguageModel,
    parts: Sequence[Sequence[int]],
    before: Sequence[KeyValues] = (),
    prefix: KeyValues | None = None,
    logits_to_keep: int | Tensor = 0,
) -> tuple[Tensor, list[KeyValues]]:
    """Run parts of sequences, each where its sequence goes on.

    Args:
        model: A model whose layers attend to all tokens before.
        parts: Token ids of each part, one or more.
        before: For each part what its sequence has computed behind the prefix; none for nothing.
        prefix: What all sequences begin with; None for nothing.
        logits_to_keep: Positions of the row to compute logits at, or how many last ones; 0 for all.

    Returns:
        The logits, [positions, V + m], and the keys and values of each part.
    """
    lengths = [len(part) for part in parts]
    lengths_before = [_length(states) for states in before] or [0] * len(parts)
    num_shared = _length(prefix) if prefix else 0
    cache = _joined([*([prefix] if prefix else []), *before])
    device, dtype = model.device, model.backbone.dtype
    positions = torch.cat(
        [torch.arange(n, n + m) + num_shared for n, m in zip(lengths_before, lengths, strict=True)]
    )
    mask = None  # a sequence by itself: attention knows by itself that nothing looks ahead
    if len(parts) > 1 or cache.get_seq_length() > 0:
        seen = _sees(lengths, lengths_before, num_shared)
        mask = torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, torch.finfo(dtype).min)
        mask = mask[None, None].to(device)
    logits = model.backbone(
        input_ids=torch.tensor([[token for part in parts for token in part]], device=device),
        attention_mask=mask,
        position_ids=positions[None].to(device),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=logits_to_keep,
    ).logits[0]
    own = [(k[:, :, -sum(lengths) :], v[:, :, -sum(lengths) :]) for k, v, _ in cache]
    layers = [zip(k.split(lengths, dim=2), v.split(lengths, dim=2), strict=True) for k, v in own]
    return logits, [list(states) for states in zip(*layers, strict=True)]


def _length(states: KeyValues) -> int:
    """Return how many tokens keys and values stand for."""
    return int(states[0][0].shape[2])


def _joined(states: Sequence[KeyValues]) -> DynamicCache:
    """Return a cache of several sequences, end to end."""
    if len(states) == 0:
        return DynamicCache()
    return DynamicCache(
        [
            (torch.cat([k for k, _ in layer], dim=2), torch.cat([v for _, v in layer], dim=2))
            for layer in zip(*states, strict=True)
        ]
    )


def _sees(lengths: list[int], lengths_before: list[int], num_shared: int) -> Tensor:
    """Return which keys each position may see: [positions, keys], in the order of the cache."""
    numbers = torch.arange(len(lengths))
    owner = numbers.repeat_interleave(torch.tensor(lengths))
    key_owner = torch.cat([numbers.repeat_interleave(torch.tensor(lengths_before)), owner])
    before = owner[:, None] == key_owner
    num_own = len(owner)
    before[:, -num_own:] &= torch.ones(num_own, num_own, dtype=torch.bool).tril()
    shared = torch.ones(num_own, num_shared, dtype=torch.bool)
    return torch.cat([shared, before], dim=1)
