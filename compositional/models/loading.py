"""Models by name: the default one, a GGUF file, a local folder or a Hub id, loaded frozen.

Whatever the name, weights are read from safetensors: nothing is unpickled and no code that comes
with a model is run. A GGUF file is turned into safetensors once and kept in the cache folder.
"""

import difflib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from compositional.errors import ModelError, check_at_least
from compositional.files import sha256_file, sha256_text
from compositional.models.packed_linear import pack_linear_layers
from compositional.models.quiet import quiet_transformers
from compositional.packages import SMOLLM2, cached_folder, smollm2_gguf

DEFAULT_MODEL = "smollm2"
_DIGEST_FILE = "weights.sha256"
_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
_HUB_FILES_IGNORED = ["*/*", "consolidated*"]  # copies in other layouts


@dataclass(frozen=True)
class ModelConfig:
    """Which model to load, and how.

    Attributes:
        name: `smollm2`, the path of a GGUF file, a local folder, or a Hub id (`owner/name`).
        revision: Branch, tag or commit of a Hub model.
        dtype: Number type of the weights; `auto` is float32 on CPU and bfloat16 on CUDA.
        device: `cpu`, `cuda` or `cuda:N`; `auto` is CUDA where there is one.
        system_message: System message of every prompt, the same for every method.
        max_length: Longest sequence of prompt and answer, in tokens; a longer one is an error.
            None for the model's window.
        packed_weights: On a CPU, keep frozen matrices once more in the layout of oneDNN's kernels,
            and once again where gradients flow: faster, for up to three times the memory.
    """

    name: str = DEFAULT_MODEL
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = "auto"
    system_message: str = ""
    max_length: int | None = None
    packed_weights: bool = True

    def __post_init__(self) -> None:
        """Refuse a length that no sequence can have."""
        check_at_least("max_length", self.max_length, 1)


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
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    sha256: str
    device: torch.device
    dtype: torch.dtype

    @property
    def window_tokens(self) -> int | None:
        """The longest sequence that the model takes; None where its config does not say."""
        config: Any = self.model.config
        return getattr(config.get_text_config(), "max_position_embeddings", None)


def load_model(config: ModelConfig) -> LoadedModel:
    """Load a model and its tokenizer, frozen and in evaluation mode.

    Raises:
        ModelError: If the name is unknown, the model cannot be had, or it cannot be used.
    """
    device = _device(config.device)
    dtype = _dtype(config.dtype, device)
    folder = model_folder(config)
    digest = _weights_sha256(folder, config.name)
    with quiet_transformers():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, trust_remote_code=False
            )
        except Exception as error:  # tokenizers raises it bare
            raise ModelError(f"model '{config.name}' cannot be loaded: {_line(error)}") from error
    model.requires_grad_(False)
    model.eval()
    if config.packed_weights and device.type == "cpu":
        pack_linear_layers(model)
    return LoadedModel(model.to(device), tokenizer, config.name, digest, device, dtype)


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


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def model_folder(config: ModelConfig) -> Path:
    """Return the folder that holds the named model as safetensors."""
    path = Path(config.name).expanduser()
    if config.revision is not None and (config.name == DEFAULT_MODEL or path.exists()):
        raise ModelError(f"revision '{config.revision}' given for '{config.name}': only Hub models "
                         "have revisions; leave it out")  # fmt: skip
    if config.name == DEFAULT_MODEL:
        return cached_folder(
            f"{SMOLLM2.cache_name}-safetensors",
            lambda folder: _convert_gguf(smollm2_gguf(), folder),
        )
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelError(f"model '{config.name}': no such file")
        return cached_folder(
            f"gguf-{sha256_file(path)[:16]}-safetensors", lambda folder: _convert_gguf(path, folder)
        )
    if path.is_dir():
        return path
    if re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", config.name):
        return _hub_folder(config.name, config.revision)
    close = difflib.get_close_matches(config.name.lower(), [DEFAULT_MODEL], cutoff=0.5)
    guess = f"did you mean '{DEFAULT_MODEL}'? " if close else ""
    raise ModelError(
        f"unknown model '{config.name}': {guess}A model is '{DEFAULT_MODEL}', the path of a .gguf "
        "file, a local folder, or a Hub id such as 'owner/name'"
    )


def _hub_folder(name: str, revision: str | None) -> Path:
    """Return the local copy of a Hub model, fetching what is missing of it."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=_HUB_FILES,
                ignore_patterns=_HUB_FILES_IGNORED,
            )
        )
    except GatedRepoError as error:
        raise ModelError(
            f"model '{name}' is gated: accept its terms on its page and set HF_TOKEN to your token"
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"model '{name}' has no revision '{revision}'") from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"model '{name}' is not on the Hub, or is private and HF_TOKEN is not set"
        ) from error
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"model '{name}' is no local folder, is not in the Hub's cache, and the Hub cannot be "
            f"reached; fetch it where there is a network, or take '{DEFAULT_MODEL}'"
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"model '{name}' cannot be fetched: {_line(error)}") from error


def _convert_gguf(gguf: Path, folder: Path) -> None:
    """Write a GGUF model as float32 safetensors, with its tokenizer and the weights' digest.

    transformers refuses to save a model that it read from a GGUF file, so the weights go into a
    fresh model of the same config without the note that they were quantized.
    """
    print(f"Converting {gguf.name} to safetensors (once)", file=sys.stderr, flush=True)
    source = {"gguf_file": gguf.name, "trust_remote_code": False}
    with quiet_transformers():
        try:
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **source)
            quantized = AutoModelForCausalLM.from_pretrained(
                gguf.parent, dtype=torch.float32, **source
            )
        except Exception as error:  # tokenizers raises it bare
            raise ModelError(f"{gguf} cannot be read as a GGUF model: {_line(error)}") from error
        settings = quantized.config.to_dict()
        settings.pop("quantization_config", None)
        model = type(quantized)(type(quantized.config).from_dict(settings))
        model.load_state_dict(quantized.state_dict())
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    digest = _files_sha256(sorted(folder.glob("*.safetensors")))
    (folder / _DIGEST_FILE).write_text(digest, encoding="ascii")


def _weights_sha256(folder: Path, name: str) -> str:
    """Return the digest kept beside converted weights, else the one of the weights' files."""
    kept = folder / _DIGEST_FILE
    if kept.is_file():
        return kept.read_text(encoding="ascii")
    if not (folder / "config.json").is_file():
        raise ModelError(f"model '{name}': {folder} holds no config.json, so it is no model folder")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(
            f"model '{name}': {folder} holds no .safetensors file; pickled weights are never read"
        )
    return _files_sha256(files)


def _files_sha256(files: list[Path]) -> str:
    """Return the SHA-256 of one file, or of the names and digests of several."""
    if len(files) == 1:
        return sha256_file(files[0])
    return sha256_text(json.dumps([[file.name, sha256_file(file)] for file in files]))


def _line(error: Exception) -> str:
    """Return the first line of an error's text and its kind."""
    return " ".join([*str(error).strip().splitlines()[:1], f"({type(error).__name__})"])
