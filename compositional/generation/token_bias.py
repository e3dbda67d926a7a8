"""A bias on the logits of a few tokens, each until an answer has emitted it.

A constant bias would go on favouring a token that has just been written, and so repeat it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenBias:
    """What is added to the logits of some tokens while an answer holds none of them.

    Attributes:
        ids: The tokens, each once.
        values: What is added, in nats, in the order of `ids`.
    """

    ids: tuple[int, ...]
    values: tuple[float, ...]


Biases = Sequence[TokenBias | None]


def biased(logits: Tensor, biases: Biases, emitted: Sequence[Sequence[int]]) -> Tensor:
    """Return logits with the bias of each row on the tokens that its answer does not hold yet.

    Args:
        logits: What may follow, [n, V + m].
        biases: Of each row; None for none. Where no row has one, the logits come back as they are.
        emitted: The answer of each row so far.

    Returns:
        The logits, [n, V + m], in fp32 where any row has a bias.
    """
    if not any(biases):
        return logits
    added = torch.zeros(logits.shape)
    for row, bias, tokens in zip(added, biases, emitted, strict=True):
        if bias is not None:
            row[torch.tensor(bias.ids, dtype=torch.long)] = torch.tensor(bias.values)
            row[torch.tensor(list(tokens), dtype=torch.long)] = 0.0
    return logits.float() + added.to(logits.device)
