"""Settings that mean the same wherever the files that they name stand."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE_SUFFIXES = (".json", ".jsonl", ".parquet", ".gguf", ".safetensors")
LEARNED_BEFORE = ("initial", "hypernetwork")
"""Settings of methods that name a file which another command learned."""


def without_folders(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which files have their names without the folders that they stand in."""
    plain: dict[str, Any] = copy.deepcopy(dict(settings))
    data, method = plain["data"], plain["method"]
    data.pop("data_dir", None)
    for key in {"train_file", "test_file", "tool_descriptions", "source"} & set(data):
        data[key] = _file_name(data[key])
    plain["documents"]["source"] = _file_name(plain["documents"]["source"])
    plain["model"]["name"] = _file_name(plain["model"]["name"])
    while "of" in method:
        method = method["of"]
    for key in {"dense_model", *LEARNED_BEFORE} & set(method):
        method[key] = _file_name(method[key])
    return plain


def _file_name(name: str | None) -> str | None:
    """Return the last part of a path, which may be gone; any other name as it is.

    A relative path of two parts that is gone cannot be told from a Hub id.
    """
    if not name:
        return name
    path = Path(name)
    is_path = name.startswith(("/", ".", "~")) or name.count("/") > 1
    if is_path or path.suffix in FILE_SUFFIXES or path.exists():
        return path.resolve().name
    return name
