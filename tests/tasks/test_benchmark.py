import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compositional.errors import ConfigError, DataError
from compositional.files import canonical_json, read_json, sha256_text, write_json
from compositional.tasks.benchmark import Benchmark, DataConfig, prepare
from compositional.tasks.types import Example
from tests.tasks.sources.test_bfcl import call, folder_with, question
from tests.tasks.toy_rows import source_file

ROWS = (30, 29, 28, 27, 26, 25)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return source_file(tmp_path, ROWS)


def _config(path: Path, /, **changes: Any) -> DataConfig:
    settings: dict[str, Any] = {
        "source": str(path),
        "data_dir": path.parent / "data",
        "training_rounds": "1-2:3,5-6",
        "train_size": 45,
        "test_size": 6,
        "train_max_function_calls": 2,
        "test_max_function_calls": 2,
    }
    return DataConfig(**settings | changes)


def _calls(examples: tuple[Example, ...]) -> list[int]:
    return [len(example.steps or ()) for example in examples]


def test_rounds_are_built_and_loaded_in_the_order_taught(source: Path) -> None:
    benchmark = prepare(_config(source, num_mixed=4), 1)
    one, two = benchmark.rounds
    assert (one.index, one.name, one.epochs) == (1, "tools1-2", 3)
    assert (two.index, two.name, two.epochs) == (2, "tools5-6", 1)
    assert [skill.name for skill in two.skills] == ["echo", "foxtrot"]
    assert list(benchmark.skills) == ["alpha", "bravo", "echo", "foxtrot"]
    assert _calls(one.train) == [1] * 43 + [2] * 2
    assert _calls(one.test) == [1] * 3 + [2] * 3
    assert {e.round for e in (*two.train, *two.validation, *two.test)} == {2}
    assert _calls(benchmark.mixed) == [2] * 4
    assert {e.round for e in benchmark.mixed} == {None}
    assert benchmark.unanswerable == ()
    assert benchmark.manifest_sha256 == sha256_text(canonical_json(benchmark.manifest))
    assert benchmark.manifest["rounds"][0]["source"]["licence"] == "not stated"
    assert benchmark.summary()[2] == (
        "tools1-2 test: 6 examples of 9 distinct base queries; numbers of calls: 3 of 1, 3 of 2"
    )


def num_mixed(config: DataConfig) -> int:
    return len(prepare(config, 1).mixed)


def test_a_mixed_set_is_asked_unless_told_otherwise(source: Path) -> None:
    assert num_mixed(_config(source)) == 6  # as many as a test set
    assert num_mixed(_config(source, num_mixed=2, data_dir=source.parent / "two")) == 2
    assert num_mixed(_config(source, num_mixed=0)) == 0
    assert num_mixed(_config(source, training_rounds="1-2")) == 0
    one_call = {"test_max_function_calls": 1, "test_size": 2, "data_dir": source.parent / "one"}
    assert num_mixed(_config(source, **one_call)) == 0


def test_a_folders_own_mixed_set_is_taken(source: Path) -> None:
    prepare(_config(source, num_mixed=2), 1)
    assert num_mixed(_config(source)) == 2
    source.unlink()
    assert num_mixed(_config(source, source=None)) == 2
    for path in (source.parent / "data").rglob("*mixed*"):
        path.unlink()
    assert num_mixed(_config(source, source=None)) == 0  # nothing to build it from
    for path in (source.parent / "data").glob("manifest*"):
        path.unlink()
    assert num_mixed(_config(source, source=None)) == 0  # files made by hand


def test_the_same_files_are_loaded_again_without_the_source(source: Path) -> None:
    built = prepare(_config(source), 1)
    config = _config(source, source=None, train_size=None, test_size=None)
    source.unlink()
    assert prepare(config, 1) == built


