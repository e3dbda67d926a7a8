import json
from pathlib import Path
from typing import Any

import pytest

from compositional.errors import DataError
from compositional.tasks.converters.conversion import Conversion
from compositional.tasks.converters.sgd import convert_sgd

SCHEMA = [
    {
        "service_name": "Cars_1",
        "description": "Rent cars",
        "slots": [
            {"name": "size", "description": "Size of the car"},
            {"name": "city", "description": "Where to get it"},
            {"name": "date", "description": "When to get it"},
        ],
        "intents": [
            {
                "name": "Rent",
                "description": "Rent a car",
                "required_slots": ["city", "date"],
                "optional_slots": {"size": "dontcare"},
            },
            {
                "name": "List",
                "description": "List cars",
                "required_slots": [],
                "optional_slots": {},
            },
        ],
    }
]


def act(slot: str, value: str, canonical: str) -> dict[str, Any]:
    return {"act": "INFORM", "slot": slot, "values": [value], "canonical_values": [canonical]}


def turn(
    speaker: str,
    utterance: str,
    *actions: dict[str, Any],
    state: dict[str, list[str]] | None = None,
    call: tuple[str, dict[str, str]] | None = None,
) -> dict[str, Any]:
    frame: dict[str, Any] = {"service": "Cars_1", "actions": list(actions)}
    if state is not None:
        frame["state"] = {"slot_values": state}
    if call is not None:
        frame["service_call"] = {"method": call[0], "parameters": call[1]}
    return {"speaker": speaker, "utterance": utterance, "frames": [frame]}


def convert(folder: Path, *dialogues: list[dict[str, Any]]) -> Conversion:
    split = folder / "dev"
    split.mkdir(exist_ok=True)
    (split / "schema.json").write_text(json.dumps(SCHEMA))
    (split / "dialogues_001.json").write_text(
        json.dumps([{"dialogue_id": str(n), "turns": turns} for n, turns in enumerate(dialogues)])
    )
    return convert_sgd(folder)


def arguments(conversion: Conversion) -> list[dict[str, str]]:
    return [json.loads(row["answers"])[0]["arguments"] for row in conversion.rows]


FIRST = [
    turn("USER", "A car in LA.", act("city", "LA", "Los Angeles"), state={"city": ["LA"]}),
    turn("SYSTEM", "When?"),
    turn("USER", "On the 4th", act("date", "the 4th", "2019-03-04"), state={"date": ["the 4th"]}),
    turn("SYSTEM", "One car.", call=("Rent", {"city": "Los Angeles", "date": "2019-03-04"})),
]


def test_a_call_becomes_a_row(tmp_path: Path) -> None:
    conversion = convert(tmp_path, FIRST)
    (row,) = conversion.rows
    assert list(row) == ["id", "query", "answers", "service", "tools"]
    assert row["query"] == "A car in LA. On the 4th"
    assert row["service"] == "Cars_1"
    assert json.loads(row["answers"]) == [
        {"name": "Cars_1_Rent", "arguments": {"city": "LA", "date": "the 4th"}}
    ]
    assert json.loads(row["tools"]) == [
        {
            "name": "Cars_1_Rent",
            "description": "Rent a car",
            "parameters": {
                "city": {"description": "Where to get it", "type": "str"},
                "date": {"description": "When to get it", "type": "str"},
                "size": {"description": "Size of the car", "type": "str, optional"},
            },
        }
    ]


def test_turns_are_gathered_from_after_the_previous_call(tmp_path: Path) -> None:
    turns = [
        *FIRST,
        turn("USER", "Rather in SF", act("city", "SF", "San Francisco")),
        turn("SYSTEM", "Here.", call=("Rent", {"city": "San Francisco"})),
    ]
    assert [row["query"] for row in convert(tmp_path, turns).rows] == [
        "A car in LA. On the 4th",
        "Rather in SF",
    ]


