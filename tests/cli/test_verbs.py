import json
import re
from pathlib import Path
from typing import Any

import pytest

from compositional.cli.main import main
from compositional.files import read_json
from tests.runs_toy import error_line, toy_settings


@pytest.fixture
def experiment(tmp_path: Path, toy_model_folder: Path) -> Path:
    """An experiment file of two runs."""
    settings = toy_settings(tmp_path, toy_model_folder)
    del settings["run"], settings["method"]
    runs = {"icl": {"method": "icl"}, "zero": {"method": "zero_shot"}}
    path = tmp_path / "e.yaml"
    path.write_text(json.dumps({**settings, "runs": runs}))
    return path


def result(folder: Path, run: str, experiment: str = "e") -> dict[str, Any]:
    return read_json(folder / "results" / experiment / run / "result.json")


def test_run_then_report_then_publish(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(experiment), "--evaluation.batch_size", "3"]) == 0
    shown = capsys.readouterr()
    assert "zero: after round 2, tools3-4: tool F1" in shown.err
    assert re.search(r"(icl|zero) \(1 of 2\) answers: +0%", shown.err)
    assert result(tmp_path, "icl")["status"] == result(tmp_path, "zero")["status"] == "finished"
    folder = str(tmp_path / "results" / "e")
    for table_format, start in (("markdown", "Matrices"), ("latex", "%"), ("csv", "run,method")):
        assert main(["report", folder, "--format", table_format]) == 0
        assert start in capsys.readouterr().out
    page = tmp_path / "page.html"
    assert main(["report", folder, "--output", str(page)]) == 0
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert main(["publish", folder, str(tmp_path / "kept")]) == 0
    assert main(["publish", folder, str(tmp_path / "kept")]) == 0
    assert f"kept in {tmp_path / 'kept'}: nothing new" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    with_kept = ["report", str(tmp_path / "empty"), "--published", str(tmp_path / "kept")]
    assert main([*with_kept, "--format", "csv"]) == 0
    assert "\nicl," in capsys.readouterr().out


def test_one_run_one_method_another_experiment(experiment: Path, tmp_path: Path) -> None:
    assert main(["run", str(experiment), "--run", "icl", "--quiet", "--experiment", "x"]) == 0
    assert result(tmp_path, "icl", "x")["status"] == "finished"
    assert not (tmp_path / "results" / "e").exists()
    assert main(["run", str(experiment), "--quiet=True", "--method", "constant"]) == 0
    assert result(tmp_path, "constant")["method"]["name"] == "constant"
    assert main(["run", str(experiment), "--resume", "false", "--run=zero", "--quiet"]) == 0


