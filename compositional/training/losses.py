"""The cross-entropy of target tokens: PyTorch's, or Liger's kernel for GPUs.

Liger writes the gradient into the logits' own memory, where PyTorch keeps the log-softmax and the
gradient beside them. Its kernels are Triton's: without a GPU they run in Triton's interpreter
only, which is far slower and there to check them.
"""

import importlib.util
import os

import torch
from torch import Tensor
from torch.nn import functional

from compositional.errors import ConfigError
from compositional.settings import LIGER


def summed_cross_entropy(logits: Tensor, targets: Tensor, kernel: str) -> Tensor:
    """Return the summed cross-entropy of tokens, in nats and fp32.

    Args:
        logits: [t, V + m], of which Liger overwrites fp32 ones: nothing else may read them later.
        targets: [t].
        kernel: `torch` or `liger`.
    """
    if kernel == LIGER:
        from liger_kernel.transformers.functional import liger_cross_entropy

        loss: Tensor = liger_cross_entropy(logits.float(), targets, reduction="sum")
        return loss
    return functional.cross_entropy(logits.float(), targets, reduction="sum")


def check_kernel(kernel: str, device: torch.device) -> None:
    """Refuse Liger's kernel where it cannot run.

    Raises:
        ConfigError: If liger-kernel is not installed, or the device is no GPU.
    """
    if kernel != LIGER:
        return
    if importlib.util.find_spec("liger_kernel") is None:
        raise ConfigError(
            "training.cross_entropy liger needs the package liger-kernel: "
            "pip install -r requirements-gpu.txt"
        )
    if device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        raise ConfigError(
            f"training.cross_entropy liger cannot run on {device}: its kernels need a GPU; "
            "take torch"
        )
