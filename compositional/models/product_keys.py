"""A product-key memory beside an MLP: many slots of which each token reads a few.

A token's query is cut in half, each half is compared with as many sub-keys, and a slot is a pair
of them: the k best of n x n slots are found among the k best of each half. A token's use of a slot
is k times the softmax of the k scores; several heads have sub-keys of their own and read the same
slots.

Sources: Lample et al. 2019 (product-key memory, arXiv 1907.05242), section 3.1 and figure 3;
Lin et al. 2025 (sparse memory fine-tuning, arXiv 2510.15103). There queries and keys are trained
with the model. Here they are random and frozen, so queries are whitened over other text first:
otherwise a few directions in which hidden states vary most would decide which slots are read.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from compositional.errors import ConfigError, check_at_least
from compositional.models.blocks import blocks_of, mlp_of, output_of
from compositional.models.sparse_slots import output_sizes

RIDGE = 0.01
"""Share of the mean variance that is added to every direction's before whitening."""


@dataclass(frozen=True)
class ProductKeySettings:
    """Shape of a product-key memory.

    Attributes:
        sub_keys: Sub-keys n of each half of a query; their pairs are the n x n slots.
        heads: Queries of a token, each with sub-keys of its own; all read the same slots.
        key_width: Width of a query, even.
        num_blocks: Blocks with a memory, those in the middle of the model.
    """

    sub_keys: int = 128
    heads: int = 4
    key_width: int = 64
    num_blocks: int = 1

    def __post_init__(self) -> None:
        """Refuse values that no memory can have."""
        for name in ("sub_keys", "heads", "num_blocks"):
            check_at_least(f"product_keys.{name}", getattr(self, name), 1)
        if self.key_width < 2 or self.key_width % 2:
            raise ConfigError(
                f"product_keys.key_width is {self.key_width}; it must be even, 2 or more"
            )


class ProductKeySlots:
    """The slots of one memory.

    Legend: d width of the model, h heads, w key width, n sub-keys, k slots that a head reads.

    Args:
        mlp: What it reads the MLP reads, and what it writes is added to what the MLP gives.
        k: Slots that a head reads.
        settings: Its shape.

    Raises:
        ConfigError: If there are fewer than k slots.
        ModelError: If the MLP's last matrix is not known.
    """

    def __init__(self, mlp: nn.Module, k: int, settings: ProductKeySettings) -> None:
        self.module = mlp
        self.size = settings.sub_keys**2
        self.width = output_sizes(output_of(mlp))[0]
        self.k = k
        self.shape = settings
        if k > self.size:
            raise ConfigError(f"slots_per_token is {k}; the memory has {self.size} slots")
        self._state: dict[str, Tensor] = {}

    def fit(self, inputs: Tensor, rng: np.random.Generator) -> None:
        """Draw keys and queries, the queries white over the inputs of other text.

        With Sigma = L L^T the covariance of the inputs (shrunk by `RIDGE`), inv(L) (x - mean) is
        white, and so is what a random matrix makes of it.

        Args:
            inputs: What the MLP was given, [tokens, d].
            rng: Draws keys and queries.
        """
        rows = inputs.reshape(-1, inputs.shape[-1]).double()
        mean = rows.mean(dim=0)
        centred = rows - mean
        covariance = centred.T @ centred / len(rows)
        covariance.diagonal().add_(RIDGE * covariance.diagonal().mean())
        lower = torch.linalg.cholesky(covariance)
        settings, width = self.shape, rows.shape[1]
        drawn = rng.standard_normal((settings.heads * settings.key_width, width))
        mixing = torch.from_numpy(drawn).to(rows) / width**0.5
        queries = torch.linalg.solve_triangular(lower, mixing, upper=False, left=False)
        shape = (settings.heads, 2, settings.sub_keys, settings.key_width // 2)
        keys = torch.from_numpy(rng.standard_normal(shape)).to(rows)
        self._state = {
            "mean": mean.float(),
            "queries": queries.float(),
            "keys": functional.normalize(keys, dim=-1).float(),
        }

    def read(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return which slots each head reads, and how much it uses each.

        Each half of a query is scaled to the norm sqrt(w / 2), so that all tokens read alike
        sharply: a score is the sum of two that spread by about 1.

        Args:
            inputs: What the MLP is given, [..., d].

        Returns:
            Slots and weights, [..., h, k]; the weights of a head sum to 1.
        """
        shape = self.shape
        centred = inputs.float() - self._state["mean"]
        half = shape.key_width // 2
        queries = (centred @ self._state["queries"].T).unflatten(-1, (shape.heads, 2, half))
        queries = functional.normalize(queries, dim=-1) * half**0.5
        scores = torch.einsum("...hsw,hsnw->...hsn", queries, self._state["keys"])
        best = scores.topk(min(self.k, shape.sub_keys), dim=-1)
        (first, second), (rows, columns) = best.values.unbind(-2), best.indices.unbind(-2)
        pairs = (first[..., :, None] + second[..., None, :]).flatten(-2)
        top = pairs.topk(self.k, dim=-1)
        num_best = first.shape[-1]
        row = rows.gather(-1, top.indices // num_best)
        column = columns.gather(-1, top.indices % num_best)
        return row * shape.sub_keys + column, top.values.softmax(dim=-1)

    def used(self, inputs: Tensor) -> Tensor:
        """Return the slots that each token reads, [tokens, h * k]; two heads may read the same."""
        return self.read(inputs)[0].flatten(-2).reshape(-1, self.shape.heads * self.k)

    def activity(self, inputs: Tensor) -> Tensor:
        """Return k times the weights of every slot, summed over heads, [..., n * n].

        So a slot is used by about 1, as a neuron is, and rates of neurons suit values as well.
        """
        slots, weights = self.read(inputs)
        nothing = weights.new_zeros(*weights.shape[:-2], self.size)
        return nothing.scatter_add(-1, slots.flatten(-2), self.k * weights.flatten(-2))

    def settings(self) -> dict[str, Any]:
        """Return the shape, and how many slots a head reads."""
        return {**asdict(self.shape), "slots_per_token": self.k}

    def state_dict(self) -> dict[str, Tensor]:
        """Return queries and keys, where there are any."""
        return dict(self._state)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore queries and keys."""
        device = next(self.module.parameters()).device
        self._state = {name: tensor.to(device) for name, tensor in state.items()}


def product_key_slots(
    backbone: PreTrainedModel, k: int, settings: ProductKeySettings
) -> list[ProductKeySlots]:
    """Return memories beside the MLPs of the middle blocks; see `ProductKeySlots`.

    Raises:
        ConfigError: If the model has fewer blocks.
    """
    blocks = blocks_of(backbone)
    count = settings.num_blocks
    if count > len(blocks):
        raise ConfigError(
            f"product_keys.num_blocks is {count}; this model has {len(blocks)} blocks"
        )
    first = (len(blocks) - count) // 2
    return [ProductKeySlots(mlp_of(b), k, settings) for b in blocks[first : first + count]]


def fit_memories(
    layers: Sequence[ProductKeySlots], inputs: Sequence[Sequence[Tensor]], rng: np.random.Generator
) -> None:
    """Draw queries and keys of several memories; see `ProductKeySlots.fit`.

    Args:
        layers: The memories.
        inputs: For each batch of other text what each memory's MLP was given.
        rng: Draws all of them, in order.
    """
    for place, layer in enumerate(layers):
        rows = [batch[place].reshape(-1, batch[place].shape[-1]) for batch in inputs]
        layer.fit(torch.cat(rows), rng)
