"""Sets of files with a manifest each: found as asked for, or built once and never overwritten.

A manifest is written after the files that it lists, so a set is whole or has none. Processes that
share a folder build one after the other; one that was killed leaves a mark, and the next one
builds the same bytes again.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from compositional.errors import CompositionalError, DataError
from compositional.files import sha256_file, sha256_text, write_json, write_text
from compositional.tasks.manifests import (
    DATA_DIR,
    SOURCE_HASH,
    VERSION,
    FileSet,
    all_manifests,
    read_manifest,
    refuse_other_settings,
)
from compositional.tasks.types import JsonObject


@dataclass(frozen=True)
class Content:
    """What a set's files are to hold.

    Attributes:
        files: JSON values by file name.
        settings: The set's settings with every value known.
        about: What the manifest says besides.
    """

    files: dict[str, Any]
    settings: JsonObject
    about: JsonObject


def ensure(
    folder: Path,
    sets: Sequence[FileSet],
    build: Callable[[FileSet], Content],
    *,
    accept_by_hand: bool,
) -> list[JsonObject]:
    """Return the manifests of some sets; those that are missing are built first.

    Nothing is written before all contents are built.

    Args:
        folder: The data folder.
        sets: What is asked for.
        build: Gives the content of a missing set.
        accept_by_hand: Whether files of the right names without a manifest are taken as they are.
            Their manifest is made up: their hashes, `by_hand` true.

    Raises:
        DataError: If files do not match what is asked for, or some are missing.
        CompositionalError: If the folder cannot be written.
    """
    manifests = [read_manifest(folder, file_set) for file_set in sets]
    if all(manifest is not None for manifest in manifests):
        return [manifest for manifest in manifests if manifest is not None]
    with _locked(folder) as mark:
        manifests = [read_manifest(folder, file_set) for file_set in sets]
        if accept_by_hand and not mark.exists():
            manifests = _with_by_hand(folder, sets, manifests)
        contents = [
            build(file_set) if manifest is None else None
            for file_set, manifest in zip(sets, manifests, strict=True)
        ]
        new = [content for content in contents if content is not None]
        for content in new:
            _refuse_other_content(folder, content)
        _refuse_two_sources(folder, manifests, new)
        if new:
            write_text(mark, "")
        written = [
            manifest if content is None else _write(folder, file_set, content)
            for file_set, manifest, content in zip(sets, manifests, contents, strict=True)
        ]
        mark.unlink(missing_ok=True)
    return [manifest for manifest in written if manifest is not None]


def _with_by_hand(
    folder: Path, sets: Sequence[FileSet], manifests: Sequence[JsonObject | None]
) -> list[JsonObject | None]:
    """Make up the manifests of sets made by hand, all of them or none."""
    listed = {name for manifest in all_manifests(folder) for name in manifest["files"]}
    by_hand = [
        file_set
        for file_set, manifest in zip(sets, manifests, strict=True)
        if manifest is None and not listed & set(file_set.required)
    ]
    names = [name for file_set in by_hand for name in file_set.required]
    missing = [name for name in names if not (folder / name).is_file()]
    if len(missing) == len(names):
        return list(manifests)
    if missing:
        raise DataError(
            f"{folder / missing[0]} is missing beside files without a manifest: add it, "
            "or name an empty --data_dir to build all"
        )
    return [
        _by_hand(folder, file_set) if file_set in by_hand else manifest
        for file_set, manifest in zip(sets, manifests, strict=True)
    ]


def _by_hand(folder: Path, file_set: FileSet) -> JsonObject:
    names = [n for n in (*file_set.required, *file_set.optional) if (folder / n).is_file()]
    files = {name: sha256_file(folder / name) for name in names}
    return {"version": VERSION, "name": file_set.name, "by_hand": True, "files": files}


def _write(folder: Path, file_set: FileSet, content: Content) -> JsonObject:
    hashes = {}
    for name, value in content.files.items():
        text = _text(value)
        hashes[name] = sha256_text(text)
        if not (folder / name).is_file():
            write_text(folder / name, text)
    manifest = {
        "version": VERSION,
        "name": file_set.name,
        "settings": content.settings,
        **content.about,
        "files": hashes,
    }
    write_json(folder / file_set.manifest, manifest)
    return manifest


def _text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _refuse_other_content(folder: Path, content: Content) -> None:
    """Refuse to replace a file that another request made, naming both requests."""
    for name, value in content.files.items():
        path = folder / name
        if not path.is_file() or sha256_file(path) == sha256_text(_text(value)):
            continue
        for manifest in all_manifests(folder):
            if name in manifest["files"]:
                refuse_other_settings(path, content.settings, manifest["settings"])
        raise DataError(
            f"{path} is there and holds other rows than asked for (sha256 "
            f"{sha256_file(path)[:12]}, asked {sha256_text(_text(value))[:12]}): "
            f"name another {DATA_DIR}"
        )


def _refuse_two_sources(
    folder: Path, manifests: Sequence[JsonObject | None], contents: Sequence[Content]
) -> None:
    """Refuse to set files beside others that were made from another state of the source."""
    found = {m["settings"].get(SOURCE_HASH) for m in manifests if m and "settings" in m}
    asked = {content.settings.get(SOURCE_HASH) for content in contents}
    if found and asked - found:
        raise DataError(
            f"{folder}: holds files of a source with sha256 {min(map(str, found))[:12]} and the "
            f"one asked for has {min(map(str, asked))[:12]}: name another {DATA_DIR}"
        )


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """Hold the folder's lock; yield the path of the mark that a killed build leaves."""
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise CompositionalError(
            f"cannot write data folder {folder}: {error.strerror or error}"
        ) from error
    try:
        yield folder / ".building"
    finally:
        lock.release()
