"""The playbook of a memory on the command line: kept as a file, and begun from one."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compositional.config import resolve
from compositional.document_memory import Memory, open_new
from compositional.errors import ConfigError
from compositional.memory_file import Learned, is_kept, read_kept
from compositional.methods.ace import Ace
from compositional.playbooks.files import load_playbook, playbook_path, save_playbook


def ace_of(memory: Memory) -> Ace:
    """Return the method of a memory that keeps a playbook.

    Raises:
        ConfigError: If it is another one.
    """
    if not isinstance(memory.method, Ace):
        raise ConfigError(
            f"memory {memory.folder.name!r} learns by {memory.config.method_name}, which keeps no "
            "playbook: only ace does"
        )
    return memory.method


def export(memory: Memory, folder: Path, name: str) -> tuple[Path, int]:
    """Write a memory's playbook with its documents as JSON.

    Returns:
        The file, and the number of entries in it.

    Raises:
        CompositionalError: As `save_playbook`, or if the memory keeps none.
    """
    method = ace_of(memory)
    path = save_playbook(folder, name, method.playbook, method.documents)
    return path, len(method.playbook.entries)


def begin_with(
    folder: Path, settings: Mapping[str, Any], flags: Sequence[str], playbooks: Path, name: str
) -> Memory:
    """Begin a memory with a playbook and its documents, and write it.

    Args:
        folder: Of the memory; nothing has been learned there, or all of it was forgotten.
        settings: Of the memory, as a config file holds them; its method is ace.
        flags: Laid over them.
        playbooks: Folder of playbooks.
        name: The playbook's.

    Raises:
        ConfigError: If the memory holds something, or the playbook is over its budget.
        CompositionalError: As `load_playbook`.
    """
    if is_kept(folder) and read_kept(folder).holds_something:
        raise ConfigError(
            f"memory {folder.name!r} has learned already: forget that first, or name another "
            "--memory to load into"
        )
    playbook, documents = load_playbook(playbooks, name)
    memory = open_new(folder, resolve(settings, flags))
    method = ace_of(memory)
    num_tokens = method.count_tokens(playbook.render())
    if num_tokens > method.config.playbook_tokens:
        raise ConfigError(
            f"playbook {name!r} has {num_tokens} tokens, over method.playbook_tokens "
            f"({method.config.playbook_tokens}): set it higher"
        )
    method.playbook, method.documents, memory.documents = playbook, list(documents), documents
    source = str(playbook_path(playbooks, name))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    memory.history = [
        Learned(document.name, method.count_tokens(document.text), 0, None, None, 0.0, now, source)
        for document in documents
    ]
    memory.save()
    return memory
