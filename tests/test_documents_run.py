"""Runs over rounds of documents, from their config to the report."""

import json
from pathlib import Path
from typing import Any

import pytest

from compositional.compare_documents import presets
from compositional.config import RunConfig, read_experiment, resolve
from compositional.experiment import run_experiment
from compositional.files import read_json, read_json_lines
from compositional.methods.registry import METHODS
from compositional.preparing import prepare_benchmark
from compositional.runner import run
from compositional.scores import score_prediction
from compositional.states import State, load_state, state_bytes
from compositional.tasks.types import Prediction
from tests.runner_toy import everything, refused
from tests.runs_toy import interrupt_at

ROOT = Path(__file__).parent.parent
DOCUMENTS = {
    "source": "synthetic", "num_rounds": 3, "documents_per_round": 1, "num_facts": 4,
    "questions_per_document": 3, "untaught": 1, "epochs": 2, "general": False,
}  # fmt: skip
SHIPPED = sorted((ROOT / "experiments" / "documents").glob("*.yaml"))


def settings(folder: Path, model: Path, **over: Any) -> dict[str, Any]:
    return {
        "experiment": "e",
        "model": {"name": str(model), "device": "cpu"},
        "documents": DOCUMENTS,
        "training": {"batch_size": 1},
        "evaluation": {"max_new_tokens": 6, "batch_size": 4, "next_round": False},
        "output": {
            "results_dir": str(folder / "results"), "checkpoint_dir": str(folder / "checkpoints"),
        },
        **over,
    }  # fmt: skip


@pytest.fixture
def make(tmp_path: Path, toy_model_folder: Path) -> Any:
    def make(method: Any, name: str = "r", **over: Any) -> RunConfig:
        return resolve(
            settings(tmp_path, toy_model_folder, method=method, run=name, **over),
        )

    return make


def test_cells_answers_and_probes_stand_where_they_are_due(make) -> None:
    folder = run(make("dual_mlp"), progress=False).folder
    columns = ["documents1-1", "documents2-2", "documents3-3"]
    expected = {f"row{t}_{columns[i]}.json" for t in range(1, 4) for i in range(t)}
    expected |= {f"row0_{name}.json" for name in columns}
    expected |= {"row0_untaught.json", "row3_untaught.json"}
    assert {path.name for path in (folder / "scores").iterdir()} == expected
    assert {path.name for path in (folder / "held_out").iterdir()} == {
        f"row{row}.json" for row in range(4)
    }
    assert {path.name for path in (folder / "drift").iterdir()} == {
        f"row{row}.json" for row in range(1, 4)
    }
    result = read_json(folder / "result.json")
    assert result["task"] == "documents"
    for name in columns:
        cells = result["matrices"]["answer_f1"][name]
        diagonal = columns.index(name) + 1
        assert {row for row, value in cells.items() if value is not None} == {str(diagonal), "3"}
        assert set(result["matrices"]["choice_accuracy"][name]) >= {"0", str(diagonal), "3"}
    assert result["matrices"]["false_recall"]["untaught"]["3"] is not None


def test_scores_are_computed_again_from_the_files(make) -> None:
    config = make("text_rag")
    folder = run(config, progress=False).folder
    benchmark = prepare_benchmark(config)
    for round_ in benchmark.rounds:
        cell = read_json(folder / "scores" / f"row3_{round_.name}.json")
        lines = read_json_lines(folder / "predictions" / f"row3_{round_.name}.jsonl")
        assert cell["kinds"] == [example.kind for example in round_.test]
        for place, (example, (_, line)) in enumerate(zip(round_.test, lines, strict=True)):
            prediction = Prediction(
                line["raw"],
                (),
                likelihoods=tuple(line["likelihoods"]),
                choice_tokens=tuple(line["choice_tokens"]),
                answered=line["answered"],
            )
            scores = score_prediction(example, prediction, benchmark, 3)
            for name, values in cell["scores"].items():
                assert values[place] == scores.get(name)


@pytest.mark.parametrize(
    "method",
    ["dual_mlp", "sparse_memory", "sparse_memory_product_keys", "text_lora", "ace", "jitrl"],
)
def test_a_run_that_was_cut_off_ends_as_one_that_was_not(make, method: str) -> None:
    few = {"num_slots": 16, "slots_per_token": 4, "background_batches": 3}
    keys = {"slots": "product_keys", "product_keys": {"sub_keys": 8, "key_width": 8}}
    small: dict[str, dict[str, Any]] = {
        "sparse_memory": few,
        "sparse_memory_product_keys": {"name": "sparse_memory", **few, **keys},
        "ace": {"questions": 1, "playbook_tokens": 160, "field_chars": 12, "retries": 0},
        "jitrl": {"gaps": 8},
    }
    chosen = {"name": method, **small.get(method, {})}
    whole = run(make(chosen, "whole"), progress=False).folder
    with interrupt_at("learned documents2-2"):
        run(make(chosen), progress=False)
    resumed = run(make(chosen), resume=True, progress=False).folder
    left_out = ("environment.json", "config.yaml", "timings")
    files = [
        {
            str(Path(name).relative_to(folder)): content.replace(b'"whole"', b'"r"')
            for name, content in everything(folder).items()
            if not any(part in left_out for part in Path(name).parts)
        }
        for folder in (whole, resumed)
    ]
    assert files[0] == files[1]