def test_the_longest_way_of_saying_counts_if_it_stands_in_the_turns(tmp_path: Path) -> None:
    turns = [
        turn("USER", "On the 4th of March", act("date", "4th of March", "2019-03-04")),
        turn("SYSTEM", "On March 4th, Monday?", act("date", "the coming Monday", "2019-03-04")),
        turn("USER", "yes, on the 4th", state={"date": ["the 4th", "the 4th of March"]}),
        turn("SYSTEM", "Done.", call=("Rent", {"date": "2019-03-04"})),
    ]
    assert arguments(convert(tmp_path, turns)) == [{"date": "the 4th of March"}]


def test_only_whole_words_count(tmp_path: Path) -> None:
    turns = [
        turn("USER", "In LA, near LAX", act("city", "LAX", "LA"), state={"city": ["A"]}),
        turn("SYSTEM", "Done.", call=("Rent", {"city": "LA"})),
    ]
    assert arguments(convert(tmp_path, turns)) == [{"city": "LAX"}]
    turns[0]["utterance"] = "In LA, near LAXON"
    assert arguments(convert(tmp_path, turns)) == [{"city": "LA"}]


@pytest.mark.parametrize(
    ("value", "spoken", "expected"),
    [
        ("Washington", ["washington"], "washington"),  # lower case sorts after upper
        ("Leave for home", ["Leave for Home"], "Leave for home"),
        ("2019-03-05", ["next tuesday", "next Tuesday"], "next Tuesday"),  # the last spelling
        ("2019-03-05", ["next Tuesday", "next tuesday"], "next tuesday"),
    ],
)
def test_spellings_of_one_length(
    tmp_path: Path, value: str, spoken: list[str], expected: str
) -> None:
    turns = [
        turn("USER", f"it is {expected}", *(act("date", way, value) for way in spoken)),
        turn("SYSTEM", "Done.", call=("Rent", {"date": value})),
    ]
    assert arguments(convert(tmp_path, turns)) == [{"date": expected}]


def test_values_that_are_never_spoken_stay_and_must_be_in_the_query(tmp_path: Path) -> None:
    turns = [
        turn("USER", "I dontcare about the size", act("size", "any", "dontcare")),
        turn("SYSTEM", "Done.", call=("Rent", {"size": "dontcare"})),
    ]
    assert arguments(convert(tmp_path, turns)) == [{"size": "dontcare"}]
    turns[0]["utterance"] = "any size"
    conversion = convert(tmp_path, turns)
    assert conversion.rows == []
    assert conversion.left_out["with a value that the query does not hold"] == 1


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    five_turns = [turn("USER", "In LA")] * 5 + [
        turn("SYSTEM", "Done.", call=("Rent", {"city": "LA"}))
    ]
    no_parameters = [turn("USER", "What is there?"), turn("SYSTEM", "A car", call=("List", {}))]
    conversion = convert(tmp_path, FIRST, five_turns, no_parameters, FIRST)
    assert conversion.summary() == (
        "1 rows of 1 tools; left out: 1 with more than 4 user turns, 1 without parameters, "
        "1 that stand twice"
    )


def test_a_wrong_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no dialogues_\*\.json below it; give the folder"):
        convert_sgd(tmp_path)


def test_malformed_files_are_named(tmp_path: Path) -> None:
    convert(tmp_path, FIRST)
    (tmp_path / "dev/schema.json").write_text("[]")
    with pytest.raises(DataError, match=r"dialogues_001\.json: .* of another schema\.json"):
        convert_sgd(tmp_path)
    (tmp_path / "dev/schema.json").write_text('[{"slots": 1}]')
    with pytest.raises(DataError, match=r"schema\.json: not a schema as SGD lays it out"):
        convert_sgd(tmp_path)
    (tmp_path / "dev/schema.json").unlink()
    with pytest.raises(DataError, match=r"schema\.json: no such file"):
        convert_sgd(tmp_path)
