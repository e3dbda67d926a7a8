"""A hypernetwork of the toy model that does something: random where a trained one has learned."""

from pathlib import Path
from typing import Any

import torch

from compositional.models.hypernetwork import Hypernetwork, HypernetworkShape
from compositional.models.hypernetwork_file import DOC, save_hypernetwork
from compositional.models.language_model import LanguageModel
from compositional.models.last_blocks import LastBlocks


def disturbed(shape: HypernetworkShape, size: float = 0.3) -> Hypernetwork:
    """A network whose scalers and bias are drawn, not zero."""
    network = Hypernetwork(shape, seed=1)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(2)
        network.scale_b.copy_(size * torch.randn_like(network.scale_b))
        network.bias_b.copy_(size * torch.randn_like(network.bias_b))
    return network.requires_grad_(False)


def toy_shape(model: LanguageModel, num_blocks: int = 2, **sizes: int) -> HypernetworkShape:
    """A few latents and one block of width 16."""
    read, written = LastBlocks(model.backbone, num_blocks).widths
    small = {"rank": 2, "bias_rank": 1, "width": 16, "depth": 1, "heads": 2}
    return HypernetworkShape(num_blocks, written, read, **{**small, **sizes})


def toy_hypernetwork(
    path: Path,
    model: LanguageModel,
    mode: str = DOC,
    chunk_tokens: int = 24,
    how: dict[str, Any] | None = None,
) -> Path:
    """Write a disturbed hypernetwork for a toy model."""
    save_hypernetwork(path, disturbed(toy_shape(model)), model, mode, chunk_tokens, how or {})
    return path
