"""The one file of a memory: settings, what was learned, the documents, the history, a digest."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compositional.errors import ConfigError, ResultsError, did_you_mean
from compositional.files import canonical_json, sha256_text
from compositional.states import State, load_state, save_state, tensors_sha256
from compositional.tasks.types import Document

FILE = "memory.safetensors"
VERSION = 2


@dataclass(frozen=True)
class Learned:
    """What the history says of a document, or of feedback on an answer.

    Attributes:
        name: The document, or whatever the method calls the feedback.
        num_tokens: Its length.
        num_steps: Optimiser steps; 0 where nothing trains.
        first_loss: Of the first step; None where nothing trains.
        last_loss: Of the last step; None where nothing trains.
        seconds: What learning took.
        when: Date and time, UTC.
        source: The file or folder that was named to learn it; empty for none.
        note: What else the method says of it; empty for nothing.
    """

    name: str
    num_tokens: int
    num_steps: int
    first_loss: float | None
    last_loss: float | None
    seconds: float
    when: str
    source: str = ""
    note: str = ""

    def __str__(self) -> str:
        """Return it in one line, without date and source."""
        trained = ""
        if self.first_loss is not None and self.last_loss is not None:
            trained = (
                f", loss {self.first_loss:.3f} to {self.last_loss:.3f} in {self.num_steps} steps"
            )
        noted = f", {self.note}" if self.note else ""
        return f"{self.name}: {self.num_tokens} tokens{trained}{noted}, {self.seconds:.1f} s"


@dataclass(frozen=True)
class Kept:
    """What the file of a memory holds.

    Attributes:
        settings: Those that the memory was made with.
        model_sha256: Of the model's weights.
        state: What the method learned.
        documents: In the order learned.
        history: A line a document, and a line for each feedback.
        model_name: What the model was called; empty in files that do not say.
    """

    settings: dict[str, Any]
    model_sha256: str
    state: State
    documents: tuple[Document, ...]
    history: tuple[Learned, ...]
    model_name: str = ""

    @property
    def holds_something(self) -> bool:
        """Whether it holds documents, feedback, or entries of a playbook without documents."""
        playbook = self.state.metadata.get("playbook", {})
        return bool(self.history or playbook.get("entries"))


def is_kept(folder: Path) -> bool:
    """Whether a folder holds a memory's file."""
    return (folder / FILE).is_file()


def check_names(documents: Sequence[Document], learned: Sequence[Document]) -> None:
    """Refuse documents to learn whose name another one has.

    Raises:
        ConfigError: With the name.
    """
    known = {document.name for document in learned}
    seen: set[str] = set()
    for name in (document.name for document in documents):
        if name in known:
            raise ConfigError(
                f"{name!r} has been learned: forget it first, or --name the other otherwise"
            )
        if name in seen:
            raise ConfigError(
                f"two documents are named {name!r}: learn one, then the other with --name"
            )
        seen.add(name)


def documents_named(words: Sequence[str], history: Sequence[Learned]) -> list[str]:
    """Return the names of the documents that words name, each once.

    Args:
        words: A document's name each, or the file or folder that documents were learned from.
        history: A line a document that has been learned.

    Raises:
        ConfigError: If a word names none; with the nearest name and the others.
    """
    found: list[str] = []
    for word in words:
        by_name = [line.name for line in history if line.name == word]
        by_source = [line.name for line in history if line.source == str(Path(word))]
        if not by_name and not by_source:
            names = [line.name for line in history]
            known = did_you_mean(word, names) if names else "no document has"
            raise ConfigError(f"{word!r} has not been learned; {known}")
        found += by_name or by_source
    return list(dict.fromkeys(found))


def write_kept(folder: Path, kept: Kept) -> None:
    """Replace a memory's file.

    Raises:
        CompositionalError: If it cannot be written; the earlier one stays as it was.
    """
    metadata = {
        "version": VERSION,
        "model": kept.model_name,
        "model_sha256": kept.model_sha256,
        "settings": kept.settings,
        "method": kept.state.metadata,
        "documents": [[document.name, document.text] for document in kept.documents],
        "history": [asdict(line) for line in kept.history],
    }
    metadata = json.loads(json.dumps(metadata))  # as it will be read: keys are texts then
    metadata["sha256"] = _digest(State(kept.state.tensors, metadata))
    save_state(folder / FILE, State(kept.state.tensors, metadata))


def read_kept(folder: Path) -> Kept:
    """Read a memory's file.

    Raises:
        ResultsError: If there is none, it is of another version, or it is damaged.
    """
    path = folder / FILE
    if not is_kept(folder):
        raise ResultsError(f"{folder} holds nothing learned yet: compositional learn FILE makes it")
    found = load_state(path)
    kept = found.metadata if isinstance(found.metadata, dict) else {}
    if kept.get("version") != VERSION:
        raise ResultsError(
            f"{path} has version {kept.get('version')}; this program reads {VERSION}"
        )
    digest = kept.pop("sha256", None)
    if digest != _digest(found):
        raise ResultsError(f"{path} is damaged: remove it and learn the documents again")
    return Kept(
        kept["settings"],
        kept["model_sha256"],
        State(found.tensors, kept["method"]),
        tuple(Document(name, text) for name, text in kept["documents"]),
        tuple(Learned(**line) for line in kept["history"]),
        kept.get("model", ""),
    )


def _digest(state: State) -> str:
    """Return a SHA-256 over tensors and metadata."""
    tensors = tensors_sha256(sorted(state.tensors.items()))
    return sha256_text(f"{tensors}{canonical_json(state.metadata)}")
