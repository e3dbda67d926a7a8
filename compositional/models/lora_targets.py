"""Which linear layers of a model LoRA adapts: by their names, and by the blocks they stand in."""

from collections.abc import Sequence

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from compositional.errors import ConfigError

ALL = ("all-linear",)


def target_modules(model: PreTrainedModel, names: Sequence[str]) -> list[str]:
    """Return the names of the layers to adapt, as peft takes them.

    Args:
        model: The backbone.
        names: `all-linear`, or names, where need be with the module that they stand in.

    Raises:
        ConfigError: If the model has no such layer.
    """
    known = linear_names(model)
    if tuple(names) == ALL:
        return known
    for name in names:
        if name not in known and not _is_within(model, name):
            raise ConfigError(
                f"the model has no linear layer {name!r} for LoRA; it has "
                f"{', '.join(known)}, or use all-linear"
            )
    return list(names)


def target_layers(model: PreTrainedModel, indices: Sequence[int]) -> list[int]:
    """Return the indices of the blocks to adapt, from 0; empty for all.

    Args:
        model: The backbone.
        indices: From 0; negative ones count from the end.

    Raises:
        ConfigError: If the model has no such block.
    """
    num_layers: int = model.config.num_hidden_layers
    for index in indices:
        if not -num_layers <= index < num_layers:
            raise ConfigError(
                f"the model has no layer {index} for LoRA; layers go from {-num_layers} to "
                f"{num_layers - 1}"
            )
    return [index % num_layers for index in indices]


def linear_names(model: PreTrainedModel) -> list[str]:
    """Return the short names of all linear layers inside the blocks, the head left out."""
    head = model.get_output_embeddings()
    inside_head = {id(module) for module in head.modules()}
    return sorted(
        {
            name.rsplit(".", 1)[-1]
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear | Conv1D) and id(module) not in inside_head
        }
    )


def _is_within(model: PreTrainedModel, name: str) -> bool:
    """Whether a linear layer stands in a module as a dotted name says, such as `mlp.c_proj`."""
    return "." in name and any(
        full.endswith(f".{name}")
        for full, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    )