@pytest.mark.parametrize("form", [["--dry_run"], ["--dry_run=true"], ["--dry_run", "True"]])
@pytest.mark.parametrize("last", [True, False])
def test_switches_take_every_form(
    experiment: Path, tmp_path: Path, form: list[str], last: bool
) -> None:
    argv = [str(experiment), *form] if last else [*form, str(experiment)]
    assert main(["run", *argv, "--no_quiet"]) == 0
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["FILE", "--run", "ilc"], "the experiment has no run 'ilc'; did you mean 'icl'?"),
        (["FILE", "--method", "ilc"], "unknown method 'ilc'; did you mean 'icl'?"),
        (["FILE", "--resum"], "compositional run: unknown flag --resum; did you mean 'resume'?"),
        (["FILE", "--exp", "x"], "compositional run: unknown flag --exp"),
        (["FILE", "--training.batch", "4"], "did you mean 'training.batch_size'?"),
        (["FILE", "--training.batch_size", "x"], "training.batch_size is x; it must be a whole"),
        (["FILE", "--experiment", "a/b"], "must be a plain folder name"),
        (["FILE", "more.yaml"], "unexpected argument 'more.yaml'"),
        (["nowhere.yaml"], "nowhere.yaml: no such file of settings"),
        ([], "compositional run: the following arguments are required: experiment_file"),
    ],
)
def test_bad_runs_are_one_line(
    experiment: Path,
    tmp_path: Path,
    argv: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", *(word.replace("FILE", str(experiment)) for word in argv)]) == 2
    assert words in error_line(capsys)
    assert not (tmp_path / "results").exists()


def test_a_failed_run_of_several_ends_in_one_line_and_a_code(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "results" / "e" / "icl"
    blocked.mkdir(parents=True)
    (blocked / "timings").touch()
    assert main(["run", str(experiment), "--quiet"]) == 2
    shown = capsys.readouterr()
    assert shown.err.splitlines()[-1].startswith("error: 1 of 2 runs failed (icl: cannot write")
    assert "zero" in shown.out
    assert result(tmp_path, "zero")["status"] == "finished"


RECORDS = [
    {"user_input": "a", "tools": ["alpha"], "function_calls": ['{"number": 1}']},
    {"user_input": "b", "tools": ["bravo"], "function_calls": ['{"number": 2}']},
]
RIGHT = {"calls": [{"name": "alpha", "arguments": {"number": 1}}]}
WRONG = {"calls": None}


def score(folder: Path, lines: list[Any], *more: str) -> int:
    (folder / "R.json").write_text(json.dumps(RECORDS))
    (folder / "P.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    files = ["--predictions", str(folder / "P.jsonl"), "--references", str(folder / "R.json")]
    return main(["score", *files, *more])


@pytest.mark.parametrize("form", [["--json"], ["--json=True"], ["--json", "true"]])
def test_scores_from_files_alone(
    tmp_path: Path, form: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(tmp_path, [RIGHT, WRONG], *form) == 0
    shown = json.loads(capsys.readouterr().out)
    text = json.dumps(shown)
    assert '"tool_f1": 0.5' in text
    assert '"parse_error_rate": 0.5' in text
    assert score(tmp_path, [RIGHT, WRONG]) == 0
    assert "tool_f1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("lines", "more", "words"),
    [
        ([RIGHT], (), "line 2: missing"),
        ([RIGHT, WRONG, WRONG], (), "line 3: surplus"),
        ([RIGHT, 5], (), "line 2: expected an object"),
        ([RIGHT, WRONG], ("--tool_descriptions", "nowhere.json"), "nowhere.json: no such file"),
        ([RIGHT, WRONG], ("--prediction", "x"), "did you mean 'predictions'?"),
        ([RIGHT, WRONG], ("stray",), "compositional score: unrecognized arguments: stray"),
    ],
)
def test_bad_scores_are_one_line(
    tmp_path: Path,
    lines: list[Any],
    more: tuple[str, ...],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert score(tmp_path, lines, *more) == 2
    assert words in error_line(capsys)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["convert", "hwu46", "x", "--output", "y.jsonl"], "did you mean 'hwu64'?"),
        (["convert", "sgd", "nowhere", "--output", "y.jsonl"], "nowhere: no such folder"),
        (["convert", "sgd", "nowhere", "--output", "y.txt"], "must end in .jsonl"),
        (["convert", "sgd"], "compositional convert: the following arguments are required"),
        (["report", "nowhere"], "nowhere"),
        (["report", "nowhere", "--format", "latx"], "did you mean 'latex'?"),
        (["publish", "nowhere", "kept"], "nowhere holds no finished run"),
        (["publish", "nowhere", "kept", "--forse"], "compositional publish: unknown flag --forse"),
        (["score", "--references", "x"], "the following arguments are required: --predictions"),
    ],
)
def test_other_verbs_refuse_on_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argv: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    assert words in error_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_set_is_converted_to_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "merged").mkdir()
    entity = {"start": 11, "end": 18, "value": "five am", "entity": "time"}
    example = {"text": "wake me at five am", "intent": "alarm_set", "entities": [entity]}
    rasa = {"rasa_nlu_data": {"common_examples": [example]}}
    (tmp_path / "merged" / "RasaNlu_1.json").write_text(json.dumps(rasa))
    folder = tmp_path
    output = tmp_path / "rows.jsonl"
    assert main(["convert", "hwu64", str(folder), "--output", str(output)]) == 0
    (row,) = [json.loads(line) for line in output.read_text().splitlines()]
    assert json.loads(row["answers"])[0]["arguments"] == {"time": "five am"}
    capsys.readouterr()
    assert main(["convert", "hwu64", str(folder), "--output", str(output)]) == 2
    assert "exists; remove it or choose another name" in error_line(capsys)
