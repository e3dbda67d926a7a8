"""Which slots of a memory a document may move: the highest by how it uses them.

Lin et al. 2025 (arXiv 2510.15103), section 3: a slot's score is its share c(i) / sum_j c(j) of the
document's uses times log((|B| + 1) / (df(i) + 1)), df the number of the |B| background batches
that use it (TF-IDF). For comparison the share alone, chance, or all slots.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

TF_IDF, TF, RANDOM, ALL = "tf_idf", "tf", "random", "all"
SELECTIONS = (TF_IDF, TF, RANDOM, ALL)


def tf_scores(counts: Sequence[Tensor]) -> list[Tensor]:
    """Return each slot's share of all uses, [slots] a layer.

    Args:
        counts: How often the document uses each slot, [slots] a layer.
    """
    total = sum(float(count.sum()) for count in counts)
    return [count.float() / total for count in counts]


def tf_idf_scores(
    counts: Sequence[Tensor], frequencies: Sequence[Tensor], num_batches: int
) -> list[Tensor]:
    """Return the TF-IDF of each slot, [slots] a layer.

    Args:
        counts: How often the document uses each slot, [slots] a layer.
        frequencies: In how many background batches each slot is used, likewise.
        num_batches: |B|.
    """
    return [
        tf * torch.log((num_batches + 1) / (df.to(tf) + 1))
        for tf, df in zip(tf_scores(counts), frequencies, strict=True)
    ]


def random_scores(counts: Sequence[Tensor], rng: np.random.Generator) -> list[Tensor]:
    """Return a number for each slot that says nothing of it, [slots] a layer."""
    return [torch.from_numpy(rng.random(len(count))).to(count.device) for count in counts]


def highest(scores: Sequence[Tensor], most: int) -> list[Tensor]:
    """Return the places of the highest scores over all layers together, [t] a layer.

    Args:
        scores: Of each layer, [slots].
        most: How many in all; all of them where there are no more.
    """
    flat = torch.cat(list(scores))
    taken = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
    taken[flat.topk(min(most, len(flat))).indices] = True
    return [part.nonzero().flatten() for part in taken.split([len(s) for s in scores])]
