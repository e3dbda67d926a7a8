import json
from pathlib import Path
from typing import Any

import pytest

from compositional.errors import DataError
from compositional.files import write_json
from compositional.tasks.ranges import ToolRange
from compositional.tasks.round_files import (
    descriptions_file,
    example_record,
    examples_file,
    mixed_file,
    read_examples,
    read_skills,
    skill_records,
    unanswerable_file,
)
from compositional.tasks.types import Example, Skill, Step

EXAMPLE = Example(
    id="test-1",
    query="Ask it. Also, Stop",
    steps=(Step("ask", '{"x": "é"}', {"x": ["é", ""]}), Step("stop", "{}", {})),
    round=2,
    base_ids=("a", "b"),
)
RECORD: dict[str, Any] = {"user_input": "Ask", "tools": ["ask"], "function_calls": ["{}"]}


def test_names_are_those_of_the_seed() -> None:
    tools = ToolRange(51, 100)
    train = examples_file("train", tools, 4)
    assert train == "training/function_calling_train_tools51-100_4calls.json"
    assert examples_file("test", tools, 4) == "test/function_calling_test_tools51-100_4calls.json"
    assert descriptions_file(tools) == "tool_descriptions_tools51-100.json"


def test_names_of_many_rounds_stay_short_and_differ() -> None:
    rounds = [ToolRange(10 * i + 1, 10 * i + 10) for i in range(60)]
    assert (
        mixed_file(rounds[:2], 3) == "test/function_calling_test_mixed_tools1-10_11-20_3calls.json"
    )
    assert len(unanswerable_file(rounds)) < 200
    assert unanswerable_file(rounds) != unanswerable_file([rounds[1], rounds[0], *rounds[2:]])


def test_examples_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "test.json"
    write_json(path, [example_record(EXAMPLE, scored=True)])
    assert read_examples(path, 2) == (EXAMPLE,)
    assert "acceptable" not in example_record(EXAMPLE, scored=False)


def test_records_of_the_seed_have_no_ids(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", [RECORD])
    assert read_examples(tmp_path / "a.json", 1) == (Example("1", "Ask", (Step("ask", "{}"),), 1),)


def test_a_record_may_expect_no_call(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", [RECORD | {"tools": [], "function_calls": []}])
    assert read_examples(tmp_path / "a.json", None)[0].steps == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"user_input": ""}, "user_input"),
        ({"tools": ["ask", "stop"]}, "2 tools for 1 function_calls"),
        ({"tools": "ask"}, "tools must be a list"),
        ({"function_calls": [{}]}, "function_calls must be a list of texts"),
        ({"function_calls": ["{"]}, "not JSON"),
        ({"function_calls": ["[]"]}, "JSON objects"),
        ({"acceptable": [{}, {}]}, "one entry for each"),
        ({"acceptable": [{"x": "y"}]}, "lists of values"),
        ({"base_ids": [1]}, "base_ids"),
    ],
)
def test_malformed_records_are_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    write_json(tmp_path / "a.json", [RECORD, RECORD | change])
    with pytest.raises(
        DataError, match=rf"a.json: line \d+ \(record 2\): malformed row: .*{words}"
    ):
        read_examples(tmp_path / "a.json", 1)


def test_a_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(DataError, match="must hold a list"):
        read_examples(tmp_path / "a.json", 1)
    with pytest.raises(DataError, match=r"tool 'a' is malformed"):
        read_skills(tmp_path / "a.json")
    write_json(tmp_path / "b.json", [])
    with pytest.raises(DataError, match="must hold an object"):
        read_skills(tmp_path / "b.json")
    with pytest.raises(DataError, match="no such file"):
        read_examples(tmp_path / "none.json", 1)


def test_tools_come_back_as_they_were_written(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}
    skill = Skill("ns.ask", "Asks.", schema)
    write_json(tmp_path / "t.json", skill_records([skill]))
    assert read_skills(tmp_path / "t.json") == (skill,)
    assert json.loads((tmp_path / "t.json").read_text())["ns.ask"]["type"] == "function"


def test_tools_of_the_seed_hold_xlam_parameters(tmp_path: Path) -> None:
    record = {"name": "ask", "description": "Asks.", "parameters": {"x": {"type": "int, optional"}}}
    write_json(tmp_path / "t.json", {"ask": record})
    (skill,) = read_skills(tmp_path / "t.json")
    assert skill.parameters["properties"] == {"x": {"type": "integer"}}
    assert skill.parameters["required"] == []
