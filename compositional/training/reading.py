"""Sequences read once by a frozen model: what enters its last blocks, and its last logits.

Where the model keeps packed sequences apart they are read end to end, behind a prefix that all
share, which is read once; else one by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from compositional.models.language_model import LanguageModel
from compositional.models.last_blocks import LastBlocks
from compositional.models.parts import KeyValues, run_parts, slices_of


@dataclass(frozen=True)
class Reading:
    """What a model made of one sequence of T tokens.

    Attributes:
        entering: What enters each of the last K blocks, [K, T, d].
        logits: Behind its last tokens, [kept, V].
    """

    entering: Tensor
    logits: Tensor


@torch.inference_mode()
def read_sequences(
    model: LanguageModel,
    blocks: LastBlocks,
    sequences: Sequence[Sequence[int]],
    kept: Sequence[int],
) -> Iterator[Reading]:
    """Read sequences in their order.

    Args:
        model: The model, nothing attached.
        blocks: Its last blocks.
        sequences: Token ids, each one or more.
        kept: Behind how many last tokens of each the logits are wanted, 1 or more.
    """
    packs = model.packs_sequences and model.attends_to_all
    shared = num_shared(sequences, kept) if packs and len(sequences) > 1 else 0
    with blocks.watched() as seen:
        prefix: KeyValues | None = None
        before: list[Tensor] = []
        if shared:
            _, (prefix,) = run_parts(model, [sequences[0][:shared]], logits_to_keep=1)
            before = [_taken(seen)]
        lengths = [len(sequence) - shared for sequence in sequences]
        singles = [slice(place, place + 1) for place in range(len(sequences))]
        for chosen in slices_of(lengths) if packs else singles:
            parts = [sequence[shared:] for sequence in sequences[chosen]]
            places = _last_places(lengths[chosen], kept[chosen]).to(model.device)
            logits, _ = run_parts(model, parts, prefix=prefix, logits_to_keep=places)
            own = _taken(seen).split(lengths[chosen], dim=1)
            for part, rows in zip(own, logits.split(list(kept[chosen])), strict=True):
                yield Reading(torch.cat([*before, part], dim=1), rows)


def num_shared(sequences: Sequence[Sequence[int]], kept: Sequence[int]) -> int:
    """Return how many tokens all sequences begin with, none of those whose logits are wanted."""
    most = min(len(ids) - count for ids, count in zip(sequences, kept, strict=True))
    columns = zip(*(sequence[:most] for sequence in sequences), strict=True)
    return len(list(takewhile(lambda tokens: len(set(tokens)) == 1, columns)))


def _taken(seen: list[Tensor]) -> Tensor:
    """Return what a pass of one row left, [K, s, d], and leave the list empty."""
    found = torch.stack([states[0] for states in seen])
    seen.clear()
    return found


def _last_places(lengths: Sequence[int], kept: Sequence[int]) -> Tensor:
    """Return the places of the last tokens of sequences that stand end to end."""
    places: list[int] = []
    end = 0
    for length, count in zip(lengths, kept, strict=True):
        end += length
        places += range(end - count, end)
    return torch.tensor(places)
