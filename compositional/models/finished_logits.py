"""What a model does to its logits behind its head: Gemma 2 caps them, Granite scales them.

Who calls the head by itself would miss that. The model's own forward pass does it here as well,
its head being handed the hidden states that are asked about.
"""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


@torch.no_grad()
def finishes_logits(backbone: PreTrainedModel, device: torch.device) -> bool:
    """Tell whether a model's logits are not what its head gives: tried on the model itself."""
    given: list[Tensor] = []
    hook = _head(backbone).register_forward_hook(
        lambda _module, _inputs, found: given.append(found)
    )
    try:
        logits: Tensor = backbone(input_ids=_some_tokens(backbone, device), use_cache=False).logits
    finally:
        hook.remove()
    return not torch.equal(given[0].float(), logits.float())


def finished_logits(backbone: PreTrainedModel, hidden: Tensor) -> Tensor:
    """Return what a model makes of hidden states behind its last block.

    Args:
        backbone: It computes one token, and its head these states in the token's place.
        hidden: What the head is given, [..., d]; gradients flow to it.

    Returns:
        The logits, [..., V].
    """
    rows = hidden.reshape(1, -1, hidden.shape[-1])
    hook = _head(backbone).register_forward_pre_hook(lambda _module, _inputs: (rows,), prepend=True)
    try:
        ids = _some_tokens(backbone, hidden.device)[:, :1]
        logits: Tensor = backbone(input_ids=ids, use_cache=False).logits
    finally:
        hook.remove()
    return logits.reshape(*hidden.shape[:-1], -1)


def _head(backbone: PreTrainedModel) -> nn.Module:
    head: nn.Module = backbone.get_output_embeddings()
    return head


def _some_tokens(backbone: PreTrainedModel, device: torch.device) -> Tensor:
    """Return a few ids, [1, n]; those of low numbers are often padding, which has no logits."""
    return torch.arange(3, 7, device=device)[None] % int(backbone.config.vocab_size)
