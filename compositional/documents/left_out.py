"""What of a source is not read, or is neither taught nor asked about: a line with its count."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from compositional.documents.reading import SUFFIXES, passed_over
from compositional.documents.types import QuestionedDocument

MOST_SHOWN = 5


def not_read(paths: Iterable[Path]) -> list[str]:
    """Return a line on what of some folders is not read; none where all of it is.

    Args:
        paths: Files and folders that documents were read from.

    Raises:
        DataError: If a folder cannot be read.
    """
    others = [str(file) for path in paths for file in passed_over(path)]
    if not others:
        return []
    return [f"{len(others)} not read, no {', '.join(SUFFIXES)} file: {shown(others)}"]


def without_questions(documents: Sequence[QuestionedDocument]) -> list[str]:
    """Return a line on the documents without a question, where only others are taken."""
    names = [each.document.name for each in documents if not each.questions]
    if not names:
        return []
    what = f"{len(names)} of {len(documents)} documents have no question and are left out"
    return [f"{what}: {shown(names)}"]


def shown(names: Sequence[str]) -> str:
    """Return names in a row, the first few where they are many."""
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(names[:MOST_SHOWN]) + more
