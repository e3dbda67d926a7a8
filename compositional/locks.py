"""A lock on a folder that goes with its process, however it ends, and leaves nothing behind."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from compositional.errors import CompositionalError, ResultsError


@contextmanager
def hold(folder: Path, another: str = "--run or --experiment") -> Iterator[None]:
    """Hold a folder, which need not exist, for this process.

    The lock is a file beside the folder. It is removed at the end, and so are folders that were
    made for it and stayed empty.

    Args:
        folder: What is held.
        another: The flag by which a user names another folder.

    Raises:
        ResultsError: If another process holds the folder.
        CompositionalError: If the lock cannot be written.
    """
    lock = folder.with_name(f".{folder.name}.lock")
    made = [parent for parent in lock.parents[1:] if not parent.exists()]
    try:
        file = _open_locked(lock)
    except BlockingIOError as error:
        raise ResultsError(
            f"another process runs {folder}: wait for it, or name another {another}"
        ) from error
    except OSError as error:
        raise CompositionalError(f"cannot write {lock}: {error.strerror or error}") from error
    with file:
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
            with suppress(OSError):
                for parent in (lock.parent, *made):
                    parent.rmdir()


def _open_locked(lock: Path) -> IO[str]:
    """Open and lock a file; one that its last holder removed meanwhile is no lock."""
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            file = lock.open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                    return file
            except OSError:
                file.close()
                raise
            file.close()
