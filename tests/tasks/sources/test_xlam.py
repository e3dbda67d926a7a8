import json
from pathlib import Path

import pytest

from compositional.errors import DataError
from compositional.files import sha256_file
from compositional.tasks.sources.xlam import read_file, read_hub
from tests.tasks.toy_rows import record, records, source_file


def _write(path: Path, rows: list) -> Path:
    path.write_text(
        json.dumps(rows) if path.suffix == ".json" else "\n".join(map(json.dumps, rows))
    )
    return path


def test_json_and_json_lines_hold_the_same_rows(tmp_path: Path) -> None:
    rows = records([3, 2])
    one = read_file(_write(tmp_path / "a.json", rows))
    other = read_file(_write(tmp_path / "b.jsonl", rows))
    assert one.rows == other.rows
    assert len(one.rows) == 5
    assert one.name == "a.json"
    assert one.sha256 == sha256_file(tmp_path / "a.json")


def test_a_json_file_may_hold_a_row_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("\n".join(json.dumps(r) for r in records([2])))
    assert len(read_file(tmp_path / "a.json").rows) == 2


def test_parquet_and_hub_folders_hold_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = [
        {key: value if key == "query" else json.dumps(value) for key, value in r.items()}
        for r in records([3, 2])
    ]
    folder = tmp_path / "hub"
    folder.mkdir()
    datasets.Dataset.from_list(rows).to_parquet(folder / "train.parquet")
    expected = read_file(_write(tmp_path / "a.jsonl", rows)).rows
    assert read_file(folder / "train.parquet").rows == expected
    hub = read_hub(str(folder), None)
    assert hub.rows == expected
    assert hub.licence == "not stated"
    assert hub.sha256 == read_hub(str(folder), None).sha256


def test_ids_are_kept_where_every_row_has_one_of_its_own(tmp_path: Path) -> None:
    rows = records([3])
    named = [r | {"id": 10 + i} for i, r in enumerate(rows)]
    assert [r.id for r in read_file(_write(tmp_path / "a.jsonl", named)).rows] == ["10", "11", "12"]
    named[2]["id"] = 10
    assert [r.id for r in read_file(_write(tmp_path / "b.jsonl", named)).rows] == ["1", "2", "3"]
    assert [r.id for r in read_file(_write(tmp_path / "c.jsonl", rows)).rows] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("name", "place"), [("a.jsonl", "line 4"), ("a.json", r"line 1 \(record 3\)")]
)
def test_a_malformed_row_is_named(tmp_path: Path, name: str, place: str) -> None:
    rows = [record("One", "alpha"), record("Two", "alpha"), record("", "alpha")]
    path = tmp_path / name
    lines = [json.dumps(r) for r in rows]
    path.write_text(
        json.dumps(rows) if name == "a.json" else "\n\n".join(lines[:2]) + "\n" + lines[2]
    )
    with pytest.raises(DataError, match=f"a.jsonl?: {place}: malformed row: query"):
        read_file(path)


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    path = source_file(tmp_path, [2])
    path.write_text(path.read_text() + "{")
    with pytest.raises(DataError, match=r"toy.jsonl: line 3: not JSON"):
        read_file(path)


def test_a_missing_file_and_a_broken_parquet_file_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_file(tmp_path / "none.json")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(DataError, match="cannot be read as Parquet") as caught:
        read_file(tmp_path / "a.parquet")
    assert "\n" not in str(caught.value)


def test_a_data_set_out_of_reach_is_one_line() -> None:
    with pytest.raises(DataError, match="nobody/nothing cannot be read from the Hub") as caught:
        read_hub("nobody/nothing", None)
    assert "\n" not in str(caught.value)


def test_a_gated_data_set_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def refuse(*args: object, **kwargs: object) -> None:
        raise datasets.exceptions.DatasetNotFoundError(
            "Dataset 'a/b' is a gated dataset on the Hub. You must be authenticated to access it."
        )

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(DataError, match=r"a/b is gated.*HF_TOKEN"):
        read_hub("a/b", None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [("[" * 3000, "nested too deeply"), ('{"n": ' + "9" * 5000 + "}", "limit")],
)
def test_what_python_cannot_read_is_named(tmp_path: Path, arguments: str, words: str) -> None:
    call = json.dumps([{"name": "a", "arguments": {}}])
    tools = json.dumps([{"name": "a", "description": "", "parameters": {}}])
    good = {"query": "q", "answers": call, "tools": tools}
    bad = {**good, "answers": f'[{{"name": "a", "arguments": {arguments}}}]'}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(good) + "\n" + json.dumps(bad) + "\n")
    with pytest.raises(DataError, match=f"a.jsonl: line 2: malformed row: .*{words}"):
        read_file(path)


def test_a_file_without_rows_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n")
    with pytest.raises(DataError, match=r"a\.jsonl: holds no rows"):
        read_file(tmp_path / "a.jsonl")
    (tmp_path / "list.jsonl").write_text(json.dumps(records([2])))
    with pytest.raises(DataError, match=r"list\.jsonl: holds one list, not a row a line"):
        read_file(tmp_path / "list.jsonl")
    (tmp_path / "b.jsonl").mkdir()
    with pytest.raises(DataError, match=r"b\.jsonl: is a folder"):
        read_file(tmp_path / "b.jsonl")
