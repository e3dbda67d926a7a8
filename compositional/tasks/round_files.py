"""Round files: their names, and examples and tools as they stand in them.

A file of examples is a list of records `{"id", "user_input", "tools", "function_calls",
"base_ids"}`, with `acceptable` on rows that are scored and have alternatives. `tools` names a tool
a call and `function_calls` holds the arguments of each as JSON text.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compositional.errors import DataError
from compositional.files import read_json, read_json_list, sha256_text
from compositional.tasks.ranges import ToolRange
from compositional.tasks.schema import tool_schema
from compositional.tasks.types import Example, JsonObject, Skill, Step

_MAX_NAME = 120
_FOLDERS = {"train": "training", "test": "test", "validation": "validation"}


def examples_file(split: str, tools: ToolRange, max_calls: int) -> str:
    """Return the name of a file of examples, relative to the data folder.

    Args:
        split: `train`, `test` or `validation`.
        tools: The round's tools.
        max_calls: The largest number of calls that was asked for.
    """
    return f"{_FOLDERS[split]}/function_calling_{split}_tools{tools}_{max_calls}calls.json"


def descriptions_file(tools: ToolRange) -> str:
    """Return the name of a round's file of tools, relative to the data folder."""
    return f"tool_descriptions_tools{tools}.json"


def mixed_file(rounds: Sequence[ToolRange], max_calls: int) -> str:
    """Return the name of the file that joins queries of different rounds."""
    return f"test/function_calling_test_mixed_tools{joined(rounds)}_{max_calls}calls.json"


def unanswerable_file(rounds: Sequence[ToolRange]) -> str:
    """Return the name of the file of queries that no tool of these rounds answers."""
    return f"test/function_calling_test_unanswerable_tools{joined(rounds)}.json"


def joined(rounds: Sequence[ToolRange]) -> str:
    """Return ranges as part of a file's name; many of them by their ends and a hash."""
    text = "_".join(str(tools) for tools in rounds)
    if len(text) <= _MAX_NAME:
        return text
    return f"{rounds[0]}_to_{rounds[-1]}_{sha256_text(text)[:12]}"


def example_record(example: Example, *, scored: bool) -> JsonObject:
    """Return an example as it stands in a file.

    Args:
        example: The example, with its steps.
        scored: Whether alternatives are kept, for test and validation rows.
    """
    steps = example.steps or ()
    record: JsonObject = {
        "id": example.id,
        "user_input": example.query,
        "tools": [step.skill for step in steps],
        "function_calls": [step.response for step in steps],
        "base_ids": list(example.base_ids),
    }
    if scored and any(step.acceptable is not None for step in steps):
        record["acceptable"] = [step.acceptable for step in steps]
    return record


def skill_records(skills: Sequence[Skill]) -> JsonObject:
    """Return tools as they stand in a file of tool descriptions."""
    return {
        skill.name: {
            "name": skill.name,
            "description": skill.description,
            "parameters": skill.parameters,
            "type": "function",
        }
        for skill in skills
    }


def read_examples(path: Path, round_index: int | None) -> tuple[Example, ...]:
    """Read a file of examples, made here or by hand.

    Args:
        path: The file.
        round_index: What the examples carry as their round.

    Returns:
        The examples in the file's order; those without an id are named by their position.

    Raises:
        DataError: If the file is missing or a row malformed; with its path and line.
    """
    examples = []
    for number, (place, record) in enumerate(read_json_list(path), start=1):
        try:
            examples.append(_example(record, number, round_index))
        except ValueError as error:
            raise DataError(f"{path}: {place}: malformed row: {error}") from error
    return tuple(examples)


def read_skills(path: Path) -> tuple[Skill, ...]:
    """Read a file of tool descriptions: tool name to `{"name", "description", "parameters"}`.

    Raises:
        DataError: If the file is missing or a tool malformed; both are named.
    """
    records = read_json(path)
    if not isinstance(records, dict):
        raise DataError(f"{path}: must hold an object of tools, not {type(records).__name__}")
    skills = []
    for name, record in records.items():
        try:
            if not isinstance(record, dict):
                raise ValueError(f"must be an object, not {record!r:.60}")
            schema = tool_schema(record.get("parameters") or {})
        except ValueError as error:
            raise DataError(f"{path}: tool {name!r} is malformed: {error}") from error
        skills.append(Skill(name, str(record.get("description") or ""), schema))
    return tuple(skills)


def _example(record: Any, number: int, round_index: int | None) -> Example:
    if not isinstance(record, dict):
        raise ValueError(f"it must be an object, not {record!r:.60}")
    query = record.get("user_input")
    if not isinstance(query, str) or not query.strip():
        raise ValueError(f"user_input must be a text that is not empty, not {query!r:.60}")
    tools = _texts(record, "tools")
    responses = _texts(record, "function_calls")
    if len(tools) != len(responses):
        raise ValueError(f"it names {len(tools)} tools for {len(responses)} function_calls")
    acceptable = record.get("acceptable") or [None] * len(tools)
    if not isinstance(acceptable, list) or len(acceptable) != len(tools):
        raise ValueError(f"acceptable must have one entry for each of the {len(tools)} calls")
    steps = tuple(
        Step(tool, _arguments(response), _alternatives(values))
        for tool, response, values in zip(tools, responses, acceptable, strict=True)
    )
    base_ids = _texts(record, "base_ids") if "base_ids" in record else []
    return Example(str(record.get("id", number)), query, steps, round_index, tuple(base_ids))


def _texts(record: JsonObject, key: str) -> list[str]:
    values = record.get(key)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{key} must be a list of texts, not {values!r:.60}")
    return values


def _arguments(text: str) -> str:
    try:
        arguments = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"function_calls holds {text!r:.60}, which is not JSON") from error
    if not isinstance(arguments, dict):
        raise ValueError(f"function_calls must hold JSON objects, not {text!r:.60}")
    return text


def _alternatives(values: Any) -> JsonObject | None:
    if values is None:
        return None
    if not isinstance(values, dict) or not all(isinstance(v, list) for v in values.values()):
        raise ValueError(f"acceptable must map arguments to lists of values, not {values!r:.60}")
    return values
