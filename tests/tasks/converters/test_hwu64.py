import json
from pathlib import Path

import pytest

from compositional.errors import DataError
from compositional.tasks.converters.hwu64 import convert_hwu64


def example(intent: str, marked: str) -> dict:
    """Build an example from a text with its entities marked as `[span](entity)`."""
    text, entities = "", []
    for index, part in enumerate(marked.replace("](", "[").replace(")", "[").split("[")):
        if index % 3 == 0:
            text += part
        elif index % 3 == 1:
            start = len(text)
            text += part
        else:
            entities.append(
                {"start": start, "end": len(text), "value": text[start:], "entity": part}
            )
    return {"text": text, "intent": intent, "entities": entities}


def save(folder: Path, name: str, examples: list[dict]) -> None:
    path = folder / name / f"RasaNlu_{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rasa_nlu_data": {"common_examples": examples}}))


def test_intents_become_tools_and_spans_arguments(tmp_path: Path) -> None:
    save(
        tmp_path / "KFold_1", "merged",
        [
            example("alarm_set", "wake me at [six](time) [Monday](date)"),
            example("alarm_set", "an alarm for [seven](time) or [eight](time)"),
            example("general_joke", "tell me a joke"),
        ],
    )  # fmt: skip
    save(tmp_path / "KFold_1", "mergedTestset", [example("alarm_query", "alarms")])
    conversion = convert_hwu64(tmp_path)
    assert [row["id"] for row in conversion.rows] == [0, 1, 2]
    assert [row["query"] for row in conversion.rows] == [
        "alarms", "an alarm for seven or eight", "wake me at six Monday",
    ]  # fmt: skip
    assert [json.loads(row["answers"]) for row in conversion.rows] == [
        [{"name": "alarm_query", "arguments": {}}],
        [{"name": "alarm_set", "arguments": {"time": ["seven", "eight"]}}],
        [{"name": "alarm_set", "arguments": {"time": "six", "date": "Monday"}}],
    ]
    (tool,) = json.loads(conversion.rows[1]["tools"])
    assert tool == {
        "name": "alarm_set",
        "description": "alarm set",
        "parameters": {
            "time": {"description": "time", "type": "str, optional"},
            "date": {"description": "date", "type": "str, optional"},
        },
    }
    assert conversion.summary() == "3 rows of 2 tools; left out: 1 of small talk"


def test_parameters_stand_by_frequency_then_as_they_occur_in_sorted_rows(tmp_path: Path) -> None:
    save(
        tmp_path, "merged",
        [
            example("play", "z [a](artist)"),
            example("play", "b [x](song)"),
            example("play", "a [y](genre) [y](genre)"),
        ],
    )  # fmt: skip
    (tool,) = json.loads(convert_hwu64(tmp_path).rows[0]["tools"])
    assert list(tool["parameters"]) == ["genre", "song", "artist"]


def test_more_folds_give_the_same_rows(tmp_path: Path) -> None:
    rows = [example("play", "play [x](song)"), example("stop", "stop")]
    save(tmp_path / "one/KFold_1", "merged", rows[:1])
    save(tmp_path / "one/KFold_1", "mergedTestset", rows[1:])
    save(tmp_path / "two/KFold_1", "merged", rows[:1])
    save(tmp_path / "two/KFold_1", "mergedTestset", rows[1:])
    save(tmp_path / "two/KFold_2", "merged", rows[::-1])
    assert convert_hwu64(tmp_path / "one") == convert_hwu64(tmp_path / "two")


def test_a_text_annotated_in_two_ways_is_left_out_and_counted(tmp_path: Path) -> None:
    save(tmp_path, "merged", [example("play", "play [x](song)"), example("stop", "stop")])
    save(tmp_path, "mergedTestset", [example("play", "play [x](artist)")])
    conversion = convert_hwu64(tmp_path)
    assert [row["query"] for row in conversion.rows] == ["stop"]
    assert conversion.left_out["annotated in two ways"] == 1


def test_a_wrong_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no merged/RasaNlu\*\.json or mergedTestset/"):
        convert_hwu64(tmp_path)


@pytest.mark.parametrize("content", ['{"rasa_nlu_data": {}}', '[{"text": "a"}]', "{"])
def test_a_malformed_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged/RasaNlu_x.json").write_text(content)
    with pytest.raises(DataError, match=r"RasaNlu_x\.json: "):
        convert_hwu64(tmp_path)
