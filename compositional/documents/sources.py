"""From a config's source to its documents with their questions."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from compositional.documents.bfcl_memory import read_bfcl_memory
from compositional.documents.config import BFCL_MEMORY, HUB_IDS, NAMED, SYNTHETIC, DocumentsConfig
from compositional.documents.reading import SUFFIXES, from_squad, read_documents
from compositional.documents.synthetic import synthetic_documents
from compositional.documents.types import QuestionedDocument
from compositional.errors import DataError
from compositional.packages import BFCL_MEMORY as BFCL_MEMORY_WHEEL
from compositional.packages import wheel_folder
from compositional.tasks.sources.xlam import why_not


def open_documents(config: DocumentsConfig, seed: int) -> list[QuestionedDocument]:
    """Return all documents of a source, in its own order.

    Args:
        config: Names the source.
        seed: Of the synthetic suite.

    Raises:
        DataError: If the source cannot be had or is malformed.
    """
    source = str(config.source)
    if source == SYNTHETIC:
        return synthetic_documents(config.num_needed, config.num_facts, seed)
    if source == BFCL_MEMORY:
        return read_bfcl_memory(wheel_folder(BFCL_MEMORY_WHEEL))
    path = path_read(config)
    if path is not None:
        return read_documents(path)
    folder = Path(source).expanduser()
    if folder.is_dir():
        return read_hub(str(folder), None)
    return read_hub(HUB_IDS.get(source, source), config.revision)


def path_read(config: DocumentsConfig) -> Path | None:
    """Return the file or folder of documents that a source is; None where it is another one."""
    source = str(config.source)
    if source in NAMED:
        return None
    path = Path(source).expanduser()
    if path.is_dir() and any(path.rglob("*.parquet")):
        return None
    is_hub = config.may_be_hub_id and path.suffix.lower() not in SUFFIXES
    return None if is_hub and not path.exists() else path


def read_hub(name: str, revision: str | None) -> list[QuestionedDocument]:
    """Read the validation split of a Hub data set of SQuAD's shape, or a folder laid out as one.

    Raises:
        DataError: If it cannot be had, or its rows are not of that shape.
    """
    import datasets

    try:
        rows = datasets.load_dataset(name, split="validation", revision=revision)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"{why_not(name, error)}; a file in SQuAD's format serves as documents.source as well"
        ) from error
    return from_squad(squad_value(rows, name), name)


def squad_value(rows: Iterable[Mapping[str, Any]], where: str) -> dict[str, Any]:
    """Return rows of one question each in SQuAD's nested format.

    Raises:
        DataError: If a row lacks a field.
    """
    articles: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for number, row in enumerate(rows, start=1):
        try:
            paragraphs = articles.setdefault(row["title"], {})
            question = {"id": row["id"], "question": row["question"]}
            texts = [{"text": text} for text in row["answers"]["text"]]
            paragraphs.setdefault(row["context"], []).append({**question, "answers": texts})
        except (KeyError, TypeError) as error:
            raise DataError(f"{where}: row {number} is not SQuAD's: {error!r}") from error
    return {
        "data": [
            {
                "title": title,
                "paragraphs": [{"context": text, "qas": qas} for text, qas in paragraphs.items()],
            }
            for title, paragraphs in articles.items()
        ]
    }
