"""The file of a memory comes back as it was written, or is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from compositional.errors import ConfigError, ResultsError
from compositional.memory_file import (
    FILE,
    Kept,
    Learned,
    _digest,
    check_names,
    documents_named,
    read_kept,
    write_kept,
)
from compositional.states import State, load_state, save_state
from compositional.tasks.types import Document

KEPT = Kept(
    {"method": {"name": "knn_lm"}, "seed": 3},
    "5" * 64,
    State({"keys.a": torch.arange(12.0).view(3, 4).half()}, {"counts": {"2": 1, "10": 2}}),
    (Document("a", "A text, ü."), Document("b", "Another.")),
    (Learned("a", 4, 2, 3.5, 0.25, 1.125, "2026-11-22T08:00:00+00:00"),
     Learned("b", 2, 0, None, None, 0.5, "2026-11-22T08:00:01+00:00")),
    "smollm2",
)  # fmt: skip


def test_it_comes_back(tmp_path: Path) -> None:
    write_kept(tmp_path / "m", KEPT)
    found = read_kept(tmp_path / "m")
    assert found.state.tensors["keys.a"].equal(KEPT.state.tensors["keys.a"])
    assert found.state.metadata == KEPT.state.metadata
    for name in ("settings", "model_sha256", "documents", "history", "model_name"):
        assert getattr(found, name) == getattr(KEPT, name)


def test_a_file_that_does_not_name_its_model_is_read(tmp_path: Path) -> None:
    write_kept(tmp_path, KEPT)
    found = load_state(tmp_path / FILE)
    metadata = {k: v for k, v in found.metadata.items() if k not in ("model", "sha256")}
    metadata["sha256"] = _digest(State(found.tensors, metadata))
    save_state(tmp_path / FILE, State(found.tensors, metadata))
    assert read_kept(tmp_path).model_name == ""


def test_a_line_says_what_a_method_noted() -> None:
    line = KEPT.history[1]
    assert str(line) == "b: 2 tokens, 0.5 s"
    assert str(replace(line, note="1 questions")) == "b: 2 tokens, 1 questions, 0.5 s"
    assert str(KEPT.history[0]) == "a: 4 tokens, loss 3.500 to 0.250 in 2 steps, 1.1 s"


def test_keys_that_are_numbers_come_back_as_texts(tmp_path: Path) -> None:
    state = State({}, {"counts": {2: 1, 10: 2}})
    write_kept(tmp_path, Kept({}, "", state, (), ()))
    assert read_kept(tmp_path).state.metadata == {"counts": {"2": 1, "10": 2}}


def test_every_byte_counts(tmp_path: Path) -> None:
    """No flipped bit goes unseen, wherever it stands: it is refused, or nothing was changed."""
    write_kept(tmp_path, KEPT)
    path = tmp_path / FILE
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ResultsError) as caught:
            read_kept(tmp_path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 8, 100, -1])
def test_what_was_cut_off_is_refused(tmp_path: Path, length: int) -> None:
    write_kept(tmp_path, KEPT)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ResultsError, match=FILE):
        read_kept(tmp_path)


@pytest.mark.parametrize("metadata", [{}, {"version": 1}, {"version": 2}, [1]])
def test_a_state_of_another_kind_is_refused(tmp_path: Path, metadata: object) -> None:
    save_state(tmp_path / FILE, State({}, metadata))  # type: ignore[arg-type]
    with pytest.raises(ResultsError, match=r"has version|is damaged"):
        read_kept(tmp_path)


def test_what_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds nothing learned yet: compositional learn"):
        read_kept(tmp_path)


def test_a_changed_document_is_damage(tmp_path: Path) -> None:
    write_kept(tmp_path, KEPT)
    found = load_state(tmp_path / FILE)
    found.metadata["documents"][0][1] = "Something else."
    save_state(tmp_path / FILE, found)
    with pytest.raises(ResultsError, match="is damaged: remove it"):
        read_kept(tmp_path)


def test_a_line_says_what_was_trained_where_something_was() -> None:
    assert [str(line) for line in KEPT.history] == [
        "a: 4 tokens, loss 3.500 to 0.250 in 2 steps, 1.1 s",
        "b: 2 tokens, 0.5 s",
    ]


def test_names_stand_once() -> None:
    a, b = KEPT.documents
    check_names([a, b], [])
    with pytest.raises(ConfigError, match="two documents are named 'a'"):
        check_names([a, b, a], [])
    with pytest.raises(ConfigError, match="'b' has been learned: forget it first"):
        check_names([a, b], [b])


def test_documents_are_named_by_their_name_or_by_what_they_were_learned_from() -> None:
    a, b = KEPT.history
    history = [a, replace(b, source="notes"), replace(b, name="c", source="notes")]
    assert documents_named(["a"], history) == ["a"]
    assert documents_named(["notes/"], history) == ["b", "c"]
    assert documents_named(["c", "notes", "a"], history) == ["c", "b", "a"]
    with pytest.raises(ConfigError, match="'d' has not been learned; Choices: a, b, c"):
        documents_named(["a", "d"], history)
    with pytest.raises(ConfigError, match="'a' has not been learned; no document has"):
        documents_named(["a"], [])
