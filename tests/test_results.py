import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from compositional.columns import Column, columns_of
from compositional.config import resolve
from compositional.errors import CompositionalError, DataError, ResultsError
from compositional.results import FAILED, FINISHED, STARTED, RunFolder
from compositional.run_context import Budget, RunContext
from compositional.settings import EvaluationConfig
from compositional.streams import Streams
from compositional.tasks.scoring import score_example
from compositional.tasks.types import Call, Prediction
from tests.rounds_toy import toy_benchmark, toy_round
from tests.runs_toy import tree

CONFIG = resolve({"experiment": "e", "run": "r", "method": {"name": "lora"}, "seed": 7})
IDENTITY = {"config": CONFIG.sha256(), "model": "m" * 64, "data": "d" * 64, "device": "cpu float32"}
BENCHMARK = toy_benchmark(2)
COLUMNS = columns_of(BENCHMARK, EvaluationConfig())


class Told:
    """A tracker that notes what it is told."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, str], Mapping[str, float]] = {}
        self.lessons: dict[str, Sequence[float]] = {}
        self.result: Mapping[str, Any] | None = None

    def losses(self, lesson: str, losses: Sequence[float]) -> None:
        self.lessons[lesson] = losses

    def cell(self, row: int, column: str, means: Mapping[str, float]) -> None:
        self.cells[row, column] = means

    def finish(self, result: Mapping[str, Any]) -> None:
        self.result = result

    def close(self, *, failed: bool = False) -> None:
        pass


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "e" / "r", Told())
    folder.start(CONFIG, IDENTITY, COLUMNS, {"threads": 1, "started": "now"})
    return folder


def context() -> RunContext:
    return RunContext(streams=Streams(0), budget=Budget(steps=5))


def write(folder: RunFolder, row: int, column: Column, name: str = "get_time") -> None:
    """Answer every example by one call of one tool."""
    prediction = Prediction("raw", (Call(name, {"what": "x6"}),), (name,), 4)
    predictions = [prediction] * len(column.examples)
    scores = [score_example(e, prediction, BENCHMARK.skills) for e in column.examples]
    folder.write_cell(row, column, predictions, scores, seconds=1.5, max_new_tokens=3)


def test_a_started_run_stands_with_its_columns(folder: RunFolder) -> None:
    assert folder.status() == STARTED
    result = folder.result()
    assert result["seed"] == 7
    assert result["identity"] == IDENTITY
    assert [c["name"] for c in result["columns"]] == ["tools1", "tools2", "mixed", "unanswerable"]
    assert folder.environment()["threads"] == 1
    assert not folder.has_cell(0, COLUMNS[0])
    assert folder.cells() == []


def test_a_cell_stands_in_files_of_its_own(folder: RunFolder) -> None:
    write(folder, 1, COLUMNS[0])
    assert folder.has_cell(1, COLUMNS[0])
    assert not folder.has_cell(0, COLUMNS[0])
    assert not folder.has_cell(1, COLUMNS[1])
    (cell,) = folder.cells()
    # get_time x6, set_alarm x7, both x8; each answered by get_time x6
    assert list(cell.scores["tool_f1"]) == [1, 0, pytest.approx(2 / 3)]
    assert list(cell.scores["argument_f1"]) == [1, 0, 0]
    timing = folder.timings()["row1_tools1"]
    assert (timing["seconds"], timing["num_examples"], timing["num_tokens"]) == (1.5, 3, 12)
    assert timing["num_cut_off"] == 3  # four tokens each, where three are the limit
    lines = (folder.folder / "predictions" / "row1_tools1.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [e.id for e in COLUMNS[0].examples]
    tracker = folder.tracker
    assert isinstance(tracker, Told)
    assert tracker.cells[1, "tools1"]["tool_f1"] == pytest.approx(5 / 9)


def test_losses_and_drift_have_files_of_their_own(folder: RunFolder) -> None:
    run = context()
    run.losses["round 1"] = [2.0, 1.0]
    folder.write_training(toy_round(1), run, 3.0)
    assert json.loads((folder.folder / "training" / "lesson_tools1.json").read_text()) == {
        "round 1": [2.0, 1.0]
    }
    assert folder.timings()["lesson_tools1"]["seconds"] == 3.0
    assert run.losses == {}
    folder.write_training(toy_round(2), run, 3.0)  # a method that trains nothing
    assert not (folder.folder / "training" / "lesson_tools2.json").exists()
    folder.write_probe("drift", 2, [0.5, 1.5])
    assert folder.probed("drift") == {"2": 1.0}
    tracker = folder.tracker
    assert isinstance(tracker, Told)
    assert tracker.lessons == {"tools1": [2.0, 1.0]}


def test_a_finished_run_holds_its_matrices_and_budget(folder: RunFolder) -> None:
    for row in (0, 1, 2):
        write(folder, row, COLUMNS[0], "get_time" if row else "play_song")
    write(folder, 2, COLUMNS[3])
    folder.finish(context())
    assert folder.status() == FINISHED
    result = folder.result()
    matrix = result["matrices"]["tool_f1"]
    assert matrix["tools1"] == {"0": 0, "1": pytest.approx(5 / 9), "2": pytest.approx(5 / 9)}
    assert matrix["tools2"] == {}
    assert matrix["unanswerable"] == {"2": 0}
    assert result["budget"]["steps"] == 5
    tracker = folder.tracker
    assert isinstance(tracker, Told)
    assert tracker.result == result


def test_a_failed_run_keeps_what_stands_and_its_reason_until_it_goes_on(folder: RunFolder) -> None:
    write(folder, 0, COLUMNS[0])
    expected = tree(folder.folder)
    folder.fail("ValueError: no")
    assert folder.status() == FAILED
    assert folder.result()["reason"] == "ValueError: no"
    folder.resume(CONFIG)
    assert tree(folder.folder) == expected


@pytest.mark.parametrize("part", ["model", "data", "device"])
def test_another_model_data_or_device_is_named(folder: RunFolder, part: str) -> None:
    folder.check_identity(IDENTITY)
    folder.check_identity({**IDENTITY, "config": "compared elsewhere"})
    with pytest.raises(ResultsError, match=f"was started with another {part} "):
        folder.check_identity({**IDENTITY, part: "x" * 64})


def test_a_folder_without_a_run_has_no_status(tmp_path: Path) -> None:
    assert RunFolder(tmp_path / "none").status() is None
    (tmp_path / "empty").mkdir()
    assert RunFolder(tmp_path / "empty").status() is None


@pytest.mark.parametrize("text", ["[]", "{}", '{"status": "done"}', "3"])
def test_something_else_in_the_place_of_a_result(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ResultsError, match="is no result of a run"):
        RunFolder(tmp_path).status()


def test_a_damaged_result_and_one_of_another_version_are_one_line(folder: RunFolder) -> None:
    path = folder.folder / "result.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps({**result, "schema_version": 99}))
    with pytest.raises(ResultsError, match="has schema version 99; this program reads 1"):
        folder.result()
    path.write_text(path.read_text()[:-9])
    with pytest.raises(DataError, match=r"result\.json: line 1: not JSON"):
        folder.status()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "e").touch()
    with pytest.raises(CompositionalError, match="cannot write"):
        RunFolder(tmp_path / "e" / "r").start(CONFIG, IDENTITY, COLUMNS, {})


def test_everything_goes_into_one_file_where_asked(folder: RunFolder, tmp_path: Path) -> None:
    write(folder, 1, COLUMNS[0])
    folder.finish(context())
    folder.export(tmp_path / "out.json")
    exported = json.loads((tmp_path / "out.json").read_text())
    assert exported["status"] == FINISHED
    assert [line["raw"] for line in exported["predictions"]["row1_tools1"]] == ["raw"] * 3
