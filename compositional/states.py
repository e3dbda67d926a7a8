"""Saved states: tensors as safetensors, everything else as JSON in the same file.

One file, replaced whole at each save, so that a state is never half of one moment and half of
another. Nothing is unpickled.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from compositional.errors import ResultsError
from compositional.files import atomic_path, canonical_json


@dataclass(frozen=True)
class State:
    """What a method has learned: trained tensors, and JSON for the rest.

    Attributes:
        tensors: By name, without any weight of the backbone.
        metadata: JSON values, for example the names of rows or the examples of a buffer.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)


def save_state(path: Path, state: State) -> None:
    """Write a state atomically.

    Raises:
        CompositionalError: If the file cannot be written; an earlier one stays as it was.
    """
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in state.tensors.items()}
    metadata = {"json": json.dumps(state.metadata, ensure_ascii=False)}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, metadata))


def load_state(path: Path) -> State:
    """Read what `save_state` wrote.

    Raises:
        ResultsError: If the file is missing or is no such state.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads(file.metadata()["json"])
        return State(load_file(path), metadata)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error}") from error
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ResultsError(f"{path}: not a saved state of this program: {error}") from error


def state_bytes(state: State) -> int:
    """Return what a state holds: bytes of its tensors, and of the rest as JSON; 0 for nothing."""
    num_bytes = sum(tensor.nbytes for tensor in state.tensors.values())
    if state.metadata:
        num_bytes += len(canonical_json(state.metadata).encode())
    return num_bytes


def tensors_sha256(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """Return a SHA-256 over the names and bytes of tensors, in the order given."""
    digest = hashlib.sha256()
    for name, tensor in tensors:
        add_tensor(digest, name, tensor)
    return digest.hexdigest()


def add_tensor(digest: "hashlib._Hash", name: str, tensor: Tensor) -> None:
    """Add a tensor's name and bytes, of whatever type, to a digest."""
    digest.update(name.encode())
    plain = tensor.detach().cpu().contiguous().flatten()
    digest.update(plain.view(torch.uint8).numpy().data)


class Slot:
    """The place where a training in progress keeps its state.

    Args:
        path: The file; None keeps nothing.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path

    def save(self, state: State) -> None:
        """Replace the saved state."""
        if self.path is not None:
            save_state(self.path, state)

    def load(self) -> State | None:
        """Return the saved state, or None where there is none."""
        if self.path is None or not self.path.exists():
            return None
        return load_state(self.path)

    def clear(self) -> None:
        """Remove the saved state."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
