"""Playbooks as files: versioned JSON with their documents, replaced whole, in one folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compositional.errors import ConfigError, ResultsError
from compositional.files import is_plain_name, read_json, write_json
from compositional.playbooks.playbook import Playbook
from compositional.tasks.types import Document

FORMAT = "compositional playbook"
VERSION = 1


def playbook_path(folder: Path, name: str) -> Path:
    """Return where a playbook of a name is kept.

    Raises:
        ConfigError: If the name would leave the folder.
    """
    if not is_plain_name(name):
        raise ConfigError(f"the playbook is named {name!r}; it must be a plain name without a dot")
    return folder / f"{name}.json"


def save_playbook(
    folder: Path, name: str, playbook: Playbook, documents: Sequence[Document]
) -> Path:
    """Write a playbook with the documents that it comes from; return the file.

    Raises:
        CompositionalError: If the name leaves the folder or the file cannot be written; an earlier
            file stays as it was.
    """
    path = playbook_path(folder, name)
    content = {
        "format": FORMAT,
        "version": VERSION,
        **playbook.to_json(),
        "documents": [{"name": d.name, "text": d.text} for d in documents],
    }
    write_json(path, content)
    return path


def load_playbook(folder: Path, name: str) -> tuple[Playbook, list[Document]]:
    """Read a playbook with its documents.

    Raises:
        ConfigError: If the name would leave the folder.
        DataError: If the file is missing or no JSON.
        ResultsError: If it is no playbook, or of another version.
    """
    path = playbook_path(folder, name)
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ResultsError(f"{path}: no playbook of this program")
    if content.get("version") != VERSION:
        raise ResultsError(
            f"{path} has version {content.get('version')!r}; this program reads {VERSION}"
        )
    try:
        playbook = Playbook.from_json({key: content.get(key) for key in ("next_number", "entries")})
    except ResultsError as error:
        raise ResultsError(f"{path}: {error}") from error
    return playbook, _documents(content.get("documents"), path)


def _documents(values: Any, path: Path) -> list[Document]:
    """Return a file's documents.

    Raises:
        ResultsError: If they are none.
    """
    try:
        pairs = [(value["name"], value["text"]) for value in values]
    except (TypeError, KeyError) as error:
        raise ResultsError(f"{path}: its documents have no names and texts") from error
    if not all(isinstance(part, str) for pair in pairs for part in pair):
        raise ResultsError(f"{path}: its documents have names and texts that are no texts")
    return [Document(name, text) for name, text in pairs]
