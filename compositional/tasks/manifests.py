"""Manifests: what a set of files was made of, and whether that is what a run asks for."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compositional.errors import DataError
from compositional.files import read_json, sha256_file
from compositional.tasks.types import JsonObject

SOURCE_HASH = "source_sha256"
DATA_DIR = "data folder (--data_dir, in `compositional run` --data.data_dir)"
VERSION = 1
"""Raised when the same settings begin to give other files."""


@dataclass(frozen=True)
class FileSet:
    """Files that belong together, as asked for.

    Attributes:
        name: Its manifest is `manifest_<name>.json`.
        settings: What decides their content. Where the source was not read, its hash is None
            and any is right.
        required: Names of files, relative to the folder, without which the set is missing.
        optional: Names of files that sets made by hand may lack.
    """

    name: str
    settings: JsonObject
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def manifest(self) -> str:
        """Name of the manifest, relative to the folder."""
        return f"manifest_{self.name}.json"


def read_manifest(folder: Path, file_set: FileSet) -> JsonObject | None:
    """Return a set's manifest after checking it, or None where there is none.

    Raises:
        DataError: If its settings are not those asked for, or a file is missing or was changed.
    """
    path = folder / file_set.manifest
    if not path.is_file():
        return None
    manifest = read_json(path)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("settings"), dict):
        raise DataError(f"{path}: is no manifest of this program: remove it to build anew")
    if manifest.get("version") != VERSION:
        raise DataError(
            f"{path}: asked for version {VERSION} and found {manifest.get('version')}: "
            f"name another {DATA_DIR}"
        )
    refuse_other_settings(path, file_set.settings, manifest["settings"])
    for name, digest in manifest["files"].items():
        if not (folder / name).is_file():
            raise DataError(f"{folder / name} is missing; remove {path} to build it anew")
        if (found := sha256_file(folder / name)) != digest:
            raise DataError(
                f"{folder / name} was changed: {path.name} says sha256 {digest[:12]} and it has "
                f"{found[:12]}; remove both to build it anew"
            )
    return manifest


def all_manifests(folder: Path) -> Iterator[JsonObject]:
    """Yield the manifests of a folder, whatever they list."""
    for path in sorted(folder.glob("manifest_*.json")):
        manifest = read_json(path)
        if isinstance(manifest, dict) and {"files", "settings"} <= set(manifest):
            yield manifest


def refuse_other_settings(path: Path, asked: JsonObject, found: JsonObject) -> None:
    """Refuse files that were made with other settings than asked for, naming those that differ."""
    known = {key: value for key, value in asked.items() if (key, value) != (SOURCE_HASH, None)}
    differing = [key for key, value in known.items() if value != found.get(key)]
    if differing:
        why = "the source has changed since: " if differing == [SOURCE_HASH] else ""
        raise DataError(
            f"{path}: {why}asked for {_listed(asked, differing)} and found "
            f"{_listed(found, differing)}: ask for what is there, name another {DATA_DIR}, or "
            f"remove the folder {path.parent} to build it anew"
        )


def _listed(settings: JsonObject, keys: Sequence[str]) -> str:
    return ", ".join(f"{key} {json.dumps(settings.get(key))}" for key in keys)
