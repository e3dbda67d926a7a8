"""Linear layers whose frozen weights are laid out once for oneDNN's kernels.

PyTorch multiplies fp32 matrices on a CPU by a library that orders the weights anew in every
product, which for the few rows of decoding takes longer than the product. A frozen weight is
therefore ordered once by oneDNN (as `torch.compile` does with frozen weights), and once more
transposed where gradients flow back through it. The plain layer is `nn.Linear`, of which this is
a kind; but for rounding they agree.
"""

import os
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

DTYPES = (torch.float32, torch.bfloat16)

# oneDNN compiles a kernel for each number of rows that it meets, and keeps 1,024 of them; what
# PyTorch calls it by keeps as many again. Packs and slots have a thousand numbers of rows, and a
# kernel takes 0.4 MiB: 0.4 GiB in all, where this many take 50 MiB and as little time.
KERNELS_KEPT = 128
KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


class PackedLinear(nn.Linear):
    """A linear layer that multiplies by a packed copy of its weight while that is frozen.

    The copies are made when they are first needed. A weight that trains is multiplied as it is.

    Args:
        plain: The layer to stand for; weight and bias are shared with it.
    """

    def __init__(self, plain: nn.Linear) -> None:
        has_bias = plain.bias is not None
        super().__init__(plain.in_features, plain.out_features, has_bias, device="meta")
        self.weight = plain.weight
        self.bias = plain.bias
        self.train(plain.training)
        self._packed: dict[str, tuple[int, Tensor]] = {}

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # the name that nn.Linear gives it
        """Return input @ weight.T + bias, [..., out_features]."""
        if self.weight.requires_grad or (self.bias is not None and self.bias.requires_grad):
            self.forget()
            return super().forward(input)
        if torch.is_grad_enabled() and input.requires_grad:
            product: Tensor = _Product.apply(input, self)  # type: ignore[no-untyped-call]
            return product
        return self.multiply(input)

    def multiply(self, rows: Tensor) -> Tensor:
        """Return rows @ weight.T + bias without a gradient."""
        return _linear(rows, self._pack("weight", self.weight), self.bias)

    def multiply_back(self, gradients: Tensor) -> Tensor:
        """Return gradients @ weight, the gradient of the input."""
        return _linear(gradients, self._pack("transposed", self.weight.T), None)

    def _pack(self, name: str, matrix: Tensor) -> Tensor:
        """Return a packed copy of the weight as it is now."""
        version, packed = self._packed.get(name, (None, None))
        if packed is None or version != self.weight._version:
            packed = torch.ops.mkldnn._reorder_linear_weight(matrix.detach().contiguous(), None)
            self._packed[name] = (self.weight._version, packed)
        return packed

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy of the layer takes: all but the packed copies."""
        return {**self.__dict__, "_packed": {}}

    def forget(self) -> None:
        """Drop the packed copies; for who changes a weight behind autograd's back."""
        self._packed.clear()


class _Product(torch.autograd.Function):
    """The product with a frozen weight: a gradient for the input only."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, layer: PackedLinear) -> Tensor:
        ctx.layer = layer
        return layer.multiply(rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.layer.multiply_back(gradients), None


def _linear(rows: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    result: Tensor = torch.ops.mkldnn._linear_pointwise(rows, packed, bias, "none", [], "")
    return result


def pack_linear_layers(model: nn.Module) -> None:
    """Put a packed layer in the place of every linear layer, where oneDNN is there to use it.

    Args:
        model: A frozen model on a CPU; weights of another type than fp32 or bf16 stay.
    """
    if not torch.backends.mkldnn.is_available():
        return
    for name in KERNEL_CACHES:  # read when the first kernel is made
        os.environ.setdefault(name, str(KERNELS_KEPT))
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and child.weight.dtype in DTYPES:
                setattr(parent, name, PackedLinear(child))


def forget_packed(model: nn.Module) -> None:
    """Drop all packed copies of a model whose weights were changed in place."""
    for module in model.modules():
        if isinstance(module, PackedLinear):
            module.forget()
