"""A Perceiver that reads the activations of a text and writes LoRA matrices: a hypernetwork.

For each of the last K blocks of a frozen model, latents read the tokens' activations by
cross-attention, as many of them as the update has ranks; the network is shared by the blocks. Each
latent, scaled to one length, becomes a row of A and a row of B by two matrices of its block. The
scalers of B begin at zero, so that an untrained network changes nothing.

Source: Charakorn et al. 2026 (Doc-to-LoRA, arXiv 2602.15902), after the Perceiver of Jaegle et al.
2021 (arXiv 2103.03206).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from compositional.errors import ConfigError, check_at_least
from compositional.models.low_rank import LowRank

LAST_WAVELENGTH = 10_000.0


@dataclass(frozen=True)
class HypernetworkShape:
    """The sizes of a hypernetwork.

    Attributes:
        num_blocks: K, how many of the model's last blocks get an update.
        model_width: d, the width of the model.
        inner_width: d_in, what the last matrix of an MLP reads.
        rank: r, latents of a block and rank of the update that a chunk of text becomes.
        bias_rank: Rank of the learned update that stands beside any text's; 0 for none.
        width: w, the width of latents and tokens.
        depth: Blocks of cross-attention and MLP.
        heads: Of the attention; they divide w.
    """

    num_blocks: int
    model_width: int
    inner_width: int
    rank: int = 8
    bias_rank: int = 8
    width: int = 128
    depth: int = 3
    heads: int = 4

    def __post_init__(self) -> None:
        """Refuse sizes that no network can have."""
        for name in ("num_blocks", "rank", "width", "depth", "heads"):
            check_at_least(name, getattr(self, name), 1)
        check_at_least("bias_rank", self.bias_rank, 0)
        if self.width % (2 * self.heads):
            raise ConfigError(
                f"width is {self.width} and heads {self.heads}; width must be a multiple of twice "
                "the heads"
            )


class Hypernetwork(nn.Module):
    """The network; see the module. Legend: n chunks of text, T tokens.

    Args:
        shape: Its sizes.
        seed: Of the first values.
    """

    def __init__(self, shape: HypernetworkShape, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape
        blocks, width = shape.num_blocks, shape.width
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.read = nn.Linear(shape.model_width, width)
            self.block_embedding = nn.Parameter(0.1 * torch.randn(blocks, 1, width))
            self.latents = nn.Parameter(torch.randn(blocks, shape.rank, width))
            self.layers = nn.ModuleList(
                PerceiverBlock(width, shape.heads) for _ in range(shape.depth)
            )
            self.head_a = _heads(blocks, width, shape.inner_width)
            self.head_b = _heads(blocks, width, shape.model_width)
            bias_a = torch.randn(blocks, shape.bias_rank, shape.inner_width)
        # With it a row of A takes an input of unit deviation to a number of unit deviation.
        self._unit = shape.inner_width**-0.5
        self.scale_a = nn.Parameter(torch.ones(blocks, shape.rank, 1))
        self.scale_b = nn.Parameter(torch.zeros(blocks, shape.rank, 1))
        self.bias_a = nn.Parameter(bias_a * self._unit)
        self.bias_b = nn.Parameter(torch.zeros(blocks, shape.bias_rank, shape.model_width))
        self.register_buffer("mean", torch.zeros(blocks, 1, shape.model_width))
        self.register_buffer("deviation", torch.ones(blocks, 1, shape.model_width))

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Set what activations are standardised by: mean and deviation, [K, d] each.

        A few dimensions of a language model are a hundred times as large as the others.
        """
        self.get_buffer("mean").copy_(mean[:, None])
        self.get_buffer("deviation").copy_(deviation[:, None].clamp(min=1e-3))

    def forward(self, activations: Tensor, is_token: Tensor) -> LowRank:
        """Return the update of each chunk.

        Args:
            activations: What enters each of the blocks, [n, K, T, d].
            is_token: Which places hold a token and no padding, [n, T].

        Returns:
            a [n, K, r, d_in] and b [n, K, r, d], in fp32.
        """
        shape = self.shape
        num_chunks, num_tokens = is_token.shape
        plain = (activations.float() - self.get_buffer("mean")) / self.get_buffer("deviation")
        tokens = self.read(plain) + self.block_embedding
        tokens = tokens + _positions(num_tokens, shape.width, tokens.device)
        tokens = tokens.flatten(0, 1)
        mask = is_token[:, None].expand(-1, shape.num_blocks, -1).flatten(0, 1)
        latents = self.latents.expand(num_chunks, -1, -1, -1).flatten(0, 1)
        for layer in self.layers:
            latents = layer(latents, tokens, mask)
        latents = latents.view(num_chunks, shape.num_blocks, shape.rank, shape.width)
        latents = functional.normalize(latents, dim=-1) * math.sqrt(shape.width)
        return LowRank(
            self.scale_a * (latents @ self.head_a), self.scale_b * (latents @ self.head_b)
        )

    def bias(self) -> LowRank | None:
        """Return the update that stands beside any text's, [K, r, ...]; None for none."""
        return LowRank(self.bias_a, self.bias_b) if self.shape.bias_rank else None

    def num_parameters(self) -> int:
        """Return how many values train."""
        return sum(parameter.numel() for parameter in self.parameters())


class PerceiverBlock(nn.Module):
    """Latents read tokens by cross-attention, then pass an MLP, both as residual branches."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_latents = nn.LayerNorm(width)
        self.norm_tokens = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, latents: Tensor, tokens: Tensor, is_token: Tensor) -> Tensor:
        """Return the latents, [n, r, w], after reading tokens [n, T, w] where `is_token` [n, T]."""
        query = self._by_head(self.query(self.norm_latents(latents)))
        key, value = self.key_value(self.norm_tokens(tokens)).chunk(2, dim=-1)
        read = functional.scaled_dot_product_attention(
            query, self._by_head(key), self._by_head(value), attn_mask=is_token[:, None, None]
        )
        latents = latents + self.out(read.transpose(1, 2).flatten(2))
        result: Tensor = latents + self.mlp(latents)
        return result

    def _by_head(self, rows: Tensor) -> Tensor:
        """Return rows [n, m, w] as [n, heads, m, w / heads]."""
        by_head: Tensor = rows.unflatten(-1, (self.heads, -1))
        return by_head.transpose(1, 2)


def _heads(blocks: int, width: int, outputs: int) -> nn.Parameter:
    """Return a matrix a block that keeps unit deviation, [K, w, outputs]."""
    return nn.Parameter(torch.randn(blocks, width, outputs) / math.sqrt(width))


def _positions(num_tokens: int, width: int, device: torch.device) -> Tensor:
    """Return sines and cosines of each place, [T, w] (Vaswani et al. 2017, section 3.5)."""
    places = torch.arange(num_tokens, device=device, dtype=torch.float32)[:, None]
    steps = torch.arange(0, width, 2, device=device, dtype=torch.float32) / width
    angles = places * LAST_WAVELENGTH**-steps
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
