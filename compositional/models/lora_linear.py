"""LoRA on a frozen packed layer in one step: the update is added into the product itself.

peft's layer multiplies by A and B, scales, and adds, each into a matrix of its own, forward and
backward; for the few rows of a step that moves more memory than the small products need. Where its
conditions do not hold, peft's own forward runs, which is also the plain version: but for rounding
the two agree.
"""

from typing import Any

import torch
from peft.tuners.lora.layer import Linear as PeftLinear
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from compositional.models.packed_linear import PackedLinear


class LoraLinear(PeftLinear):
    """peft's LoRA layer around a `PackedLinear`: y = x W^T + scale (x A^T) B^T (Hu et al. 2022)."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return the layer's product with the update of the active adapter, [..., out_features]."""
        if args or kwargs or not self._is_simple(x):
            result: Tensor = super().forward(x, *args, **kwargs)
            return result
        name = self.active_adapters[0]
        a, b = self.lora_A[name].weight, self.lora_B[name].weight
        rows = x.reshape(-1, x.shape[-1])
        product: Tensor = _LoraProduct.apply(  # type: ignore[no-untyped-call]
            rows, a, b, self.scaling[name], self.base_layer
        )
        return product.view(*x.shape[:-1], -1)

    def _is_simple(self, x: Tensor) -> bool:
        """Tell whether one plain adapter acts, without dropout, on a frozen layer of one type."""
        if self.disable_adapters or self.merged or len(self.active_adapters) != 1:
            return False
        name = self.active_adapters[0]
        if name not in self.lora_A or name in self.lora_variant or self.lora_bias.get(name):
            return False
        dropout = self.lora_dropout[name]
        layer = self.base_layer
        return (
            (isinstance(dropout, nn.Identity) or not dropout.training)
            and not any(parameter.requires_grad for parameter in layer.parameters())
            and x.dtype == layer.weight.dtype == self.lora_A[name].weight.dtype
        )


class _LoraProduct(torch.autograd.Function):
    """The product and the update on rows, [n, in_features]; gradients of rows, A and B."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, a: Tensor, b: Tensor, scale: float, layer: PackedLinear
    ) -> Tensor:
        reduced = rows @ a.T
        ctx.save_for_backward(rows, reduced, a, b)
        ctx.scale, ctx.layer = scale, layer
        return layer.multiply(rows).addmm_(reduced, b.T, alpha=scale)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradients: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        rows, reduced, a, b = ctx.saved_tensors
        needs_rows, needs_a, needs_b, _, _ = ctx.needs_input_grad
        scaled = (gradients @ b).mul_(ctx.scale)
        of_b = (reduced.T @ gradients).mul_(ctx.scale).T if needs_b else None
        of_a = scaled.T @ rows if needs_a else None
        of_rows = ctx.layer.multiply_back(gradients).addmm_(scaled, a) if needs_rows else None
        return of_rows, of_a, of_b, None, None
