"""Rows in the xLAM row schema: local JSON, JSON Lines and Parquet files, and Hub data sets.

Source of the schema: Liu et al., "APIGen: Automated Pipeline for Generating Verifiable and Diverse
Function-Calling Datasets", NeurIPS 2024 (Salesforce/xlam-function-calling-60k).
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from compositional.errors import DataError
from compositional.files import (
    canonical_json,
    check_file,
    read_json_lines,
    read_json_list,
    read_text,
    sha256_file,
    sha256_text,
)
from compositional.tasks.rows import Row, Source, xlam_row

SUFFIXES = (".json", ".jsonl", ".parquet")
Records = list[tuple[str, Any]]
"""Records, each with its place, such as `line 3` or `record 3`, from 1."""


def read_file(path: Path) -> Source:
    """Return the rows of a local file.

    Args:
        path: A `.jsonl` file, a `.json` file (one list, or a row a line), or a `.parquet` file.

    Raises:
        DataError: If the file is missing, or a row malformed; its line or record is named.
    """
    check_file(path)
    if path.suffix == ".parquet":
        records = _read_parquet(path)
    elif path.suffix == ".json" and _begins_list(path):
        records = read_json_list(path)
    else:
        records = [(f"line {number}", record) for number, record in read_json_lines(path)]
        if len(records) == 1 and isinstance(records[0][1], list):
            raise DataError(f"{path}: holds one list, not a row a line: name the file .json")
    if not records:
        raise DataError(f"{path}: holds no rows")
    rows = _rows(str(path), records)
    return Source(path.name, None, sha256_file(path), "not stated", rows, {})


def read_hub(name: str, revision: str | None) -> Source:
    """Return the rows of a Hub data set's `train` split; code in its repository is never run.

    Args:
        name: Hub id, or a local folder laid out as one.
        revision: Commit, branch or tag; None for the newest.

    Raises:
        DataError: If it cannot be had (it may be gated), or a row is malformed; named.
    """
    import datasets

    try:
        data = datasets.load_dataset(name, revision=revision, split="train")
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DataError(why_not(name, error)) from error
    records = _numbered(data)
    licence = (data.info.license or "not stated").strip()
    content = sha256_text("\n".join(canonical_json(record) for _, record in records))
    return Source(name, revision, content, licence, _rows(name, records), {})


def why_not(name: str, error: Exception) -> str:
    """Return one line on why a Hub data set cannot be read."""
    text = " ".join(str(error).split())
    if any(word in text for word in ("gated", "authenticated", "401 Client", "403 Client")):
        return (
            f"{name} is gated and no token that may read it was found: accept its terms on its "
            "page, then set HF_TOKEN or log in with 'hf auth login'"
        )
    return f"{name} cannot be read from the Hub: {text[:300]}"


def _read_parquet(path: Path) -> Records:
    import datasets

    with tempfile.TemporaryDirectory() as cache:
        try:
            data = datasets.Dataset.from_parquet(str(path), cache_dir=cache, keep_in_memory=True)
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            raise DataError(
                f"{path}: cannot be read as Parquet: {' '.join(str(error).split())[:300]}"
            ) from error
        return _numbered(data)


def _begins_list(path: Path) -> bool:
    return read_text(path).lstrip().startswith("[")


def _numbered(records: Iterable[Any]) -> Records:
    return [(f"record {number}", record) for number, record in enumerate(records, start=1)]


def _rows(name: str, records: Records) -> tuple[Row, ...]:
    """Turn records into rows, named by their own ids where these are there and differ."""
    ids = [record.get("id") if isinstance(record, dict) else None for _, record in records]
    given = {str(row_id) for row_id in ids if isinstance(row_id, int | str)}
    rows = []
    for number, ((place, record), row_id) in enumerate(zip(records, ids, strict=True), start=1):
        try:
            rows.append(xlam_row(record, str(row_id if len(given) == len(ids) else number)))
        except RecursionError as error:
            raise DataError(f"{name}: {place}: malformed row: nested too deeply") from error
        except ValueError as error:
            reason = str(error).split("; use sys.")[0]  # Python's advice on long numbers
            raise DataError(f"{name}: {place}: malformed row: {reason}") from error
    return tuple(rows)
