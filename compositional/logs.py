"""The program's log: one line a round and cell, on standard error and in a file where asked."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm

from compositional.errors import ConfigError

LOGGER = logging.getLogger("compositional")


class _AboveBars(logging.Handler):
    """Writes lines to standard error without breaking a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        tqdm.write(self.format(record), file=sys.stderr)


class _ToFile(logging.FileHandler):
    """Appends lines to a file; where that fails, says so once and appends no more."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's
        """Let go of the file."""
        LOGGER.removeHandler(self)
        LOGGER.warning(
            "cannot write the log file %s; the run goes on without it", self.baseFilename
        )

    def close(self) -> None:
        """Close the file, whatever is left to write."""
        with suppress(OSError):
            super().close()


def show_log() -> None:
    """Show the log on standard error, once."""
    if not LOGGER.handlers:
        LOGGER.addHandler(_AboveBars())
        LOGGER.setLevel(logging.INFO)


@contextmanager
def log_to(path: Path | None) -> Iterator[None]:
    """Show the log, and append it to a file while the block runs.

    Raises:
        ConfigError: If the file cannot be written.
    """
    show_log()
    if path is None:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _ToFile(path, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write the log file {path}: {error.strerror}") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        handler.close()
