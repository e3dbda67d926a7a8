"""Documents from files, and what is said of files that hold none."""

import json
from pathlib import Path

import pytest

from compositional.documents.reading import passed_over, read_documents
from compositional.documents.types import Question
from compositional.errors import DataError
from compositional.tasks.types import Document

SQUAD = {
    "version": "1.1",
    "data": [
        {
            "title": "Marn",
            "paragraphs": [
                {
                    "context": " Marn lies on the Ebbe. ",
                    "qas": [
                        {
                            "id": "a",
                            "question": "Where does\nMarn lie?",
                            "answers": [
                                {"text": "on the Ebbe", "answer_start": 10},
                                {"text": "on the Ebbe", "answer_start": 10},
                                {"text": "the Ebbe", "answer_start": 13},
                            ],
                        },
                        {
                            "id": "b",
                            "question": "Who rules Marn?",
                            "answers": [],
                            "plausible_answers": [{"text": "the Ebbe", "answer_start": 13}],
                            "is_impossible": True,
                        },
                    ],
                },
                {"context": "Marn makes salt.", "qas": []},
            ],
        }
    ],
}


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_a_document_of_squad_is_a_paragraph(tmp_path: Path) -> None:
    first, second = read_documents(write(tmp_path / "squad.json", SQUAD))
    assert first.document == Document("Marn, paragraph 1", "Marn lies on the Ebbe.")
    assert first.questions == (
        Question("a", "Where does Marn lie?", ("on the Ebbe", "the Ebbe"), "direct"),
        Question("b", "Who rules Marn?", (), "unanswerable"),
    )
    assert first.answers == ("on the Ebbe", "the Ebbe")
    assert second.document.name == "Marn, paragraph 2"


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.txt").write_text("Second.\n")
    (tmp_path / "a.md").write_text("# First\n")
    (tmp_path / "sub" / "c.txt").write_text("Third.")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0")
    documents = [d.document for d in read_documents(tmp_path)]
    assert documents == [
        Document("a.md", "# First"),
        Document("b.txt", "Second."),
        Document("sub/c.txt", "Third."),
    ]


def test_lines_may_name_documents_and_ask(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    rows = [
        {"text": "Marn makes salt."},
        {"name": "k", "text": "Keld.", "questions": [{"question": "Who?", "answers": ["Osla"]}]},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    first, second = read_documents(path)
    assert first.document.name == "d.jsonl line 1"
    assert second.questions == (Question("k question 1", "Who?", ("Osla",)),)


def test_a_folder_is_read_whatever_the_case_and_what_is_not_read_is_known(tmp_path: Path) -> None:
    for folder in ("sub", ".git", "d.txt", "elsewhere"):
        (tmp_path / folder).mkdir()
    (tmp_path / "A.TXT").write_text("First.")
    (tmp_path / "sub" / "b.Md").write_text("Second.")
    (tmp_path / "sub" / "c.pdf").write_bytes(b"%PDF")
    (tmp_path / "README").write_text("no suffix")
    (tmp_path / ".hidden.txt").write_text("x")
    (tmp_path / ".git" / "d.json").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert [d.document.name for d in read_documents(tmp_path)] == ["A.TXT", "sub/b.Md"]
    found = [path.relative_to(tmp_path).as_posix() for path in passed_over(tmp_path)]
    assert found == ["README", "link", "sub/c.pdf"]
    assert passed_over(tmp_path / "A.TXT") == []


def test_a_mark_of_the_byte_order_is_no_text_and_a_name_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\ufeffFirst.", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(
        '{"name": "k\\nl", "text": "T."}\n{"name": null, "text": "U."}'
    )
    documents = [d.document for d in read_documents(tmp_path)]
    assert documents[0] == Document("a.txt", "First.")
    assert [document.name for document in documents[1:]] == ["k l", "b.jsonl line 2"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b" \n", r"a\.txt: is empty"),
        ("a.txt", b"", r"a\.txt: is empty"),
        ("a.txt", b"\x89PNG", r"a\.txt: line 1: not UTF-8"),
        ("a.md", b"text\0text", r"a\.md: is binary, not a text"),
        ("a.pdf", b"%PDF", r"a\.pdf: is no \.txt, \.md, \.jsonl, \.json file"),
        ("a.txt", b"\xef\xbb\xbf\n", r"a\.txt: is empty"),
        ("a.txt", "text".encode("utf-16"), r"a\.txt: line 1: not UTF-8"),
        ("a.jsonl", b"", r"a\.jsonl: holds no document"),
        ("a.jsonl", b'{"text": "a \\ud800 b"}', r"line 1: holds half of a surrogate pair"),
        ("a.jsonl", b"[1]", r"a\.jsonl: line 1: must hold an object with 'text'"),
        ("a.jsonl", b'{"text": ""}', r"a\.jsonl: line 1: is empty"),
        ("a.jsonl", b'{"text": "t", "questions": 3}', r"line 1: 'questions' must be a list"),
        (
            "a.jsonl",
            b'{"text": "t", "questions": [{"question": "q", "answers": "a"}]}',
            r"line 1: question 1: must hold 'question', a text, and 'answers', a list of texts",
        ),
        ("a.json", b"[]", r"a\.json: not SQuAD's format: TypeError"),
        ("a.json", b'{"data": []}', r"a\.json: holds no document"),
        (
            "a.json",
            b'{"data": [{"paragraphs": [{"context": "c"}]}]}',
            r"article 1, paragraph 1: not SQuAD's format: KeyError: 'qas'",
        ),
    ],
)
def test_what_holds_no_document(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_documents(path)


def test_a_folder_without_documents(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no \.txt, \.md, \.jsonl, \.json file"):
        read_documents(tmp_path)


def test_names_and_ids_stand_once(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"name": "k", "text": "One."}\n{"name": "k", "text": "Two."}')
    with pytest.raises(DataError, match="two documents are named 'k'"):
        read_documents(path)
    write(tmp_path / "one.json", SQUAD)
    again = json.loads(json.dumps(SQUAD))
    again["data"][0]["title"] = "Other"
    write(tmp_path / "two.json", again)
    path.unlink()
    with pytest.raises(DataError, match="two questions are named 'a'"):
        read_documents(tmp_path)
