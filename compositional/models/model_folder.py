"""Where the weights of a named model are: converted from GGUF, a folder, or from the Hub."""

import difflib
import json
import re
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from compositional.errors import ModelError
from compositional.files import sha256_file, sha256_text
from compositional.models.model_config import DEFAULT_MODEL, ModelConfig
from compositional.models.quiet import quiet_transformers
from compositional.packages import SMOLLM2, cached_folder, smollm2_gguf

_DIGEST_FILE = "weights.sha256"
_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
_HUB_FILES_IGNORED = ["*/*", "consolidated*"]  # copies in other layouts


def model_folder(config: ModelConfig) -> Path:
    """Return the folder that holds the named model as safetensors.

    Raises:
        ModelError: If there is no such model, or it cannot be had.
    """
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
        raise ModelError(f"model '{name}' cannot be fetched: {cause(error)}") from error


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
            raise ModelError(f"{gguf} cannot be read as a GGUF model: {cause(error)}") from error
        settings = quantized.config.to_dict()
        settings.pop("quantization_config", None)
        model = type(quantized)(type(quantized.config).from_dict(settings))
        model.load_state_dict(quantized.state_dict())
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    digest = _files_sha256(sorted(folder.glob("*.safetensors")))
    (folder / _DIGEST_FILE).write_text(digest, encoding="ascii")


def weights_sha256(folder: Path, name: str) -> str:
    """Return the digest kept beside converted weights, else the one of the weights' files.

    Args:
        folder: What `model_folder` returned.
        name: The name that it was asked for by.

    Raises:
        ModelError: If the folder holds no model, or pickled weights only.
    """
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


def cause(error: Exception) -> str:
    """Return the first line of an error's text and its kind."""
    return " ".join([*str(error).strip().splitlines()[:1], f"({type(error).__name__})"])
