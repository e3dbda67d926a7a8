import json
from pathlib import Path

import pytest

from compositional.errors import ConfigError, DataError
from compositional.files import read_json_lines
from compositional.tasks.converters import convert_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in/merged").mkdir(parents=True)
    (tmp_path / "in/merged/RasaNlu_x.json").write_text(
        json.dumps(
            {
                "rasa_nlu_data": {
                    "common_examples": [{"text": "stop", "intent": "stop", "entities": []}]
                }
            }
        )
    )
    return tmp_path / "in"


def test_writes_a_line_a_row_and_says_how_many(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out/rows.jsonl"
    conversion = convert_folder("hwu64", folder, output)
    assert [row for _, row in read_json_lines(output)] == conversion.rows
    assert capsys.readouterr().out == f"{output}: 1 rows of 1 tools\n"


def test_bad_requests_write_nothing(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "rows.jsonl"
    with pytest.raises(ConfigError, match="unknown data set 'hwu': did you mean 'hwu64'"):
        convert_folder("hwu", folder, output)
    with pytest.raises(ConfigError, match=r"must end in \.jsonl"):
        convert_folder("hwu64", folder, tmp_path / "rows.txt")
    with pytest.raises(DataError, match="nowhere: no such folder"):
        convert_folder("hwu64", tmp_path / "nowhere", output)
    with pytest.raises(DataError, match="no dialogues_"):
        convert_folder("sgd", folder, output)
    assert not output.exists()
    output.write_text("kept")
    with pytest.raises(DataError, match="exists; remove it or choose another name"):
        convert_folder("hwu64", folder, output)
    assert output.read_text() == "kept"