def test_what_a_run_keeps_and_computes_is_counted_as_if_it_had_not_been_cut_off(make) -> None:
    whole = run(make("dual_mlp", experiment="whole"), progress=False).folder
    with interrupt_at("learned documents2-2"):
        run(make("dual_mlp"), progress=False)
    resumed = run(make("dual_mlp"), resume=True, progress=False).folder
    budgets = [read_json(folder / "result.json")["budget"] for folder in (whole, resumed)]
    assert budgets[0] == budgets[1]
    counted = []
    for folder in (whole, resumed):
        rows = [read_json(folder / "timings" / f"answers_row{row}.json") for row in range(4)]
        assert all(row.pop("seconds") > 0 for row in rows)
        counted.append(rows)
    assert counted[0] == counted[1]
    # Choices alone before the first round; two documents of a few words of answer at the end.
    assert counted[0][0]["generated_tokens"] == 0 < counted[0][0]["choice_tokens"]
    assert counted[0][3]["generated_tokens"] > 0


def test_the_bytes_of_a_state_are_those_of_what_is_saved(make, tmp_path) -> None:
    output = settings(tmp_path, Path("model"))["output"]
    config = make("dual_mlp", output={**output, "save_checkpoints": True})
    result = read_json(run(config, progress=False).folder / "result.json")
    saved = load_state(config.states_folder / "lesson_3.safetensors")
    own = State(saved.tensors, saved.metadata["method"])
    assert result["budget"]["state_bytes"] == state_bytes(own) > 0


def test_what_ace_left_out_stands_in_the_result(make) -> None:
    """A reflection takes more tokens than it may have here, an answer does not."""
    small = {"questions": 1, "playbook_tokens": 160, "field_chars": 4, "reply_tokens": 100}
    folder = run(make({"name": "ace", **small, "held_out": 0.0}), progress=False).folder
    budget = read_json(folder / "result.json")["budget"]
    assert budget["replies"] > 2 * budget["skipped_replies"] > 0


def test_an_experiment_has_a_report(tmp_path, toy_model_folder, capsys) -> None:
    runs = {"zero_shot": {"method": "zero_shot"}, "own": {"method": "own_document"},
            "dual": {"method": "dual_mlp"}}  # fmt: skip
    path = tmp_path / "e.yaml"
    path.write_text(json.dumps(settings(tmp_path, toy_model_folder, runs=runs)))
    assert run_experiment(path, progress=False) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("### Methods compared\n")
    assert printed.index("Methods compared, what a document") < printed.index("Matrices\n")
    for text in (
        "choices, final |",
        "Choice accuracy of each method",
        "Answer F1 of each method",
        "diagonal minus zero-shot",
        "false recall",
        "perplexity of plain texts",
        "own (own_document), sees the own document",
    ):
        assert text in printed, text
    page = (tmp_path / "results" / "e" / "report.html").read_text()
    assert "Choice accuracy by kind of question, last row" in page
    assert "Average choice accuracy against seconds" in page
    assert page.count("Methods compared") == 2
    assert "tool F1" not in page


def test_a_method_for_tools_is_refused(make) -> None:
    said = refused(make("memory_tokens"))
    assert said == "method 'memory_tokens' is for rounds of tools; these are of documents"
    said = refused(make({"name": "oracle", "of": {"name": "lora"}}))
    assert "is for rounds of tools" in said


@pytest.mark.parametrize("method", ["zero_shot", "text_lora", "dual_mlp"])
def test_a_document_of_one_token_stops_a_run_before_it_starts(make, tmp_path, method) -> None:
    asked = [{"question": "Which?", "answers": [f"{n}"]} for n in range(4)]
    rows = [{"text": "x", "name": n, "questions": asked} for n in ("a", "b", "c", "d")]
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = make(method, documents={**DOCUMENTS, "source": str(tmp_path / "d.jsonl")})
    assert "is 1 token long; to predict a token, one must stand before it" in refused(config)
    assert not (config.results_folder / "result.json").exists()


def test_what_is_said_of_other_rounds_changes_no_id(make) -> None:
    config = make("dual_mlp")
    assert make("dual_mlp", data={"data_seed": 3}).id == config.id
    assert make("dual_mlp", documents={**DOCUMENTS, "epochs": 3}).id != config.id


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_file_of_documents_is_a_config(path: Path) -> None:
    experiment = read_experiment(path)
    runs = experiment.pop("runs", {"only": {}})
    for name, over in runs.items():
        config = resolve({**experiment, **over, "run": name})
        assert config.documents.source == "synthetic"


def test_every_method_of_documents_has_a_file_and_a_place_in_the_comparison() -> None:
    runs = presets()["runs"]
    named = {settings["method"]["name"] for settings in runs.values()}
    shipped = {path.stem: read_experiment(path) for path in SHIPPED if path.stem != "trials"}
    assert named <= set(METHODS)
    assert named <= set(shipped) <= set(runs)
    for name, experiment in shipped.items():
        for key in ("name", "slots"):
            assert experiment["method"].get(key) == runs[name]["method"].get(key)
