"""Models loaded frozen, from safetensors: nothing is unpickled, no code of a model is run."""

import gc
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from compositional.errors import ModelError
from compositional.models.model_config import ModelConfig
from compositional.models.model_folder import cause, model_folder, weights_sha256
from compositional.models.packed_linear import pack_linear_layers
from compositional.models.quiet import quiet_transformers
from compositional.shards import check_shards, shard_blocks


@dataclass(frozen=True)
class LoadedModel:
    """A frozen model in evaluation mode, with its tokenizer.

    Attributes:
        model: The model; no parameter requires a gradient.
        tokenizer: Its tokenizer.
        name: The name that it was asked for by.
        sha256: Digest of the weights' files.
        device: Where it is.
        dtype: Number type of its weights.
        is_sharded: Whether this process holds a part of each block only.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    sha256: str
    device: torch.device
    dtype: torch.dtype
    is_sharded: bool = False

    @property
    def window_tokens(self) -> int | None:
        """The longest sequence that the model takes; None where its config does not say."""
        config: Any = self.model.config
        return getattr(config.get_text_config(), "max_position_embeddings", None)


def load_model(config: ModelConfig) -> LoadedModel:
    """Load a model and its tokenizer, frozen and in evaluation mode.

    Raises:
        ModelError: If the name is unknown, the model cannot be had, or it cannot be used.
        ConfigError: If it is to be sharded over more processes than there are.
    """
    check_shards(config.shards)
    if config.shards > 1:
        gc.collect()  # models in shards are cycles: one that nothing uses would stay
    device = _device(config.device)
    dtype = _dtype(config.dtype, device)
    folder = model_folder(config)
    digest = weights_sha256(folder, config.name)
    with quiet_transformers():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, trust_remote_code=False
            )
        except Exception as error:  # tokenizers raises it bare
            raise ModelError(f"model '{config.name}' cannot be loaded: {cause(error)}") from error
    model.requires_grad_(False)
    model.eval()
    is_sharded = config.shards > 1
    if is_sharded:
        shard_blocks(model, config.shards, device)
    elif config.packed_weights and device.type == "cpu":
        pack_linear_layers(model)
    model = model.to(device)
    return LoadedModel(model, tokenizer, config.name, digest, device, dtype, is_sharded)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"device '{name}' is none: choose auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise ModelError(f"device '{name}' is not supported: choose auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"device '{name}' is not here; choose auto or cpu")
    return device


def dtype_name(dtype: torch.dtype) -> str:
    """Return what settings call a number type."""
    return str(dtype).removeprefix("torch.")


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    dtype: torch.dtype = getattr(torch, name)
    return dtype
