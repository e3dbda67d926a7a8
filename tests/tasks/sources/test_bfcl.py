import json
from pathlib import Path
from typing import Any

import pytest

from compositional.errors import DataError
from compositional.tasks.sources.bfcl import (
    LEFT_OUT,
    SPLITS,
    all_values,
    read_bfcl,
    read_irrelevance,
    training_value,
)

PARAMETERS = {
    "type": "dict",
    "properties": {
        "city": {"type": "string"},
        "unit": {"type": "string", "default": "metric"},
        "days": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["city"],
}


def question(row_id: str, query: str, *, system: bool = False) -> dict[str, Any]:
    messages = [{"role": "system", "content": "Be brief."}] if system else []
    return {
        "id": row_id,
        "question": [[*messages, {"role": "user", "content": query}]],
        "function": [{"name": "geo.weather", "description": "Weather.", "parameters": PARAMETERS}],
    }


def folder_with(tmp_path: Path, rows: list[tuple[dict[str, Any], Any]]) -> Path:
    """A folder laid out as BFCL, with some rows in the first split."""
    (tmp_path / "possible_answer").mkdir()
    for split in SPLITS:
        chosen = rows if split == SPLITS[0] else []
        name = f"BFCL_v4_{split}.json"
        (tmp_path / name).write_text("\n".join(json.dumps(row) for row, _ in chosen))
        answers = [{"id": row["id"], "ground_truth": truth} for row, truth in chosen]
        (tmp_path / "possible_answer" / name).write_text("\n".join(map(json.dumps, answers)))
    return tmp_path


def call(**values: Any) -> list[dict[str, Any]]:
    return [{"geo.weather": values}]


def test_rows_hold_the_training_target_and_all_alternatives(tmp_path: Path) -> None:
    truth = call(city=["Bonn", "Bonn, DE"], unit=["metric", "si", ""], days=["", ["Mon"]])
    (row,) = read_bfcl(folder_with(tmp_path, [(question("q1", "Rain in Bonn?"), truth)])).rows
    (gold,) = row.calls
    assert (row.id, row.query) == ("q1", "Rain in Bonn?")
    assert gold.name == "geo.weather"
    assert gold.arguments == {"city": "Bonn"}
    assert gold.acceptable == truth[0]["geo.weather"]
    assert row.tool is not None
    assert row.tool.parameters["required"] == ["city"]


def test_rows_with_a_system_message_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = [(question("q1", "One", system=True), call()), (question("q2", "Two"), call(city=["A"]))]
    source = read_bfcl(folder_with(tmp_path, rows))
    assert [row.id for row in source.rows] == ["q2"]
    assert source.dropped == {"with_system_message": 1}
    assert source.licence == "Apache-2.0"


@pytest.mark.parametrize(
    ("allowed", "schema", "value"),
    [
        ([5, 6], {}, 5),
        (["", 5], {}, LEFT_OUT),
        ([5, ""], {}, 5),
        ([5, ""], {"default": 5}, LEFT_OUT),
        ([5], {"default": 5}, 5),
        ([1, ""], {"default": True}, 1),
        ([5, 6, ""], {"default": 6}, 5),
        ([""], {}, LEFT_OUT),
        ([None, ""], {"default": None}, LEFT_OUT),
        (
            [{"a": ["x", "y"], "b": ["", 1], "c": [2, ""]}],
            {"properties": {"c": {"default": 2}}},
            {"a": "x"},
        ),
        ([[{"a": [1]}, {"a": [2, 3]}]], {}, [{"a": 1}, {"a": 2}]),
        ([["x", "y"]], {}, ["x", "y"]),
        ([{"hands": [["A", "K"]]}], {}, {"hands": ["A", "K"]}),
        ([{"place": [{"x": 1.5, "y": 2}]}], {}, {"place": {"x": 1.5, "y": 2}}),
    ],
)
def test_the_training_value_is_the_first_one_or_none(
    allowed: list, schema: dict, value: object
) -> None:
    assert training_value(allowed, schema) == value


def test_all_values_leave_nothing_to_choose() -> None:
    assert all_values("x") == ["x"]
    assert all_values(["x", "y"]) == [["x", "y"]]
    assert all_values({"a": ["x", "y"], "b": [1, ""]}) == [
        {"a": "x", "b": 1},
        {"a": "x"},
        {"a": "y", "b": 1},
        {"a": "y"},
    ]
    assert all_values([{"a": [1]}, {"a": [2, 3]}]) == [[{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 3}]]
    assert all_values({"hands": [["A", "K"]]}) == [{"hands": ["A", "K"]}]


def test_an_empty_list_of_values_of_an_array_is_the_empty_array(tmp_path: Path) -> None:
    (row,) = read_bfcl(folder_with(tmp_path, [(question("q", "Q"), call(days=[]))])).rows
    assert row.calls[0].arguments == {"days": []}
    assert row.calls[0].acceptable == {"days": [[]]}


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        ([], "one call"),
        ([{"other": {}}], "does not offer"),
        (call(city="Bonn"), "must be a list"),
        (call(city=[]), "empty"),
        ("none", "ground_truth"),
    ],
)
def test_malformed_answers_are_named(tmp_path: Path, truth: object, words: str) -> None:
    folder = folder_with(tmp_path, [(question("q", "Q"), truth)])
    with pytest.raises(DataError, match=rf"possible_answer.*line 1: malformed row: .*{words}"):
        read_bfcl(folder)


def test_a_question_without_an_answer_is_named(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, [(question("q", "Q"), call(city=["A"]))])
    (folder / "possible_answer" / "BFCL_v4_simple_python.json").write_text("")
    with pytest.raises(DataError, match=r"BFCL_v4_simple_python.json: line 1: .*'q' is missing"):
        read_bfcl(folder)


def test_a_missing_split_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"BFCL_v4_simple_python.json: no such file"):
        read_bfcl(tmp_path)


def test_irrelevant_questions_are_read_with_their_ids(tmp_path: Path) -> None:
    path = tmp_path / "BFCL_v4_irrelevance.json"
    path.write_text("\n".join(json.dumps(question(f"i{n}", f"Query {n}")) for n in range(2)))
    assert read_irrelevance(tmp_path) == [("i0", "Query 0"), ("i1", "Query 1")]
