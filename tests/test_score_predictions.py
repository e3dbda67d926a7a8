"""Scoring from files: the figures, and one clear line for each way a file can be wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from compositional.errors import DataError
from compositional.score_predictions import score_predictions

REFERENCES = [
    {
        "user_input": "weather in Oslo for 3 days",
        "tools": ["weather"],
        "function_calls": ['{"city": "Oslo", "days": 3}'],
    },
    {
        "user_input": "weather in Rome, and wake me",
        "tools": ["weather", "alarm"],
        "function_calls": ['{"city": "Rome"}', "{}"],
        "acceptable": [{"city": ["Rome", "Roma"], "days": ["", 1]}, None],
    },
    {"user_input": "how are you", "tools": [], "function_calls": []},
]
TOOLS = {
    "weather": {
        "name": "weather",
        "description": "The weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
        "type": "function",
    },
    "alarm": {
        "name": "alarm",
        "description": "",
        "parameters": {"type": "object", "properties": {}},
        "type": "function",
    },
}
LINES = [
    {"calls": [{"name": "weather", "arguments": {"city": "Oslo", "days": "3"}}], "raw": "..."},
    {"calls": [{"name": "weather", "arguments": {"city": "Roma"}}]},
    {"calls": []},
]


class Files:
    def __init__(self, folder: Path) -> None:
        self.predictions = folder / "p.jsonl"
        self.references = folder / "r.json"
        self.tools = folder / "d.json"
        self.write(LINES)
        self.references.write_text(json.dumps(REFERENCES))
        self.tools.write_text(json.dumps(TOOLS))

    def write(self, lines: list[Any]) -> None:
        self.predictions.write_text(
            "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
        )

    def score(self) -> dict[str, Any]:
        return score_predictions(self.predictions, self.references, self.tools)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_the_scores_of_three_lines(files: Files) -> None:
    result = files.score()
    assert result["n"] == 2
    assert result["tool_f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert result["argument_f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert result["argument_f1_nonempty"] == 1.0
    assert result["argument_f1_nonempty_n"] == 1
    assert result["slot_f1"] == pytest.approx((1 + 2 * 1 / (2 + 1)) / 2)
    assert result["exact_match"] == 0.5
    assert result["parse_error_rate"] == 0.0
    assert result["by_num_calls"]["2"]["tool_f1"] == pytest.approx(2 / 3)
    assert result["num_unanswerable"] == result["no_call"] == 1
    json.dumps(result, allow_nan=False)


def test_without_tool_descriptions_nothing_is_coerced(files: Files) -> None:
    result = score_predictions(files.predictions, files.references)
    assert result["argument_f1"] == pytest.approx((0 + 2 / 3) / 2)


def test_an_unparsed_line_keeps_its_readable_tools_and_parts(files: Files) -> None:
    call = {"name": "weather", "arguments": {"city": "Rome"}}
    bare = {"calls": None}
    full = {"calls": None, "tools": ["weather", "alarm"], "parts": [call, None, None]}
    files.write([bare, full, {"calls": None}])
    result = files.score()
    assert result["parse_error_rate"] == 1.0
    assert result["tool_f1"] == result["argument_f1"] == 0.0
    assert result["tool_f1_lenient"] == 0.5
    assert result["seed_parse_error_rate"] == (1 + 2) / 2
    assert result["seed_argument_f1"] == pytest.approx((0 + 2 * 1 / (2 + 3)) / 2)
    assert result["no_call"] == 0.0


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (LINES[:2], "line 3: missing; the references hold 3 examples, this file 2 lines"),
        ([], "line 1: missing"),
        ([*LINES, LINES[0]], "line 4: surplus; the references hold 3 examples"),
        ([LINES[0], "\n", *LINES[1:]], "line 2: empty"),
        ([LINES[0], "{\n", LINES[2]], "line 2: not JSON"),
        ([LINES[0], "[]\n", LINES[2]], "line 2: expected an object with the key"),
        ([LINES[0], {"call": []}, LINES[2]], "line 2: expected an object with the key"),
        ([LINES[0], {"calls": {}}, LINES[2]], 'line 2: "calls" has to be a list or null'),
        ([LINES[0], {"calls": [{"name": "x"}]}, LINES[2]], "line 2: a call has to be"),
        ([LINES[0], {"calls": [None]}, LINES[2]], "line 2: a call has to be"),
        (
            [LINES[0], {"calls": [{"name": "x", "arguments": "{}"}]}, LINES[2]],
            "line 2: a call has to be",
        ),
        ([{"calls": None, "tools": "x"}], 'line 1: "tools" has to be a list of names'),
        ([{"calls": None, "parts": None}], 'line 1: "parts" has to be a list'),
        (['{"calls": [{"name": "x", "arguments": {"y": NaN}}]}\n'], "line 1: a number is not"),
        (["[" * 100_000 + "\n"], "nested too deeply"),
    ],
)
def test_a_wrong_line_is_named(files: Files, lines: list[Any], message: str) -> None:
    files.write(lines)
    with pytest.raises(DataError) as caught:
        files.score()
    assert str(caught.value).startswith(f"{files.predictions}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_blank_lines_at_the_end_are_no_surplus(files: Files) -> None:
    files.write([*LINES, "\n", "\n"])
    assert files.score()["n"] == 2


def test_a_file_that_is_missing_or_empty_is_named(files: Files) -> None:
    files.references.write_text("[]")
    with pytest.raises(DataError, match="no examples"):
        files.score()
    files.references.unlink()
    with pytest.raises(DataError, match="no such file"):
        files.score()


def test_the_descriptions_of_other_tools_are_refused(files: Files) -> None:
    files.tools.write_text(json.dumps({"weather": TOOLS["weather"]}))
    with pytest.raises(DataError, match=r"record 2: .*d\.json does not describe its tool 'alarm'"):
        files.score()
