"""The command: lines, exit status, record, and what is refused before anything is spent."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from compositional.cli.main import main
from compositional.errors import CompositionalError, ConfigError
from compositional.files import read_json
from compositional.methods.text_rag import TextRagConfig
from compositional.validation.milestones import MILESTONES
from compositional.validation.trial import Bench
from compositional.validation.validate import validate
from tests.runs_toy import error_line

RAG = {"text_rag": replace(MILESTONES["text_rag"], config=TextRagConfig(k=1))}


def test_a_line_a_check_and_status_0_where_all_pass(bench: Bench, tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "new" / "record.json"
    assert validate(bench, ["text_rag"], path, said.append, RAG) == 0
    *lines, last = said
    assert len(lines) == len(RAG["text_rag"].checks)
    for line, check in zip(lines, RAG["text_rag"].checks, strict=True):
        assert line.startswith(f"pass  text_rag: {check.what}: ")
        assert "(needed: " in line
        assert line.endswith(" s")
    assert last.startswith(f"1 strategies, {len(lines)} checks, 0 failed, ")
    record = read_json(path)
    assert record["status"] == "finished"
    assert record["failed"] == 0
    assert [line["check"] for line in record["lines"]] == [c.what for c in RAG["text_rag"].checks]
    assert record["dtype"] == "float32"
    assert record["model_sha256"] == bench.load().sha256
    assert {"git", "packages", "processor", "started", "device"} <= set(record["environment"])
    table = path.with_suffix(".md").read_text()
    assert table.count(" pass |") == len(lines)
    assert "finished after" in table


def test_status_1_where_one_fails_and_the_others_go_on(bench: Bench, tmp_path: Path) -> None:
    broken = {"empty": replace(RAG["text_rag"], config=TextRagConfig(prompt_tokens=1)), **RAG}
    said: list[str] = []
    assert validate(bench, (), tmp_path / "r.json", said.append, broken) == 1
    assert any(line.startswith("FAIL  empty: right answers gain on wrong ones") for line in said)
    assert sum(line.startswith("pass  text_rag: ") for line in said) == 4
    record = read_json(tmp_path / "r.json")
    assert record["failed"] == sum(not line["passed"] for line in record["lines"]) > 0
    assert "FAIL" in (tmp_path / "r.md").read_text()


def test_a_record_that_was_cut_off_says_so(bench: Bench, tmp_path: Path) -> None:
    def say(line: str) -> None:
        if "saved state" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        validate(bench, (), tmp_path / "r.json", say, RAG)
    record = read_json(tmp_path / "r.json")
    assert record["status"] == "running"
    assert len(record["lines"]) == 2


def test_the_verb_fails_on_a_model_that_learns_nothing(
    toy_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A random model cannot read: its milestone of text_rag must not pass."""
    path = tmp_path / "r.json"
    words = ["--device", "cpu", "--model", str(toy_model_folder), "--strategy", "text_rag"]
    assert main(["validate", *words, "--output", str(path)]) == 1
    printed = capsys.readouterr().out
    assert "FAIL  text_rag: right answers gain on wrong ones" in printed
    record = json.loads(path.read_text())
    assert record["questions"] == 8
    assert record["strategies"] == ["text_rag"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--strategy", "dual_mpl"], "unknown strategy 'dual_mpl'; did you mean 'dual_mlp'?"),
        (["--strategy", "text_rag", "zero_shot"], "unknown strategy 'zero_shot'"),
        (["--device", "cuda"], "device 'cuda' is not here; choose auto or cpu"),
        (["--device", "gpu"], "device 'gpu' is none"),
        (["--model", "nowhere"], "unknown model 'nowhere'"),
        (["--output", "record.txt"], "must end in .json"),
        (["--output", "file/record.json"], "cannot write file/record.json"),
        (["--stratgy", "text_rag"], "did you mean 'strategy'?"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_is_spent(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    if "cuda" in words and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert main(["validate", *words]) == 2
    assert message in error_line(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_record_in_the_place_of_a_folder_is_refused(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "r.json").mkdir()
    with pytest.raises(CompositionalError, match=r"cannot write .*r\.json: Is a directory"):
        validate(bench, (), tmp_path / "r.json", print, RAG)
    with pytest.raises(ConfigError, match="must end in"):
        validate(bench, (), tmp_path / "record", print, RAG)
