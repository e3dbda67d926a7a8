import pytest

from compositional.errors import CompositionalError, DataError
from compositional.generation.answers import Answer, AnswerStore

ANSWERS = {"a": Answer((1, 2, 3), ended=True), "b": Answer((), ended=True)}
MORE = {"c": Answer((4,), ended=False)}


def test_memory_only() -> None:
    store = AnswerStore()
    assert store.get("a") is None
    store.put(ANSWERS)
    store.put(MORE)
    assert [store.get(key) for key in "abc"] == [*ANSWERS.values(), *MORE.values()]
    assert store.get("other") is None


def test_a_folder_serves_another_process(tmp_path) -> None:
    folder = tmp_path / "answers"
    first = AnswerStore(folder)
    assert first.get("a") is None
    first.put(ANSWERS)
    first.put(MORE)
    first.put({})
    assert len(list(folder.iterdir())) == 2  # a file a set, and nothing half-written
    other = AnswerStore(folder)
    assert [other.get(key) for key in "abc"] == [*ANSWERS.values(), *MORE.values()]
    assert other.get("missing") is None


def test_another_run_takes_whole_sets_in_their_order_alone(tmp_path) -> None:
    first = AnswerStore(tmp_path / "first", tmp_path / "shared")
    first.put(ANSWERS)
    other = AnswerStore(tmp_path / "other", tmp_path / "shared")
    assert other.get("a") is None
    assert other.take_shared(["b", "a"]) == other.take_shared(["a"]) == other.take_shared([]) == {}
    assert other.take_shared(["a", "b"]) == ANSWERS
    assert other.get("a") == ANSWERS["a"]
    assert AnswerStore(tmp_path / "other").get("b") == ANSWERS["b"]  # its own from now on
    assert AnswerStore(tmp_path / "third").take_shared(["a", "b"]) == {}


def test_a_broken_file_is_an_error_with_its_name(tmp_path) -> None:
    (tmp_path / "k.json").write_text("[")
    with pytest.raises(DataError, match=r"k\.json"):
        AnswerStore(tmp_path).get("k")


def test_a_folder_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CompositionalError, match="cannot write"):
        AnswerStore(tmp_path / "file" / "answers").put(ANSWERS)
