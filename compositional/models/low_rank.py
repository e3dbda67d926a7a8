"""Low-rank updates of the last blocks' MLPs: the matrices, how several become one, their names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from compositional.models.adapters import LoraSettings
from compositional.models.blocks import blocks_of, mlp_of, output_name_of, output_of


@dataclass(frozen=True)
class LowRank:
    """What is added to the last matrices of K blocks' MLPs: for an input x, b^T (a x) in each.

    Attributes:
        a: [..., K, r, d_in].
        b: [..., K, r, d].
    """

    a: Tensor
    b: Tensor

    @property
    def rank(self) -> int:
        """The rank r."""
        return int(self.a.shape[-2])

    def part(self, block: int) -> "LowRank":
        """Return the update of one block: a [..., r, d_in], b [..., r, d]."""
        return LowRank(self.a[..., block, :, :], self.b[..., block, :, :])


def compose(parts: Sequence[LowRank]) -> LowRank:
    """Lay updates side by side along the rank: what they add, added up, and nothing else."""
    a = torch.cat([part.a for part in parts], dim=-2)
    return LowRank(a, torch.cat([part.b for part in parts], dim=-2))


def mean_update(parts: Iterable[LowRank]) -> LowRank:
    """Return the mean of what updates add, exactly: the mean of the products b^T a.

    Args:
        parts: Updates of K blocks, [K, r, d_in] and [K, r, d], one or more.

    Returns:
        The mean products as a, [K, d, d_in], behind identities as b, [K, d, d].
    """
    products = (part.b.mT @ part.a for part in parts)
    total, count = next(products), 1
    for product in products:
        total, count = total + product, count + 1
    width = total.shape[1]
    identity = torch.eye(width, device=total.device, dtype=total.dtype)
    return LowRank(total / count, identity.expand(len(total), width, width))


def lora_settings(backbone: PreTrainedModel, num_blocks: int, rank: int) -> LoraSettings:
    """Return the shape of the adapter that holds an update of the last blocks, scaled by 1."""
    name = output_name_of(mlp_of(blocks_of(backbone)[-1]))
    indices = tuple(range(-num_blocks, 0))
    return LoraSettings(rank, float(rank), target_modules=(f"mlp.{name}",), layer_indices=indices)


def output_paths(backbone: PreTrainedModel, num_blocks: int) -> list[str]:
    """Return the full names of the last matrices of the last blocks' MLPs, nothing attached."""
    paths = {id(module): name for name, module in backbone.named_modules()}
    return [paths[id(output_of(mlp_of(block)))] for block in blocks_of(backbone)[-num_blocks:]]


def as_adapter(update: LowRank, paths: Sequence[str]) -> dict[str, Tensor]:
    """Return an update as peft names and shapes the tensors of a LoRA adapter.

    Args:
        update: Of K blocks.
        paths: The full names of the layers that it is added to.

    Returns:
        For each layer `lora_A` [r, d_in] and `lora_B` [d, r].
    """
    tensors = {}
    for block, path in enumerate(paths):
        part = update.part(block)
        tensors[f"base_model.model.{path}.lora_A.weight"] = part.a
        tensors[f"base_model.model.{path}.lora_B.weight"] = part.b.T.contiguous()
    return tensors
