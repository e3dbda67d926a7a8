"""The blocks of a decoder and the MLP in each, whatever its family calls them."""

from torch import nn
from transformers import PreTrainedModel

from compositional.errors import ConfigError, ModelError

OUTPUT_NAMES = ("down_proj", "c_proj", "dense_4h_to_h", "fc2")
"""What families call the last matrix of an MLP: Llama, Qwen, Gemma; GPT-2; GPT-NeoX; Phi."""

POST_NORM = "post_feedforward_layernorm"


def blocks_of(model: PreTrainedModel) -> list[nn.Module]:
    """Return the blocks in the order of the computation.

    Raises:
        ModelError: If the model has no list of as many blocks as its config says.
    """
    num_blocks: int = model.config.num_hidden_layers
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == num_blocks:
            return list(module)
    raise ModelError(f"{type(model).__name__} has no list of {num_blocks} blocks")


def check_share_of_blocks(share: float) -> None:
    """Refuse a share that is none.

    Raises:
        ConfigError: If it is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"share_of_blocks is {share}; it must be above 0 and at most 1")


def num_last_blocks(model: PreTrainedModel, share: float) -> int:
    """Return how many blocks a share of them is, one or more."""
    return max(1, round(share * len(blocks_of(model))))


def mlp_of(block: nn.Module) -> nn.Module:
    """Return the MLP of a block.

    Raises:
        ModelError: If the block has none under that name.
    """
    mlp = getattr(block, "mlp", None)
    if not isinstance(mlp, nn.Module):
        raise ModelError(f"{type(block).__name__} has no module named mlp")
    return mlp


def added_by(block: nn.Module) -> nn.Module:
    """Return the module whose output a block adds to its residual stream for its MLP.

    That is the MLP, or a norm behind it, as in Gemma 2 and later and OLMo 2.
    """
    norm = getattr(block, POST_NORM, None)
    return norm if isinstance(norm, nn.Module) else mlp_of(block)


def output_of(mlp: nn.Module) -> nn.Module:
    """Return the last matrix of an MLP, which writes into the residual stream.

    Raises:
        ModelError: If the MLP has none of the known names.
    """
    return mlp.get_submodule(output_name_of(mlp))


def output_name_of(mlp: nn.Module) -> str:
    """Return what an MLP's family calls its last matrix, one of `OUTPUT_NAMES`.

    Raises:
        ModelError: If the MLP has none of the known names.
    """
    for name in OUTPUT_NAMES:
        if isinstance(getattr(mlp, name, None), nn.Module):
            return name
    raise ModelError(
        f"{type(mlp).__name__} has none of {', '.join(OUTPUT_NAMES)}: its last matrix is not known"
    )
