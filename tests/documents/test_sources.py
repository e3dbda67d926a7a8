import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compositional.documents.config import DocumentsConfig
from compositional.documents.sources import open_documents, path_read, squad_value
from compositional.errors import DataError


def row(number: str, title: str, context: str, question: str, *answers: str) -> dict[str, Any]:
    """A row of the Hub's SQuAD: one question with its paragraph."""
    return {"id": number, "title": title, "context": context, "question": question,
            "answers": {"text": list(answers)}}  # fmt: skip


ROWS = [
    row("1", "T", "A mill.", "What?", "mill"),
    row("2", "T", "A mill.", "Who?"),
    row("3", "U", "A well.", "What?", "well"),
]


def config(source: str) -> DocumentsConfig:
    return DocumentsConfig(source=source, num_rounds=1, documents_per_round=1, untaught=1)


def test_a_folder_laid_out_as_a_hub_data_set_is_read(tmp_path: Path) -> None:
    from datasets import Dataset

    Dataset.from_list(ROWS).to_parquet(str(tmp_path / "validation.parquet"))
    found = open_documents(config(str(tmp_path)), 0)
    assert [each.document.text for each in found] == ["A mill.", "A well."]
    assert [q.answers for q in found[0].questions] == [("mill",), ()]
    assert [q.kind for q in found[0].questions] == ["direct", "unanswerable"]


def test_a_hub_that_cannot_be_reached_is_one_line() -> None:
    with pytest.raises(DataError, match="a file in SQuAD's format serves as"):
        open_documents(config("squad"), 0)


def test_rows_of_another_shape_are_one_line() -> None:
    with pytest.raises(DataError, match="x: row 2 is not SQuAD's: KeyError"):
        squad_value([ROWS[0], {"id": "2"}], "x")


def test_files_and_the_synthetic_suite_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "One.", "name": "n"}))
    assert [each.document.name for each in open_documents(config(str(path)), 0)] == ["n"]
    found = open_documents(config("synthetic"), 0)
    assert len(found) == 2
    more = open_documents(replace(config("synthetic"), untaught=5), 0)
    assert more[:2] == found


def test_only_files_and_folders_of_documents_are_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "synthetic").mkdir()
    (tmp_path / "laid_out").mkdir()
    (tmp_path / "laid_out" / "validation.parquet").touch()
    (tmp_path / "notes").mkdir()
    no_paths = ("synthetic", "laid_out", "squad", "a/b", "a/b_v1.1")
    found = {name: path_read(config(name)) for name in no_paths}
    assert found == dict.fromkeys(found)
    assert path_read(config("notes")) == Path("notes")
    assert path_read(config("a.txt")) == Path("a.txt")
    assert path_read(config("a/b.JSON")) == Path("a/b.JSON")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b_v1.1").touch()
    assert path_read(config("a/b_v1.1")) == Path("a/b_v1.1")
