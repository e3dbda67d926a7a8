"""The grid of a comparison: what it always carries, and what is set for one run alone."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from compositional.cli.main import main
from compositional.compare_documents import (
    REFERENCES,
    AceServer,
    Comparison,
    compare_documents,
    grid_of,
    presets,
)
from compositional.errors import ConfigError
from compositional.files import read_json
from compositional.states import State, save_state
from tests.playbooks.scripted import wrong_at_first
from tests.servers_toy import openai_like, serving

SERVER = AceServer("openai", "http://127.0.0.1:8080/v1", "m")


def flags(folder: Path, model: Path) -> list[str]:
    return [
        "--model.name", str(model), "--model.device", "cpu", "--documents.num_facts", "4",
        "--documents.untaught", "1", "--documents.questions_per_document", "2",
        "--documents.documents_per_round", "1", "--evaluation.max_new_tokens", "4",
        "--output.checkpoint_dir", str(folder / "checkpoints"),
    ]  # fmt: skip


def test_every_table_carries_the_references() -> None:
    """Floor, ceiling, retrieval, LoRA on the text and on self-study too, and what must forget."""
    assert set(REFERENCES) == {
        "zero_shot", "own_document", "text_rag", "text_lora", "text_lora_study", "full_finetuning",
    }  # fmt: skip
    known = presets()["runs"]
    runs = grid_of(Comparison("synthetic", ("dual_mlp", "zero_shot")))["runs"]
    assert set(runs) == {*REFERENCES, "dual_mlp"}
    assert list(runs) == [name for name in known if name in runs]
    assert all(runs[name] == known[name] for name in runs)
    assert set(grid_of(Comparison("synthetic"))["runs"]) == set(known) - {"doc2lora"}


def test_only_those_named_are_compared_where_that_is_asked() -> None:
    only = Comparison("synthetic", ("knn_lm", "zero_shot"), only=True)
    assert list(grid_of(only)["runs"]) == ["zero_shot", "knn_lm"]
    with pytest.raises(ConfigError, match="--only is for methods that are named"):
        grid_of(Comparison("synthetic", only=True))


def test_doc2lora_is_compared_where_a_hypernetwork_is_given() -> None:
    assert "doc2lora" not in grid_of(Comparison("synthetic"))["runs"]
    runs = grid_of(Comparison("synthetic", hypernetwork="h.safetensors"))["runs"]
    assert runs["doc2lora"]["method"] == {"name": "doc2lora", "hypernetwork": "h.safetensors"}
    assert set(runs) == set(presets()["runs"])
    only = Comparison("synthetic", ("zero_shot",), hypernetwork="h.safetensors", only=True)
    assert list(grid_of(only)["runs"]) == ["zero_shot"]
    with pytest.raises(ConfigError, match="doc2lora needs --hypernetwork"):
        grid_of(Comparison("synthetic", ("doc2lora",)))


def test_a_hypernetwork_of_the_documents_compared_on_is_refused(tmp_path: Path, capsys) -> None:
    source, other = tmp_path / "squad.json", tmp_path / "other.json"
    for path in (source, other):
        path.write_text("{}")
    words = ["--source", str(source), "--results_dir", str(tmp_path / "r"), "--dry_run"]
    trained = [
        ({"source": str(source)}, True),
        ({"source": str(source), "skip": 24, "seed": 42}, False),
        ({"source": str(source), "skip": 23, "seed": 42}, True),
        ({"source": str(source), "skip": 24, "seed": 41}, True),
        ({"source": str(other)}, False),
        ({"source": "needles"}, False),
    ]
    for data, is_refused in trained:
        how = {"data": data}
        path = tmp_path / "h.safetensors"
        save_state(path, State({"bias": torch.zeros(1)}, {"how": how}))
        assert main(["compare-documents", *words, "--hypernetwork", str(path)]) == 2
        line = (
            f"{path} was trained on {source}, which is compared on: train one with --skip 24 "
            "--seed 42, or on other documents"
        )
        assert (line in capsys.readouterr().err) == is_refused


def test_what_is_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--source", str(tmp_path / "none.json"), "--results_dir", str(tmp_path / "r")]
    line = "doc2lora left out: no --hypernetwork"
    for words, is_said in (([], True), (["--methods", "knn_lm"], False)):
        assert main(["compare-documents", *where, *words, "--dry_run"]) == 2
        assert (line in capsys.readouterr().err.splitlines()) == is_said


def test_a_server_plays_ace_in_its_own_run_alone() -> None:
    plain = grid_of(Comparison("synthetic", ("ace",)))["runs"]
    runs = grid_of(Comparison("synthetic", ("ace",), ace=SERVER))["runs"]
    assert {name for name in runs if runs[name] != plain[name]} == {"ace"}
    backend = {"kind": "openai", "url": "http://127.0.0.1:8080/v1", "model": "m"}
    assert runs["ace"]["method"] == {**plain["ace"]["method"], "backend": backend}
    assert runs["ace"]["documents"] == {"generation": "everywhere", "general": False}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ace_backend", "opnai"], "unknown ace_backend 'opnai'; did you mean 'openai'"),
        (["--ace_url", "http://x/v1"], "unknown ace_backend ''"),
        (["--ace_backend", "ollama", "--ace_model", "m"], "needs --ace_url"),
        (["--ace_backend", "ollama", "--ace_url", "http://x"], "needs --ace_model"),
        (["--methods", "knn_lm", "--ace_backend", "ollama", "--ace_url", "u", "--ace_model", "m"],
         "--ace_backend is for ace, which is not compared"),
        (["--methods", "dual_mpl"], "did you mean 'dual_mlp'"),
        (["--only"], "--only is for methods that are named"),
        (["--orders", "0"], "orders is 0"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    where = ["--source", "synthetic", "--results_dir", str(tmp_path / "results")]
    assert main(["compare-documents", *where, *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_comparison_is_a_grid_of_methods_and_orders(tmp_path, toy_model_folder, capsys) -> None:
    """The source is a folder of which a file is not read, and a document has no question."""
    (tmp_path / "notes").mkdir()
    rows = [
        {"name": f"d{n}", "text": f"The mill {n} is {colour}. It stands by the {river}.",
         "questions": [{"question": "Which colour?", "answers": [colour]},
                       {"question": "Which river?", "answers": [river]}]}
        for n, (colour, river) in enumerate([("red", "Ebbe"), ("blue", "Vunda"), ("grey", "Aar")])
    ]  # fmt: skip
    lines = [json.dumps(row) for row in [*rows, {"name": "bare", "text": "Nothing is asked."}]]
    (tmp_path / "notes" / "d.jsonl").write_text("\n".join(lines))
    (tmp_path / "notes" / "x.pdf").write_bytes(b"%PDF")
    source = str(tmp_path / "notes")
    comparison = Comparison(
        source, ("knn_lm",), 2, 2, results_dir=tmp_path / "r", seed=3, only=True
    )
    grid = grid_of(comparison)
    assert grid["experiment"] == "documents_notes"
    assert grid["grid"]["orders"][0] == [1, 2]
    given = [*flags(tmp_path, toy_model_folder), "--documents.general", "false"]
    left_out = [
        f"1 not read, no .txt, .md, .jsonl, .json file: {source}/x.pdf",
        "1 of 4 documents have no question and are left out: bare",
    ]
    assert compare_documents(comparison, 1, given, dry_run=True) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line in left_out] == left_out
    assert compare_documents(comparison, 1, given) == 0
    assert [line for line in capsys.readouterr().err.splitlines() if line in left_out] == left_out
    folder = tmp_path / "r" / "documents_notes"
    runs = sorted(path.parent.name for path in folder.glob("*/result.json"))
    assert runs == ["knn_lm_order1-2_seed3", "knn_lm_order2-1_seed3"]
    log = (folder / ".logs" / f"{runs[0]}.log").read_text()
    assert f"{runs[0]}: {left_out[1]}" in log
    assert (folder / "report.html").exists()
    scores, costs = ((folder / name).read_text() for name in ("scores.md", "costs.md"))
    assert scores.startswith("### Methods compared\n")
    assert [cell.strip() for cell in scores.splitlines()[4].split("|")[1:3]] == ["knn_lm", "2"]
    assert "seconds a document" in costs
    assert compare_documents(comparison, 1, given) == 0  # nothing is left to run
    assert "2 runs, 2 of them finished" in capsys.readouterr().err


def answered(body: Any) -> str:
    """A server that is wrong at first and then notes something."""
    return wrong_at_first(body, lambda said: "Something.", "It is so.")


def test_ace_on_a_server_stands_beside_the_others(tmp_path, toy_model_folder, capsys) -> None:
    given = flags(tmp_path, toy_model_folder)
    with serving(openai_like(answered)) as server:
        comparison = Comparison(
            "synthetic", ("zero_shot", "ace"), 1, 2, results_dir=tmp_path / "r", only=True,
            ace=AceServer("openai", f"{server.url}/v1", "toy-7b"),
        )  # fmt: skip
        assert compare_documents(comparison, 1, given) == 0
    printed = capsys.readouterr().out
    folder = tmp_path / "r" / "documents_synthetic"
    assert "question, playbook, a server's model (toy-7b)" in printed
    results = {
        name: read_json(folder / f"{name}_order1-2_seed42" / "result.json")
        for name in ("ace", "zero_shot")
    }
    columns = [column["name"] for column in results["zero_shot"]["columns"]]
    assert "general" in columns
    for row, column in ((1, columns[0]), (2, columns[0]), (2, columns[1])):
        answers = {name: result["matrices"]["answer_f1"] for name, result in results.items()}
        assert answers["ace"][column][str(row)] is not None
        assert results["zero_shot"]["matrices"]["choice_accuracy"][column][str(row)] is not None
    assert "choice_accuracy" not in results["ace"]["matrices"]
    table = printed.partition("Choice accuracy of each method")[2]
    row = next(line for line in table.splitlines() if line.startswith("| ace"))
    assert row.count("not measured") == row.count("|") - 3
    assert main(["report", str(tmp_path / "r" / "documents_synthetic")]) == 0
