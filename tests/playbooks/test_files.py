import json
from pathlib import Path

import pytest

from compositional.errors import CompositionalError, ConfigError, DataError, ResultsError
from compositional.playbooks.files import load_playbook, save_playbook
from compositional.playbooks.playbook import Playbook
from compositional.tasks.types import Document

BOOK = Playbook().add("facts", "Kor built the mill — in 1712.", ["mill.txt"])
DOCUMENTS = [Document("mill.txt", "Kor built the mill.\nIn 1712.")]


def test_a_file_gives_the_playbook_and_its_documents_back(tmp_path: Path) -> None:
    path = save_playbook(tmp_path, "mill", BOOK, DOCUMENTS)
    assert path == tmp_path / "mill.json"
    assert load_playbook(tmp_path, "mill") == (BOOK, DOCUMENTS)
    content = json.loads(path.read_text())
    assert (content["format"], content["version"]) == ("compositional playbook", 1)
    assert save_playbook(tmp_path, "mill", Playbook(), []) == path  # replaced whole
    assert load_playbook(tmp_path, "mill") == (Playbook(), [])


@pytest.mark.parametrize("name", ["../mill", "a/b", ".mill", "", "a\\b"])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="must be a plain name"):
        save_playbook(tmp_path / "in", name, BOOK, DOCUMENTS)
    with pytest.raises(ConfigError, match="must be a plain name"):
        load_playbook(tmp_path / "in", name)
    assert not list(tmp_path.rglob("*.json"))


def test_what_is_no_playbook_is_one_line_with_its_file(tmp_path: Path) -> None:
    path = save_playbook(tmp_path, "mill", BOOK, DOCUMENTS)
    whole = json.loads(path.read_text())
    cases: list[tuple[object, type[CompositionalError], str]] = [
        ([], ResultsError, "no playbook of this program"),
        ({**whole, "format": "x"}, ResultsError, "no playbook of this program"),
        ({**whole, "version": 2}, ResultsError, "has version 2; this program reads 1"),
        ({**whole, "entries": ["x"]}, ResultsError, r"no playbook: \$\.entries\[0\]"),
        ({**whole, "documents": [["a", "b"]]}, ResultsError, "have no names and texts"),
        ({**whole, "documents": [{"name": 1, "text": "x"}]}, ResultsError, "that are no texts"),
    ]
    for content, error, message in cases:
        path.write_text(json.dumps(content))
        with pytest.raises(error, match=rf"mill\.json.*{message}") as caught:
            load_playbook(tmp_path, "mill")
        assert "\n" not in str(caught.value)
    path.write_text("{")
    with pytest.raises(DataError, match=r"mill\.json: line 1: not JSON"):
        load_playbook(tmp_path, "mill")
    with pytest.raises(DataError, match="no such file"):
        load_playbook(tmp_path, "other")


def test_where_it_cannot_be_written_the_old_one_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CompositionalError, match="cannot write"):
        save_playbook(tmp_path / "file" / "folder", "mill", BOOK, DOCUMENTS)
    assert (tmp_path / "file").read_text() == "x"
