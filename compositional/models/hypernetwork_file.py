"""Trained hypernetworks as files: their tensors, their sizes, and the model that they are of."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compositional.errors import ModelError, ResultsError
from compositional.files import sha256_file
from compositional.models.hypernetwork import Hypernetwork, HypernetworkShape
from compositional.models.language_model import LanguageModel
from compositional.models.last_blocks import LastBlocks
from compositional.models.model_label import model_label
from compositional.states import State, load_state, save_state

VERSION = 1
DOC, TEXT = "doc", "text"
MODES = (DOC, TEXT)


@dataclass(frozen=True)
class TrainedHypernetwork:
    """A hypernetwork as it was read from a file.

    Attributes:
        network: The network, frozen, where the model is.
        mode: `doc`, trained on documents, or `text`, on descriptions of tasks.
        chunk_tokens: The longest chunk of text that it was trained for.
        sha256: Digest of the file.
        how: The settings that it was trained with.
    """

    network: Hypernetwork
    mode: str
    chunk_tokens: int
    sha256: str
    how: dict[str, Any]


def save_hypernetwork(
    path: Path,
    network: Hypernetwork,
    model: LanguageModel,
    mode: str,
    chunk_tokens: int,
    how: dict[str, Any],
) -> None:
    """Write a hypernetwork with its model's name and digest, and how it was trained."""
    metadata = {
        "version": VERSION,
        "model": model.name,
        "model_sha256": model.sha256,
        "shape": asdict(network.shape),
        "mode": mode,
        "chunk_tokens": chunk_tokens,
        "how": how,
    }
    save_state(path, State(dict(network.state_dict()), metadata))


def load_hypernetwork(path: Path, model: LanguageModel) -> TrainedHypernetwork:
    """Read what `save_hypernetwork` wrote.

    Raises:
        ResultsError: If the file is missing, no hypernetwork, or of another version.
        ModelError: If it was trained for another model.
    """
    state = load_state(path)
    kept = state.metadata
    if not {"version", "model_sha256", "shape", "mode", "chunk_tokens"} <= set(kept):
        raise ResultsError(
            f"{path} is no hypernetwork: compositional train-hypernetwork writes one"
        )
    if kept["version"] != VERSION:
        raise ResultsError(f"{path} has version {kept['version']}; this program reads {VERSION}")
    if kept["model_sha256"] != model.sha256:
        raise ModelError(
            f"{path} was trained for another model: "
            f"{model_label(kept.get('model'), kept['model_sha256'])}, and this is "
            f"{model_label(model.name, model.sha256)}; name a file that is of this one"
        )
    network = Hypernetwork(HypernetworkShape(**kept["shape"]))
    read, written = LastBlocks(model.backbone, network.shape.num_blocks).widths
    if (read, written) != (network.shape.inner_width, network.shape.model_width):
        raise ModelError(f"{path} does not fit the model's MLPs, of {read} and {written}")
    network.load_state_dict(state.tensors)
    network.requires_grad_(False).eval().to(model.device)
    return TrainedHypernetwork(
        network, kept["mode"], kept["chunk_tokens"], sha256_file(path), kept.get("how", {})
    )
