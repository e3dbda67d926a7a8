"""`compositional score`: scores from files alone, without a model."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compositional.errors import DataError
from compositional.files import read_json_lines
from compositional.tasks.averages import average_scores
from compositional.tasks.round_files import read_examples, read_skills
from compositional.tasks.scoring import score_example
from compositional.tasks.types import Call, Example, Prediction, Skill


def score_predictions(
    predictions: Path, references: Path, tool_descriptions: Path | None = None
) -> dict[str, Any]:
    """Score a file of predictions against a test set.

    Args:
        predictions: A line an example, in order: `{"calls": [{"name": ..., "arguments": {...}}]}`,
            with `"calls": null` for an answer that did not parse, and more keys if wanted. Two of
            them are read where `calls` is null: `tools`, the names that could be read, and
            `parts`, each call that was begun, null for one that did not parse.
        references: A test file as `xlam_datasets` builds it.
        tool_descriptions: The file of its tools, by whose schemas values are coerced; without it
            nothing is coerced.

    Returns:
        What `average_scores` returns.

    Raises:
        DataError: If a file is missing or malformed, or lines of predictions are missing or
            surplus; with the number of the line or record.
    """
    examples = read_examples(references, round_index=None)
    if not examples:
        raise DataError(f"{references}: holds no examples, so there is nothing to score")
    skills: dict[str, Skill] = {}
    if tool_descriptions is not None:
        skills = {skill.name: skill for skill in read_skills(tool_descriptions)}
        _check_tools_described(examples, skills, references, tool_descriptions)
    answers = read_predictions(predictions, num_examples=len(examples))
    scores = [
        score_example(example, answer, skills)
        for example, answer in zip(examples, answers, strict=True)
    ]
    return average_scores(examples, scores)


def read_predictions(path: Path, num_examples: int) -> list[Prediction]:
    """Read the predictions of a test set.

    Args:
        path: A file of one JSON object a line.
        num_examples: How many lines it has to have.

    Raises:
        DataError: As `score_predictions`.
    """
    rows = read_json_lines(path)
    answers = []
    for position, (number, row) in enumerate(rows, start=1):
        if number != position:
            raise DataError(f"{path}: line {position}: empty; each example needs a line")
        if position > num_examples:
            raise DataError(
                f"{path}: line {number}: surplus; the references hold {num_examples} examples"
            )
        answers.append(_prediction(row, f"{path}: line {number}"))
    if len(answers) < num_examples:
        raise DataError(
            f"{path}: line {len(answers) + 1}: missing; the references hold {num_examples} "
            f"examples, this file {len(answers)} lines"
        )
    return answers


def _prediction(row: Any, where: str) -> Prediction:
    """Read one line of predictions."""
    if not isinstance(row, dict) or "calls" not in row:
        raise DataError(f'{where}: expected an object with the key "calls", got {_short(row)}')
    try:
        json.dumps(row, allow_nan=False)
    except ValueError as error:
        raise DataError(f"{where}: a number is not finite, which JSON does not allow") from error
    calls, tools, parts = row["calls"], row.get("tools", []), row.get("parts", [])
    if calls is not None and not isinstance(calls, list):
        raise DataError(f'{where}: "calls" has to be a list or null, got {_short(calls)}')
    if not _is_list_of(tools, str):
        raise DataError(f'{where}: "tools" has to be a list of names, got {_short(tools)}')
    if not isinstance(parts, list):
        raise DataError(f'{where}: "parts" has to be a list of calls, got {_short(parts)}')
    return Prediction(
        raw="",
        calls=None if calls is None else tuple(_call(call, where) for call in calls),
        tools=tuple(tools),
        parts=tuple(None if part is None else _call(part, where) for part in parts),
    )


def _call(value: Any, where: str) -> Call:
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("name"), str)
        or not isinstance(value.get("arguments"), dict)
    ):
        raise DataError(
            f'{where}: a call has to be {{"name": "...", "arguments": {{...}}}}, '
            f"got {_short(value)}"
        )
    return Call(value["name"], value["arguments"])


def _check_tools_described(
    examples: Sequence[Example], skills: Mapping[str, Skill], references: Path, descriptions: Path
) -> None:
    for number, example in enumerate(examples, start=1):
        for step in example.steps or ():
            if step.skill not in skills:
                raise DataError(
                    f"{references}: record {number}: {descriptions} does not describe its tool "
                    f"{step.skill!r}; give the file that was built with this test set"
                )


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
