"""First values of new memory rows."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from compositional.models.language_model import LanguageModel
from compositional.tasks.types import Skill

INITS = ("description", "mean", "orthogonal")


def initial_rows(
    init: str, model: LanguageModel, skills: Sequence[Skill], rng: np.random.Generator
) -> Tensor:
    """Return the first values of new rows, [c, d], in fp32.

    Args:
        init: `description` (the mean embedding of the tokens of a tool's name and description),
            `mean` (of all embeddings; Hewitt 2021), or `orthogonal` (random unit rows).
        model: Whose embeddings are meant.
        skills: c tools.
        rng: Draws the orthogonal rows.
    """
    weight = model.embedding
    if init == "mean":
        return weight.float().mean(dim=0).expand(len(skills), -1)
    if init == "orthogonal":
        return _orthogonal_rows(len(skills), int(weight.shape[1]), rng).to(weight.device)
    return torch.stack([model.mean_embedding(f"{s.name}: {s.description}") for s in skills])


def _orthogonal_rows(num_rows: int, width: int, rng: np.random.Generator) -> Tensor:
    """Return random unit rows, [num_rows, width]; each `width` of them are orthogonal."""
    blocks = []
    for start in range(0, num_rows, width):
        normal = rng.standard_normal((width, min(width, num_rows - start)))
        blocks.append(torch.linalg.qr(torch.from_numpy(normal)).Q.T.float())
    return torch.cat(blocks)
