from pathlib import Path

from compositional.documents.left_out import not_read, shown, without_questions
from compositional.documents.types import Question, QuestionedDocument
from compositional.tasks.types import Document

ASKED = (Question("q", "Who?", ("Kor",)),)


def test_names_are_shown_up_to_five() -> None:
    assert shown(["a", "b"]) == "a, b"
    assert shown(list("abcdefg")) == "a, b, c, d, e and 2 more"


def test_files_that_are_not_read_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A text.")
    assert not_read([]) == not_read([tmp_path]) == not_read([tmp_path / "a.txt"]) == []
    (tmp_path / "b.pdf").touch()
    assert not_read([tmp_path, tmp_path / "a.txt"]) == [
        f"1 not read, no .txt, .md, .jsonl, .json file: {tmp_path}/b.pdf"
    ]


def test_documents_without_a_question_are_counted() -> None:
    documents = [QuestionedDocument(Document(name, "Text."), ASKED) for name in ("a", "b")]
    assert without_questions(documents) == []
    documents.append(QuestionedDocument(Document("c", "Text.")))
    assert without_questions(documents) == ["1 of 3 documents have no question and are left out: c"]
