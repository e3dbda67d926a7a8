"""Documents from files: texts, JSON Lines, and questions in SQuAD's format.

A document of a SQuAD file is a paragraph. A text file is one document without questions. Nothing is
cut: a document that is too long for a method is refused where the method is built.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from compositional.documents.types import DIRECT, UNANSWERABLE, Question, QuestionedDocument
from compositional.errors import DataError
from compositional.files import read_json, read_json_lines, read_text
from compositional.tasks.types import Document

TEXT_SUFFIXES = (".txt", ".md")
SUFFIXES = (*TEXT_SUFFIXES, ".jsonl", ".json")


def read_documents(path: Path) -> list[QuestionedDocument]:
    """Read the documents of a file or of a folder, hidden files left out.

    Args:
        path: A `.txt` or `.md` file, a `.jsonl` file of one object a line (`text`, and where known
            `name` and `questions`, a list of objects with `question` and `answers`), a `.json`
            file in SQuAD's format, or a folder of such files, read in the order of their names.

    Raises:
        DataError: If a file is missing, empty, no text or malformed; if there is none, or two
            documents or questions have one name.
    """
    if path.is_dir():
        files, _ = _files_of(path)
        if not files:
            raise DataError(f"{path}: holds no {', '.join(SUFFIXES)} file")
        names = [file.relative_to(path).as_posix() for file in files]
    else:
        files, names = [path], [path.name]
    documents = [
        document for file, name in zip(files, names, strict=True) for document in _read(file, name)
    ]
    _check_unique(path, documents)
    return documents


def passed_over(path: Path) -> list[Path]:
    """Return what of a folder is not read: files of other kinds, and links to folders."""
    return _files_of(path)[1] if path.is_dir() else []


def _files_of(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the files of documents and all others, hidden ones in neither; sorted.

    Raises:
        DataError: If a folder in it cannot be read.
    """

    def refuse(error: OSError) -> NoReturn:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error

    files: list[Path] = []
    others: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        others += [link for name in folders if (link := Path(parent, name)).is_symlink()]
        for file in (Path(parent, name) for name in names if not name.startswith(".")):
            (files if file.suffix.lower() in SUFFIXES else others).append(file)
    return sorted(files), sorted(others)


def _read(path: Path, name: str) -> list[QuestionedDocument]:
    """Read one file."""
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        documents = list(_from_lines(path, name))
    elif suffix == ".json":
        documents = from_squad(read_json(path), str(path))
    elif suffix in TEXT_SUFFIXES:
        documents = [QuestionedDocument(_document(name, read_text(path), str(path)))]
    else:
        raise DataError(f"{path}: is no {', '.join(SUFFIXES)} file")
    if not documents:
        raise DataError(f"{path}: holds no document")
    return documents


def _from_lines(path: Path, name: str) -> Iterator[QuestionedDocument]:
    for number, record in read_json_lines(path):
        where = f"{path}: line {number}"
        if not isinstance(record, dict) or not isinstance(record.get("text"), str):
            raise DataError(f"{where}: must hold an object with 'text'")
        own = str(record.get("name") or f"{name} line {number}")
        rows = record.get("questions", [])
        if not isinstance(rows, list):
            raise DataError(f"{where}: 'questions' must be a list")
        questions = tuple(
            _question(row, f"{own} question {place}", f"{where}: question {place}")
            for place, row in enumerate(rows, start=1)
        )
        yield QuestionedDocument(_document(own, record["text"], where), questions)


def _question(row: Any, question_id: str, where: str) -> Question:
    text = row.get("question") if isinstance(row, dict) else None
    answers = row.get("answers") if isinstance(row, dict) else None
    if (
        not isinstance(text, str)
        or not text.strip()
        or not isinstance(answers, list)
        or not all(isinstance(answer, str) for answer in answers)
    ):
        raise DataError(f"{where}: must hold 'question', a text, and 'answers', a list of texts")
    return _made(str(row.get("id", question_id)), text, answers)


def from_squad(value: Any, where: str) -> list[QuestionedDocument]:
    """Return the paragraphs of a SQuAD file, versions 1.1 and 2.0, as documents.

    Source: Rajpurkar et al. 2016 (arXiv 1606.05250) and 2018 (arXiv 1806.03822).

    Args:
        value: The file's content.
        where: What errors call it.

    Raises:
        DataError: If it is not of that format; with its place.
    """
    documents = []
    place = ""
    try:
        for number, article in enumerate(value["data"], start=1):
            title = str(article.get("title", f"article {number}"))
            for index, paragraph in enumerate(article["paragraphs"], start=1):
                place = f"article {number}, paragraph {index}: "
                document = _document(
                    f"{title}, paragraph {index}", paragraph["context"], f"{where}: {place[:-2]}"
                )
                questions = tuple(_from_squad_row(row) for row in paragraph["qas"])
                documents.append(QuestionedDocument(document, questions))
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{where}: {place}not SQuAD's format: {type(error).__name__}: {error}"
        ) from error
    return documents


def _from_squad_row(row: dict[str, Any]) -> Question:
    answers = [] if row.get("is_impossible") else [answer["text"] for answer in row["answers"]]
    return _made(str(row["id"]), row["question"], answers)


def _made(question_id: str, text: str, answers: list[str]) -> Question:
    """Make a question; each answer stands once."""
    distinct = tuple(dict.fromkeys(answer.strip() for answer in answers if answer.strip()))
    kind = DIRECT if distinct else UNANSWERABLE
    return Question(question_id, " ".join(text.split()), distinct, kind)


def _document(name: str, text: str, where: str) -> Document:
    """Make a document; its name is one line, and a mark of the byte order is no part of its text.

    Raises:
        DataError: If the text is empty or holds what no text has.
    """
    if "\0" in text:
        raise DataError(f"{where}: is binary, not a text")
    if any("\ud800" <= letter <= "\udfff" for letter in name + text):
        raise DataError(f"{where}: holds half of a surrogate pair, which is no letter")
    text = text.removeprefix("\ufeff").strip()
    if not text:
        raise DataError(f"{where}: is empty")
    return Document(" ".join(name.split()), text)


def text_document(name: str, text: str) -> Document:
    """Return a text that stands in no file as a document.

    Raises:
        DataError: If name or text is empty, or holds what no text has.
    """
    if not name.strip():
        raise DataError(f"the text is named {name!r}: a name holds a letter")
    return _document(name, text, f"the text named {name!r}")


def _check_unique(path: Path, documents: list[QuestionedDocument]) -> None:
    """Refuse two documents of one name, and two questions of one id."""
    names: set[str] = set()
    ids: set[str] = set()
    for document in documents:
        for what, name, seen in (
            ("document", document.document.name, names),
            *(("question", question.id, ids) for question in document.questions),
        ):
            if name in seen:
                raise DataError(f"{path}: two {what}s are named {name!r}")
            seen.add(name)