def test_the_default_folder_names_source_and_seed(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    prepare(_config(source, data_dir=None), 5)
    prepare(_config(source, data_dir=None, data_seed=7), 5)
    folders = sorted(path.name for path in (source.parent / "data").iterdir())
    assert folders == [f"{source.parent.name}-toy-seed5", f"{source.parent.name}-toy-seed7"]


def test_the_data_seed_moves_the_split_and_the_runs_seed_does_not(source: Path) -> None:
    def test_ids(seed: int, data_seed: int | None) -> set[tuple[str, ...]]:
        folder = source.parent / f"{seed}-{data_seed}"
        benchmark = prepare(_config(source, data_dir=folder, data_seed=data_seed), seed)
        return {e.base_ids for e in benchmark.rounds[0].test}

    assert test_ids(1, 9) == test_ids(2, 9) != test_ids(1, None)


@pytest.mark.parametrize(
    ("changes", "seed", "words"),
    [
        ({"train_size": 46}, 1, "asked for train_size 46 and found train_size 45"),
        ({"test_size": 5}, 1, "asked for test_size 5 and found test_size 6"),
        ({"samples_per_tool": 3}, 1, "asked for samples_per_tool 3"),
        ({"test_one_call": False}, 1, "asked for test_one_call false"),
        ({}, 2, "asked for data_seed 2 and found data_seed 1"),
        ({"source": "bfcl"}, 1, 'asked for source "bfcl" and found source "toy.jsonl"'),
        ({"num_mixed": 3}, 1, "asked for num_mixed 3 and found num_mixed 2"),
    ],
)
def test_files_that_do_not_match_stop_the_run(
    source: Path, changes: dict[str, Any], seed: int, words: str
) -> None:
    prepare(_config(source, num_mixed=2), 1)
    with pytest.raises(DataError, match=words):
        prepare(_config(source, **{"num_mixed": 2} | changes), seed)


def test_another_file_under_the_same_name_is_another_source(source: Path) -> None:
    prepare(_config(source), 1)
    source_file(source.parent, (30, 29, 28, 27, 26, 24))
    with pytest.raises(DataError, match=r"asked for source_sha256 .* and found source_sha256"):
        prepare(_config(source), 1)
    with pytest.raises(DataError, match=r"made from toy.jsonl: name that file with --source"):
        prepare(_config(source, source=None, training_rounds="1-2:3,3-4"), 1)


def test_unset_values_mean_defaults_where_exactness_is_asked_for(source: Path) -> None:
    prepare(_config(source, samples_per_tool=5), 1)
    assert prepare(_config(source), 1).rounds[0].train
    with pytest.raises(DataError, match="asked for samples_per_tool null and found"):
        prepare(_config(source), 1, exact=True)


def test_runs_with_other_rounds_share_a_folder(source: Path) -> None:
    one = prepare(_config(source), 1)
    other = prepare(_config(source, training_rounds="3-4,1-2"), 1)
    assert other.rounds[1].test == tuple(replace(e, round=2) for e in one.rounds[0].test)


def test_adaptation_is_taught_before_the_rounds_and_is_no_column(source: Path) -> None:
    benchmark = prepare(_config(source, adaptation_tools="3-4:2"), 1)
    assert benchmark.adaptation is not None
    assert (benchmark.adaptation.index, benchmark.adaptation.epochs) == (0, 2)
    assert len(benchmark.rounds) == 2
    assert list(benchmark.skills) == ["charlie", "delta", "alpha", "bravo", "echo", "foxtrot"]


def test_limits_per_round_go_into_the_names_of_files(source: Path) -> None:
    benchmark = prepare(_config(source, test_max_function_calls_per_round=(1, 2)), 1)
    assert [max(_calls(r.test)) for r in benchmark.rounds] == [1, 2]
    folder = source.parent / "data" / "test"
    assert (folder / "function_calling_test_tools1-2_1calls.json").is_file()
    assert (folder / "function_calling_test_tools5-6_2calls.json").is_file()


def test_bfcl_keeps_alternatives_and_has_unanswerable_queries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = call(city=["Bonn", "Bonn, DE"], unit=["metric", ""])
    rows = [(question(f"q{n}", f"Rain in Bonn on {n} May?"), truth) for n in range(10)]
    folder = folder_with(tmp_path, rows)
    queries = [question("i1", "How is the weather?"), question("i2", "Who wrote Emma?")]
    lines = "\n".join(json.dumps(query) for query in queries)
    (folder / "BFCL_v4_irrelevance.json").write_text(lines)
    monkeypatch.setattr("compositional.packages.bfcl_folder", lambda: folder)
    config = DataConfig(
        data_dir=tmp_path / "data",
        training_rounds="1-1",
        train_size=7,
        test_size=2,
        train_max_function_calls=1,
        test_max_function_calls=1,
        num_unanswerable=1,
    )
    benchmark = prepare(config, 1)
    (step,) = benchmark.rounds[0].test[0].steps or ()
    assert json.loads(step.response) == {"city": "Bonn"}
    assert step.acceptable == truth[0]["geo.weather"]
    assert all(s.acceptable is None for e in benchmark.rounds[0].train for s in e.steps or ())
    assert [(e.id, e.query, e.steps) for e in benchmark.unanswerable] == [
        ("i2", "Who wrote Emma?", ())
    ]
    assert benchmark.manifest["rounds"][0]["cleaning"]["with_system_message"] == 0
    with pytest.raises(DataError, match="2 unanswerable queries are asked for and 1 are left"):
        prepare(replace(config, data_dir=tmp_path / "other", num_unanswerable=2), 1)


def test_ranges_beyond_the_source_are_refused(source: Path) -> None:
    with pytest.raises(ConfigError, match="range 5-7 reaches beyond the 6 tools"):
        prepare(_config(source, training_rounds="1-2,5-7"), 1)
    assert not list((source.parent / "data").rglob("*.json"))


# Files made by hand


def _by_hand(folder: Path, tests: dict[str, str] | None = None) -> DataConfig:
    """Two rounds of two tools; test sets hold one call of each tool given."""
    rounds = {"1-2": ("ask", "stop"), "3-4": ("play", "wait")}
    for tools, names in rounds.items():
        for split, folder_name in (("train", "training"), ("test", "test")):
            called = [(tests or {}).get(tools, names[0])] if split == "test" else names
            rows = [
                {"user_input": f"Do {n}", "tools": [n], "function_calls": ["{}"]} for n in called
            ]
            name = f"function_calling_{split}_tools{tools}_4calls.json"
            write_json(folder / folder_name / name, rows)
    return DataConfig(training_rounds="1-2:2,3-4:2", data_dir=folder)


def test_files_made_by_hand_are_loaded_by_their_names(tmp_path: Path) -> None:
    benchmark = prepare(_by_hand(tmp_path), 1)
    assert [[skill.name for skill in r.skills] for r in benchmark.rounds] == [
        ["ask", "stop"],
        ["play", "wait"],
    ]
    assert benchmark.skills["ask"].parameters["properties"] == {}
    assert benchmark.rounds[0].validation == ()
    assert all(manifest["by_hand"] for manifest in benchmark.manifest["rounds"])


def test_a_tool_in_the_test_set_that_no_round_teaches_is_named(tmp_path: Path) -> None:
    config = _by_hand(tmp_path, tests={"3-4": "jump"})
    with pytest.raises(DataError, match=r"test_tools3-4_4calls.json: record 1 calls 'jump'"):
        prepare(config, 1)


def test_a_tool_of_two_rounds_is_named(tmp_path: Path) -> None:
    config = _by_hand(tmp_path)
    path = tmp_path / "training" / "function_calling_train_tools3-4_4calls.json"
    write_json(path, [*read_json(path), *read_json(Path(str(path).replace("3-4", "1-2")))])
    with pytest.raises(DataError, match="'ask' is taught by tools1-2 and again by tools3-4"):
        prepare(config, 1)


@pytest.mark.parametrize(("split", "folder"), [("train", "training"), ("test", "test")])
def test_empty_and_missing_files_are_named(tmp_path: Path, split: str, folder: str) -> None:
    config = _by_hand(tmp_path)
    path = tmp_path / folder / f"function_calling_{split}_tools3-4_4calls.json"
    write_json(path, [])
    with pytest.raises(DataError, match=rf"{path.name}: the {split}\w* set is empty"):
        prepare(config, 1)
    path.write_text('[{"user_input": "Do"}]')
    with pytest.raises(DataError, match=rf"{path.name}: line \d+ \(record 1\): malformed row"):
        prepare(config, 1)
    path.unlink()
    with pytest.raises(DataError, match=rf"{path.name} is missing"):
        prepare(config, 1)


def test_a_tool_without_a_description_is_named_where_there_are_some(tmp_path: Path) -> None:
    config = _by_hand(tmp_path)
    write_json(tmp_path / "tool_descriptions_tools1-2.json", {"ask": {"name": "ask"}})
    with pytest.raises(DataError, match="does not describe 'stop'"):
        prepare(config, 1)


# A single round out of two files


def _single(folder: Path) -> None:
    rows = [{"user_input": "Do ask", "tools": ["ask"], "function_calls": ['{"x": 1}']}]
    write_json(folder / "function_calling_train.json", rows)
    write_json(folder / "function_calling_test.json", rows)


def test_two_files_of_the_current_folder_make_a_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _single(tmp_path)
    monkeypatch.chdir(tmp_path)
    benchmark = prepare(DataConfig(epochs=3), 1)
    (round_,) = benchmark.rounds
    assert (round_.index, round_.name, round_.epochs) == (1, "single", 3)
    assert len(round_.train) == len(round_.test) == 1
    assert set(benchmark.manifest["rounds"][0]["files"]) == {
        "function_calling_train.json",
        "function_calling_test.json",
    }


def test_a_test_file_with_tools_alone_trains_nothing(tmp_path: Path) -> None:
    _single(tmp_path)
    tools = {"ask": {"name": "ask", "parameters": {"x": {"type": "int"}}}}
    write_json(tmp_path / "tools.json", tools)
    config = DataConfig(
        test_file=tmp_path / "function_calling_test.json", tool_descriptions=tmp_path / "tools.json"
    )
    benchmark: Benchmark = prepare(config, 1)
    assert benchmark.rounds[0].train == ()
    assert benchmark.skills["ask"].parameters["required"] == ["x"]
    with pytest.raises(DataError, match=r"function_calling_train.json: no such file"):
        prepare(replace(config, tool_descriptions=None), 1)


def test_every_record_is_json_of_arguments(source: Path) -> None:
    prepare(_config(source), 1)
    name = "function_calling_train_tools1-2_2calls.json"
    for record in read_json(source.parent / "data" / "training" / name):
        assert list(record) == ["id", "user_input", "tools", "function_calls", "base_ids"]
        assert all(isinstance(json.loads(call), dict) for call in record["function_calls"])
