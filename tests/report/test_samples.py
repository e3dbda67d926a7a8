import shutil
from pathlib import Path

import pytest

from compositional.config import resolve
from compositional.files import write_json
from compositional.report.loading import load_experiment
from compositional.report.run_view import RunView
from compositional.report.samples import MAX_CHARACTERS, read_questions, read_samples
from compositional.tasks.benchmark import prepare
from compositional.tasks.round_files import example_record
from compositional.tasks.types import Prediction
from tests.report.runs import example, right, write_run


@pytest.fixture
def run(tmp_path: Path) -> RunView:
    """A run with its round files: of each round one example right, one wrong, one unparsed."""
    data = tmp_path / "data"
    for index, tool in ((1, "a"), (2, "b")):
        asked = [example(f"{tool}{k}", tool, index) for k in range(3)]
        records = [example_record(e, scored=True) for e in asked]
        for split, folder in (("train", "training"), ("test", "test")):
            name = f"function_calling_{split}_tools{index}-{index}_1calls.json"
            write_json(data / folder / name, records)
    settings = {
        "data": {
            "data_dir": str(data),
            "training_rounds": "1-1,2-2",
            "train_max_function_calls": 1,
            "test_max_function_calls": 1,
        }
    }
    config = resolve({**settings, "run": "lora", "method": {"name": "lora"}})
    benchmark = prepare(config.data, config.seed)

    def answer(row, column, place, asked):  # type: ignore[no-untyped-def]
        if place == 1:
            return Prediction("x" * 2000, None)
        return right(row if place != 2 else 0, column, place, asked)

    folder = tmp_path / "results" / "lora"
    write_run(folder, {"name": "lora"}, benchmark, answer, settings=settings)
    return load_experiment(folder.parent).finished[0]


def test_right_and_wrong_ones_with_what_was_asked(run: RunView) -> None:
    questions = read_questions(run)
    assert questions.absent == ""
    samples = read_samples(run, questions)
    assert samples is not None
    assert [(s.column, s.example_id, s.is_right) for s in samples] == [
        ("tools1-1", "a0", True),
        ("tools2-2", "b0", True),
        ("tools1-1", "a1", False),
        ("tools2-2", "b1", False),
    ]
    assert samples[0].query == "Query of a0"
    assert samples[0].expected == samples[0].predicted == ['a(city="Rome")']
    assert samples[2].predicted is None
    assert samples[2].raw == f"{'x' * MAX_CHARACTERS} … (1300 more characters)"


def test_other_round_files_are_not_shown(run: RunView, tmp_path: Path) -> None:
    path = tmp_path / "data" / "test" / "function_calling_test_tools1-1_1calls.json"
    write_json(path, [example_record(example("a0", "a", 1, "other"), scored=True)])
    questions = read_questions(run)
    assert "not those that the run was asked from" in questions.absent
    samples = read_samples(run, questions)
    assert samples is not None
    assert samples[0].query is None
    assert samples[0].predicted == ['a(city="Rome")']


def test_nothing_is_built_for_a_report(run: RunView, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data")
    assert "is not there" in read_questions(run).absent
    assert not (tmp_path / "data").exists()


def test_predictions_that_were_not_kept(run: RunView) -> None:
    shutil.rmtree(run.files.folder / "predictions")
    assert read_samples(run, read_questions(run)) is None
