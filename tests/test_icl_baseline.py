import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from compositional.files import read_json
from compositional.icl_baseline import main
from compositional.methods.prompts import INSTRUCTION
from tests.runs_toy import error_line, toy_flags

Go = Callable[..., int]


@pytest.fixture
def go(tmp_path: Path, toy_model_folder: Path) -> Go:
    """Runs the entry point on the toy model and data, with further flags."""
    return lambda *more: main(toy_flags(tmp_path, toy_model_folder, *more))


def settings(folder: Path, run: str) -> dict:
    return yaml.safe_load((folder / "results" / "e" / run / "config.yaml").read_text())


def test_icl_with_demonstrations(go: Go, tmp_path: Path) -> None:
    flags = ("--demonstrations", "1", "--tool_format", "full", "--batch_size", "3")
    assert go(*flags, "--max_samples", "2", "--demo", "2") == 0
    found = settings(tmp_path, "icl")
    assert found["method"] == {
        "name": "icl",
        "demonstrations": 1,
        "tool_format": "full",
        "instruction": INSTRUCTION,
    }
    assert found["evaluation"]["batch_size"] == 3
    assert found["evaluation"]["max_examples"] == 2
    assert len(read_json(tmp_path / "results/e/icl/scores/row1_tools1-2.json")["example_ids"]) == 2


def test_rag_with_an_output_of_all_answers(go: Go, tmp_path: Path) -> None:
    output = tmp_path / "new" / "icl_results.json"
    assert (
        go(
            "--use_rag",
            "--retrieval_k",
            "2",
            "--output",
            str(output),
            "--demonstrations",
            "1",
            "--instruction",
            "Use tools.",
        )
        == 0
    )
    method = settings(tmp_path, "rag")["method"]
    assert (method["k"], method["demonstrations"]) == (2, 1)
    assert method["instruction"] == "Use tools."
    written = read_json(output)
    assert written["status"] == "finished"
    assert written["matrices"]["tool_f1"]["tools1-2"]
    assert len(written["predictions"]["row2_tools3-4"]) == 4
    assert {"raw", "calls", "id"} <= set(written["predictions"]["row2_tools3-4"][0])


def test_a_test_file_alone_is_asked_as_in_the_seed(
    tmp_path: Path, toy_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record = {"user_input": "Ask", "tools": ["alpha"], "function_calls": ["{}"]}
    Path("test.json").write_text(json.dumps([record]))
    tools = {"alpha": {"name": "alpha", "description": "Does.", "parameters": {}}}
    Path("tools.json").write_text(json.dumps(tools))
    flags = ["--model_name", str(toy_model_folder), "--device", "cpu", "--max_new_tokens", "3"]
    data = ["--test_data", "test.json", "--tool_descriptions", "tools.json", "--no_drift"]
    assert main([*flags, *data]) == 0
    result = read_json(Path("results/default/icl/result.json"))
    assert [column["n"] for column in result["columns"]] == [1]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--retrieval_k", "5"), "--retrieval_k has no effect without --use_rag: leave it out"),
        (("--retriever", "dense"), "--retriever has no effect without --use_rag"),
        (("--use_rag", "--retriever", "bm52"), "unknown retriever 'bm52'; did you mean 'bm25'?"),
        (("--use_rag", "--retrieval_k", "0"), "k is 0; it must be 1 or more"),
        (("--demonstrations", "-1"), "demonstrations is -1; it must be 0 or more"),
        (("--tool_format", "ful"), "unknown tool format 'ful'; did you mean 'full'?"),
        (("--test_data", "a.json", "--test_file", "b.json"), "are one thing: give one of them"),
        (("--test_data", "a.json"), "leave out training_rounds"),
        (("--max_samples", "0"), "evaluation.max_examples is 0; it must be 1 or more"),
        (("--batch_size", "0"), "evaluation.batch_size is 0; it must be 1 or more"),
        (("--output", "FILE/x.json"), "cannot write the output"),
        (("--output", "FOLDER"), "it is a folder"),
        (("--max_length", "300", "--demonstrations", "3"), "over the window of 300"),
        (("--lr", "1"), "unknown flag --lr"),
        (("--use_rga",), "did you mean 'use_rag'?"),
    ],
)
def test_bad_flags_are_one_line_before_anything_is_asked(
    go: Go, tmp_path: Path, flags: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    places = {"FILE": str(tmp_path / "file"), "FOLDER": str(tmp_path)}
    for name, place in places.items():
        flags = tuple(word.replace(name, place) for word in flags)
    assert go(*flags) == 2
    assert words in error_line(capsys)
    assert not (tmp_path / "results").exists()
