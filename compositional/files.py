"""Files that are whole or absent: atomic writes, hashes, and JSON that names what is wrong."""

import errno
import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from compositional.errors import CompositionalError, DataError, ResultsError

_ITEM = re.compile(r"[^\s,]")


def canonical_json(value: Any) -> str:
    """Return `value` as JSON with sorted keys and no blanks, so that equal values hash equally."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256_text(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block ends well.

    A reader sees the old file or the new one, never a part. The data is on the disk before the
    name changes. Parallel writers of the same file do not disturb each other, nor do those on other
    machines.

    Raises:
        CompositionalError: If the folder or the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise CompositionalError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_new(path: Path) -> None:
    """Refuse a file that is there already or cannot be written.

    Raises:
        ResultsError: If it is there.
        CompositionalError: As `check_writable`.
    """
    if path.exists():
        raise ResultsError(f"{path} exists: remove it, or name another file")
    check_writable(path)


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before what it is to hold is computed.

    Nothing stays of the trial, nor of folders that were made for it.

    Raises:
        CompositionalError: If its folder cannot be made or takes no file, or it is a folder itself.
    """
    made = [parent for parent in path.parents if not parent.exists()]
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent, prefix=path.name) as file:
            file.write(b"0")
    except OSError as error:
        raise CompositionalError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            for parent in made:
                parent.rmdir()


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically, making its folder where needed."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, indented, keys in the order given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_json_lines(path: Path, values: list[Any]) -> None:
    """Write a file of one JSON value a line atomically."""
    write_text(
        path, "".join(json.dumps(v, ensure_ascii=False, allow_nan=False) + "\n" for v in values)
    )


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: If the file is missing, is not UTF-8 or is not JSON; with its path and place.
    """
    return _parse_json(read_text(path), path, 1)


def read_json_lines(path: Path) -> list[tuple[int, Any]]:
    """Read a file of one JSON value a line; blank lines are passed over.

    Returns:
        Pairs of line number (from 1) and value.

    Raises:
        DataError: If the file is missing or a line is not JSON; with its path and line.
    """
    lines = enumerate(read_text(path).split("\n"), start=1)
    return [(number, _parse_json(line, path, number)) for number, line in lines if line.strip()]


def is_plain_name(name: str) -> bool:
    """Whether a name stays in the folder that it is put in."""
    return bool(name) and not name.startswith(".") and "/" not in name and "\\" not in name


def check_file(path: Path) -> None:
    """Refuse a path that is no file.

    Raises:
        DataError: If it is missing or a folder.
    """
    if not path.is_file():
        raise DataError(f"{path}: {'is a folder, not a file' if path.is_dir() else 'no such file'}")


def read_text(path: Path) -> str:
    """Read a UTF-8 file.

    Raises:
        DataError: If the file is missing or is not UTF-8; with its path and line.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise DataError(f"{path}: is a folder, not a file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}: line {line}: not UTF-8: byte {data[error.start]:#x}") from error


def _parse_json(text: str, path: Path, first_line: int) -> Any:
    """Parse JSON that begins at a line of a file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DataError(f"{path}: line {line}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise DataError(f"{path}: line {first_line}: JSON that is nested too deeply") from error
    except ValueError as error:  # a number of more digits than Python reads
        raise DataError(f"{path}: line {first_line}: {str(error).split(';')[0]}") from error


def read_json_list(path: Path) -> list[tuple[str, Any]]:
    """Read a JSON file that holds a list.

    Returns:
        Pairs of place, such as `line 12 (record 2)`, and item.

    Raises:
        DataError: If the file is missing, is not JSON or holds no list; with its path and place.
    """
    items = read_json(path)
    if not isinstance(items, list):
        raise DataError(f"{path}: must hold a list of records, not {type(items).__name__}")
    places = _places_of_items(read_text(path), len(items))
    return list(zip(places, items, strict=True))


def _places_of_items(text: str, num_items: int) -> Iterator[str]:
    """Yield where each item of a JSON list stands in its text."""
    decoder = json.JSONDecoder()
    end = text.index("[") + 1
    line = text.count("\n", 0, end) + 1
    for number in range(1, num_items + 1):
        begin = _ITEM.search(text, end)
        assert begin is not None, "the text holds so many items"
        line += text.count("\n", end, begin.start())
        yield f"line {line} (record {number})"
        _, stop = decoder.raw_decode(text, begin.start())
        line += text.count("\n", begin.start(), stop)
        end = stop
