"""BFCL v4 as rows: single-call questions with all allowed values, and unanswerable queries.

Source: Patil et al., "The Berkeley Function Calling Leaderboard (BFCL)", ICML 2025; Apache-2.0.
"""

from itertools import product
from pathlib import Path
from typing import Any

from compositional.errors import DataError
from compositional.files import read_json_lines, sha256_file, sha256_text
from compositional.tasks.rows import Row, RowCall, Source
from compositional.tasks.schema import tool_schema
from compositional.tasks.types import JsonObject, Skill

LICENCE = "Apache-2.0"
SPLITS = ("simple_python", "multiple", "live_simple", "live_multiple")
LEFT_OUT = ""
"""Stands in a list of allowed values for an argument that may be left out."""


def read_bfcl(folder: Path) -> Source:
    """Return BFCL's questions that one call answers.

    Questions with a system message are dropped and counted.

    Args:
        folder: Holds `BFCL_v4_<split>.json`, and `possible_answer/` with files of the same names.

    Raises:
        DataError: If a file is missing or a line malformed; named.
    """
    rows: list[Row] = []
    num_system = 0
    hashes = []
    for split in SPLITS:
        path, answers_path = _paths(folder, split)
        answers = {
            record.get("id"): (number, record)
            for number, record in read_json_lines(answers_path)
            if isinstance(record, dict)
        }
        for number, record in read_json_lines(path):
            where = f"{path}: line {number}"
            try:
                roles = [message["role"] for message in record["question"][0]]
                if "system" in roles:
                    num_system += 1
                    continue
                answer_line, answer = answers[record["id"]]
                where = f"{answers_path}: line {answer_line}"
                rows.append(_row(record, answer["ground_truth"]))
            except KeyError as error:
                raise DataError(f"{where}: malformed row: {error} is missing") from error
            except (ValueError, TypeError, IndexError) as error:
                raise DataError(f"{where}: malformed row: {error}") from error
        hashes += [sha256_file(path), sha256_file(answers_path)]
    dropped = {"with_system_message": num_system}
    return Source("bfcl", None, sha256_text("\n".join(hashes)), LICENCE, tuple(rows), dropped)


def read_irrelevance(folder: Path) -> list[tuple[str, str]]:
    """Return id and query of the questions that no offered tool answers (split `irrelevance`).

    Raises:
        DataError: If the file is missing or a line malformed; named.
    """
    path, _ = _paths(folder, "irrelevance")
    queries = []
    for number, record in read_json_lines(path):
        try:
            queries.append((str(record["id"]), _query(record)))
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise DataError(f"{path}: line {number}: malformed row: {error}") from error
    return queries


def training_value(allowed: list[Any], schema: JsonObject) -> Any:
    """Return the value to train on out of an argument's allowed values.

    Args:
        allowed: The allowed values as `possible_answer` lists them, nested objects and lists of
            objects with lists of their own.
        schema: JSON Schema of the argument.

    Returns:
        The first value; `LEFT_OUT` where the list begins with `""`, or holds `""` and begins with
        the schema's default.
    """
    first = allowed[0]
    is_default = "default" in schema and _same(first, schema["default"])
    if LEFT_OUT in allowed and (first == LEFT_OUT or is_default):
        return LEFT_OUT
    return _first_nested(first, schema)


def all_values(value: Any) -> list[Any]:
    """Return every value that one entry of `possible_answer` allows, with nothing left to choose.

    The members of an object are lists of allowed values themselves, `""` among them where the
    member may be left out; so are those of objects in a list.
    """
    if isinstance(value, dict):
        members = [
            [(name, choice) for choice in _member_values(allowed)]
            for name, allowed in value.items()
        ]
        return [
            {name: choice for name, choice in chosen if choice != LEFT_OUT}
            for chosen in product(*members)
        ]
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [list(chosen) for chosen in product(*(all_values(item) for item in value))]
    return [value]


def _member_values(allowed: Any) -> list[Any]:
    if not isinstance(allowed, list):
        return all_values(allowed)
    return [choice for value in allowed for choice in all_values(value)]


def _first_nested(value: Any, schema: JsonObject) -> Any:
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        members = {
            name: training_value(allowed, properties.get(name, {}))
            if isinstance(allowed, list)
            else _first_nested(allowed, properties.get(name, {}))
            for name, allowed in value.items()
        }
        return {name: member for name, member in members.items() if member != LEFT_OUT}
    if isinstance(value, list):
        return [_first_nested(item, schema.get("items", {})) for item in value]
    return value


def _row(record: JsonObject, ground_truth: Any) -> Row:
    if not isinstance(ground_truth, list) or len(ground_truth) != 1:
        raise ValueError(f"ground_truth must hold one call, not {ground_truth!r:.60}")
    ((name, listed),) = ground_truth[0].items()
    function = next((tool for tool in record["function"] if tool["name"] == name), None)
    if function is None:
        raise ValueError(f"the answer calls {name!r}, which the question does not offer")
    schema = tool_schema(function["parameters"])
    arguments, acceptable = {}, {}
    for argument, values in listed.items():
        definition = schema["properties"].get(argument, {})
        allowed = _allowed(values, argument, definition)
        acceptable[argument] = [choice for value in allowed for choice in all_values(value)]
        target = training_value(allowed, definition)
        if target != LEFT_OUT:
            arguments[argument] = target
    tool = Skill(name, function["description"], schema)
    return Row(record["id"], _query(record), (RowCall(name, arguments, acceptable),), tool)


def _allowed(values: Any, argument: str, definition: JsonObject) -> list[Any]:
    """Return an argument's list of values; an empty one stands for the empty array in BFCL."""
    if not isinstance(values, list):
        raise ValueError(f"the values of {argument!r} must be a list, not {values!r:.60}")
    if values:
        return values
    if definition.get("type") != "array":
        raise ValueError(f"the list of values of {argument!r} is empty")
    return [[]]


def _query(record: JsonObject) -> str:
    texts = [message["content"] for message in record["question"][0] if message["role"] == "user"]
    if len(record["question"]) != 1 or len(texts) != 1 or not str(texts[0]).strip():
        raise ValueError("question must be one turn with one text of the user")
    return str(texts[0])


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _paths(folder: Path, split: str) -> tuple[Path, Path]:
    name = f"BFCL_v4_{split}.json"
    return folder / name, folder / "possible_answer" / name
