"""BFCL's memory conversations as documents: what a user told, and questions asked much later.

Source: Patil et al., "The Berkeley Function Calling Leaderboard (BFCL)", ICML 2025, its category
memory; Apache-2.0. A document is what the user says in one conversation.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compositional.documents.types import Question, QuestionedDocument
from compositional.errors import DataError
from compositional.files import read_json_lines
from compositional.tasks.types import Document

QUESTIONS = "BFCL_v4_memory.json"
CONVERSATIONS = "memory_prereq_conversation"
_WORDS_IN_A_ROW = 3


def read_bfcl_memory(folder: Path) -> list[QuestionedDocument]:
    """Return the conversations with the questions about each.

    A question says which words of a user it rests on; it goes to the conversation of its scenario
    that holds the largest share of their runs of three words.

    Args:
        folder: Holds `BFCL_v4_memory.json`, `possible_answer/` with a file of that name, and
            `memory_prereq_conversation/`.

    Raises:
        DataError: If a file is missing or malformed, or a question rests on no conversation.
    """
    documents = _read_conversations(folder / CONVERSATIONS)
    asked: dict[str, list[Question]] = {document.name: [] for _, document in documents}
    expected = {record["id"]: record for record in _records(folder / "possible_answer" / QUESTIONS)}
    for record in _records(folder / QUESTIONS):
        try:
            answer = expected[record["id"]]
            own = [document for scenario, document in documents if scenario == record["scenario"]]
            question = Question(
                record["id"], record["question"][0][0]["content"], tuple(answer["ground_truth"])
            )
            asked[_resting_on(own, answer["source"], record["id"]).name].append(question)
        except (KeyError, TypeError, IndexError) as error:
            raise DataError(f"{folder / QUESTIONS}: malformed row: {error!r}") from error
    return [QuestionedDocument(document, tuple(asked[document.name])) for _, document in documents]


def _read_conversations(folder: Path) -> list[tuple[str, Document]]:
    """Return scenario and document of each conversation, in the order of files and lines."""
    documents = []
    for path in sorted(folder.glob("*.json")):
        for record in _records(path):
            try:
                turns = [message["content"] for turn in record["question"] for message in turn]
                name = f"{record['scenario']}: {record['topic']}"
                documents.append((str(record["scenario"]), Document(name, "\n".join(turns))))
            except (KeyError, TypeError) as error:
                raise DataError(f"{path}: malformed row: {error!r}") from error
    if not documents:
        raise DataError(f"{folder}: holds no conversation")
    return documents


def _records(path: Path) -> list[Any]:
    return [record for _, record in read_json_lines(path)]


def _resting_on(documents: Sequence[Document], source: str, question_id: str) -> Document:
    """Return the document that holds the most of the words that a question rests on."""
    wanted = _runs(source)
    shares = [len(wanted & _runs(document.text)) for document in documents]
    best = max(shares, default=0)
    if best == 0:
        raise DataError(f"question {question_id}: no conversation of its scenario holds its source")
    return documents[shares.index(best)]


def _runs(text: str) -> set[tuple[str, ...]]:
    """Return all runs of three words; of fewer, where there are fewer."""
    words = re.findall(r"\w+", text.lower())
    size = min(_WORDS_IN_A_ROW, len(words))
    return {tuple(words[n : n + size]) for n in range(len(words) - size + 1)}
