from pathlib import Path
from typing import Literal

import pytest

from compositional.cli.kinds import allows_null, check_settings, describe_kind, is_list
from compositional.errors import ConfigError

KINDS = {
    "seed": int,
    "model.name": str,
    "model.adapter.rank": int,
    "model.adapter.names": tuple[str, ...],
    "model.sizes": tuple[float, ...] | None,
}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (int, "a whole number"),
        (float | None, "a number or null"),
        (bool, "true or false"),
        (str, "a text"),
        (Path | None, "a path or null"),
        (int | str, "a whole number or a text"),
        (tuple[int, ...], "a list of whole numbers such as A,B"),
        (tuple[str, ...] | None, "a list of names such as A,B or null"),
        (Literal["a", "b"], "one of a, b"),
    ],
)
def test_types_are_told_in_words(kind: object, words: str) -> None:
    assert describe_kind(kind) == words
    assert is_list(kind) == words.startswith("a list")
    assert allows_null(kind) == words.endswith("null")


def test_lists_may_be_written_as_on_the_command_line() -> None:
    adapter = {"rank": 2, "names": "q_proj, v_proj"}
    checked = check_settings({"model": {"adapter": adapter, "sizes": 2}}, KINDS)
    assert checked == {
        "model": {"adapter": {"rank": 2, "names": ["q_proj", "v_proj"]}, "sizes": [2]}
    }
    assert check_settings({"model": {"sizes": "[0.5,1]"}}, KINDS) == {"model": {"sizes": [0.5, 1]}}
    assert check_settings({"model": {"sizes": [3]}}, KINDS) == {"model": {"sizes": [3]}}


def test_an_empty_section_has_no_settings() -> None:
    assert check_settings({"model": None}, KINDS) == {"model": {}}
    assert check_settings({"model": {"adapter": None}}, KINDS) == {"model": {"adapter": {}}}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"modle": {}}, "unknown setting modle; did you mean 'model'? Choices: model, seed"),
        ({"model": {"nmae": "x"}}, "unknown setting model.nmae; did you mean 'name'?"),
        ({"model": {"adapter": {"rnk": 1}}}, "unknown setting model.adapter.rnk; did you mean"),
        ({"model": 5}, "model is 5; it must be a mapping of settings"),
        ({"model": {"adapter": []}}, "model.adapter is []; it must be a mapping of settings"),
        ({7: 1}, "unknown setting 7; Choices: model, seed"),
    ],
)
def test_unknown_names_and_sections_that_are_none_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_settings(settings, KINDS)
    assert str(caught.value).startswith(words)
