import subprocess
import sys
from pathlib import Path

import pytest

from compositional.files import read_json
from compositional.tasks.benchmark import DataConfig, prepare
from compositional.xlam_datasets import XlamDatasetsFlags, main, xlam_datasets
from tests.tasks.toy_rows import source_file

ROOT = Path(__file__).parent.parent


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return source_file(tmp_path, (30, 29, 28, 27, 26))


def _arguments(source: Path, *more: str) -> list[str]:
    return [
        *("--source", str(source), "--output_dir", str(source.parent / "data")),
        *("--train_size=80", "--test_size", "6", "--top_k", "1-3", "--seed", "1"),
        *("--train_max_function_calls", "3", "--test_max_function_calls=3", *more),
    ]


def test_files_have_the_names_and_records_of_the_seed(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_arguments(source)) == 0
    folder = source.parent / "data"
    train = read_json(folder / "training" / "function_calling_train_tools1-3_3calls.json")
    test = read_json(folder / "test" / "function_calling_test_tools1-3_3calls.json")
    assert (len(train), len(test)) == (80, 6)
    assert {"user_input", "tools", "function_calls"} <= set(train[0])
    assert list(read_json(folder / "tool_descriptions_tools1-3.json")) == [
        "alpha",
        "bravo",
        "charlie",
    ]
    printed = capsys.readouterr().out
    assert "tools1-3 test: 6 examples of 12 distinct base queries" in printed
    assert f"files in {folder}" in printed


def test_lists_and_switches_are_read(source: Path) -> None:
    more = (
        "--train_multi_tool_ratios",
        "0.5,0.5",
        "--no_test_one_call",
        "--max_samples_per_tool=4",
    )
    assert main(_arguments(source, *more)) == 0
    manifest = read_json(source.parent / "data" / "manifest_tools1-3_train3calls_test3calls.json")
    assert manifest["settings"]["train_multi_tool_ratios"] == [0.5, 0.5]
    assert manifest["settings"]["samples_per_tool"] == 4
    assert manifest["examples"]["train"]["by_number_of_calls"] == {"1": 12, "2": 34, "3": 34}
    assert "1" not in manifest["examples"]["test"]["by_number_of_calls"]


def test_a_run_takes_the_files_without_saying_what_they_hold(source: Path) -> None:
    folder = source.parent / "data"
    common = {"train_size": 75, "test_size": 6, "source": str(source), "output_dir": folder}
    calls = {"train_max_function_calls": 2, "test_max_function_calls": 2}
    for top_k in ("1-2", "3-4"):
        xlam_datasets(XlamDatasetsFlags(top_k=top_k, seed=1, **common, **calls))
    benchmark = prepare(DataConfig(training_rounds="1-2:1,3-4:3", data_dir=folder, **calls), 1)
    assert [len(r.train) for r in benchmark.rounds] == [75, 75]


def test_other_files_in_their_place_are_one_line_and_stay(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_arguments(source)) == 0
    assert main(_arguments(source, "--test_size", "5")) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "asked for test_size 5 and found test_size 6" in error
    assert main(_arguments(source)) == 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--top_k", "4-9"), "beyond the 5 tools"),
        (("--top_k", "x"), "range 'x' is malformed"),
        (("--source", "bfc"), "did you mean 'bfcl'"),
        (("--trian_size", "3"), "did you mean 'train_size'"),
        (("--train_size", "many"), "train_size"),
    ],
)
def test_bad_input_is_one_line(
    source: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, str], words: str
) -> None:
    assert main(_arguments(source, *more)) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "command", [["-m", "compositional.xlam_datasets"], ["compositional/xlam_datasets.py"]]
)
def test_it_runs_as_a_module_and_as_a_file(source: Path, command: list[str]) -> None:
    finished = subprocess.run(
        [sys.executable, *command, *_arguments(source)],
        cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert "files in" in finished.stdout
