from pathlib import Path

import pytest

from compositional.errors import CompositionalError, DataError
from compositional.generation.answers import Answer, AnswerStore

ANSWERS = {"a": Answer((1, 2, 3), ended=True), "b": Answer((), ended=True)}
MORE = {"c": Answer((4,), ended=False)}


def store_of(model: str, *folders: Path) -> AnswerStore:
    store = AnswerStore(*folders)
    store.turn_to(model)
    return store


def test_memory_only() -> None:
    store = AnswerStore()
    assert store.get("a") is None
    store.put(ANSWERS)
    store.put(MORE)
    assert [store.get(key) for key in "abc"] == [*ANSWERS.values(), *MORE.values()]
    assert store.get("other") is None
    store.turn_to("m")  # there is no folder to read them from again
    assert store.get("a") == ANSWERS["a"]


def test_a_folder_serves_another_process(tmp_path) -> None:
    folder = tmp_path / "answers"
    first = store_of("m", folder)
    assert first.get("a") is None
    first.put(ANSWERS)
    first.put(MORE)
    first.put({})
    assert len(list(folder.iterdir())) == 2  # a file a set, and nothing half-written
    other = store_of("m", folder)
    assert [other.get(key) for key in "abc"] == [*ANSWERS.values(), *MORE.values()]
    assert other.get("missing") is None


def test_one_models_answers_are_held_and_anothers_read_again(tmp_path) -> None:
    store = store_of("model " + "1" * 20, tmp_path)
    store.put(ANSWERS)
    store.turn_to("model " + "2" * 20)
    assert store.get("a") is None
    store.put(MORE)
    store.turn_to("model " + "1" * 20)
    assert store.get("a") == ANSWERS["a"]
    assert store.get("c") is None


def test_another_run_takes_whole_sets_in_their_order_alone(tmp_path) -> None:
    first = store_of("m", tmp_path / "first", tmp_path / "shared")
    first.put(ANSWERS)
    other = store_of("m", tmp_path / "other", tmp_path / "shared")
    assert other.get("a") is None
    assert other.take_shared(["b", "a"]) == other.take_shared(["a"]) == other.take_shared([]) == {}
    assert other.take_shared(["a", "b"]) == ANSWERS
    assert other.get("a") == ANSWERS["a"]
    assert store_of("m", tmp_path / "other").get("b") == ANSWERS["b"]  # its own from now on
    assert AnswerStore(tmp_path / "third").take_shared(["a", "b"]) == {}


def test_a_broken_file_is_an_error_with_its_name(tmp_path) -> None:
    (tmp_path / "m-k.json").write_text("[")
    with pytest.raises(DataError, match=r"m-k\.json"):
        store_of("m", tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CompositionalError, match="cannot write"):
        AnswerStore(tmp_path / "file" / "answers").put(ANSWERS)
