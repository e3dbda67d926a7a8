from typing import Any

import pytest

from compositional.errors import ConfigError
from compositional.selection import merge, select_runs

FILE = {
    "experiment": "e",
    "training": {"batch_size": 2},
    "method": {"name": "lora", "lr": 1, "adapter": {"rank": 4}},
    "runs": {
        "plain": None,
        "fast": {"method": {"lr": 2}, "training": {"batch_size": 8}},
        "rag": {"method": "rag"},
        "bound": {"method": {"name": "joint", "of": {"name": "lora", "lr": 3}}},
    },
}


def chosen(**asked: Any) -> dict[str, Any]:
    return {settings["run"]: settings["method"] for settings in select_runs(FILE, **asked)}


def test_all_runs_stand_over_what_they_share() -> None:
    runs = {settings["run"]: settings for settings in select_runs(FILE)}
    assert list(runs) == ["plain", "fast", "rag", "bound"]
    assert runs["plain"]["method"] == FILE["method"]
    assert runs["fast"]["method"] == {"name": "lora", "lr": 2, "adapter": {"rank": 4}}
    assert runs["fast"]["training"] == {"batch_size": 8}
    assert runs["rag"]["method"] == {"name": "rag"}  # nothing of the other method's
    assert runs["bound"]["method"] == {"name": "joint", "of": {"name": "lora", "lr": 3}}
    assert all(
        "runs" not in settings and settings["experiment"] == "e" for settings in runs.values()
    )


def test_one_run_by_name() -> None:
    assert list(chosen(run="fast")) == ["fast"]
    with pytest.raises(ConfigError, match="no run 'fats'; did you mean 'fast'"):
        select_runs(FILE, run="fats")


def test_some_runs_by_their_names() -> None:
    assert list(chosen(run="rag,plain")) == ["plain", "rag"]
    with pytest.raises(ConfigError, match="no run 'fats'; did you mean 'fast'"):
        select_runs(FILE, run="rag,fats")


def test_a_name_with_a_comma_is_one_run() -> None:
    runs = select_runs({"method": "lora", "runs": {"a": {}, "b": {}, "a,b": {}}}, run="a,b")
    assert [settings["run"] for settings in runs] == ["a,b"]


def test_a_method_of_the_file_chooses_its_runs() -> None:
    assert list(chosen(method="lora")) == ["plain", "fast"]
    assert list(chosen(method="joint")) == ["bound"]
    assert chosen(method="lora", run="fast") == {"fast": merge(FILE["method"], {"lr": 2})}


def test_another_method_has_its_defaults() -> None:
    assert chosen(method="icl") == {"icl": "icl"}
    assert chosen(method="icl", run="mine") == {"mine": "icl"}
    taken = select_runs(FILE, run="fast", method="icl")
    assert taken[0]["training"] == {"batch_size": 8}
    assert taken[0]["method"] == "icl"


def test_a_file_of_one_run_has_the_name_asked_for_its_own_or_its_methods() -> None:
    for file, asked, name in [
        ({"method": "lora", "run": "a"}, "b", "b"),
        ({"method": "lora", "run": "a"}, None, "a"),
        ({"method": {"name": "lora"}}, None, "lora"),
        ({}, None, "run"),
    ]:
        assert [settings["run"] for settings in select_runs(file, asked)] == [name]


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (["a"], "runs is ['a']; it must map"),
        (5, "runs is 5; it must map"),
        ({"a": 5}, "runs.a is 5; it must be a mapping"),
        ({"a": {"run": "b"}}, "runs.a sets run, which belongs to the whole file"),
        ({"a": {"experiment": "b"}}, "runs.a sets experiment"),
        ({"a": {"runs": {}}}, "runs.a sets runs"),
    ],
)
def test_runs_that_are_none_are_refused(runs: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        select_runs({"method": "lora", "runs": runs})
    assert str(caught.value).startswith(words)


def test_merging_leaves_both_sides_as_they_were() -> None:
    below, over = {"a": {"b": 1}, "c": 2}, {"a": {"d": 3}}
    assert merge(below, over) == {"a": {"b": 1, "d": 3}, "c": 2}
    assert (below, over) == ({"a": {"b": 1}, "c": 2}, {"a": {"d": 3}})


def test_only_methods_are_replaced_whole_by_another_name() -> None:
    assert merge({"model": {"name": "a", "dtype": "x"}}, {"model": {"name": "b"}}) == {
        "model": {"name": "b", "dtype": "x"}
    }
    assert merge({"method": {"lr": 1}}, {"method": "lora"}) == {"method": {"lr": 1, "name": "lora"}}
    assert merge({"method": "lora"}, {"method": {"lr": 1}}) == {"method": {"name": "lora", "lr": 1}}
    of = {"method": {"name": "joint", "of": {"name": "lora", "lr": 1}}}
    assert merge(of, {"method": {"of": {"name": "memory_tokens"}}}) == {
        "method": {"name": "joint", "of": {"name": "memory_tokens"}}
    }
