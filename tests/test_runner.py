import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from compositional.config import read_experiment, resolve
from compositional.errors import ResultsError
from compositional.files import read_json
from compositional.locks import hold
from compositional.runner import check_can_start, note_refusal, prepare_run
from tests.runner_toy import LORA, ROWS, Make, everything, go, maker, refused, started
from tests.runs_toy import interrupt_at, tree


@pytest.fixture
def make(tmp_path: Path, toy_model_folder: Path) -> Make:
    """Makes a config of a toy run, its settings laid over the toy's."""
    return maker(tmp_path, toy_model_folder)


def test_a_finished_run_is_never_written_over(make: Make, tmp_path: Path) -> None:
    folder = go(make())
    before = everything(tmp_path)
    assert f"{folder} holds a finished run: name another --run" in refused(make())
    assert "holds a finished run" in refused(make(), resume=True)
    other = refused(make(evaluation={"max_new_tokens": 5}))
    assert "finished run of another config (evaluation.max_new_tokens 4, now 5)" in other
    assert everything(tmp_path) == before


def test_the_result_of_a_finished_run(make: Make) -> None:
    config = make(method=LORA, data={"num_mixed": 2})
    folder = go(config)
    result = read_json(folder / "result.json")
    assert list(result) == [
        *("schema_version", "status", "experiment", "run", "method", "seed", "identity"),
        *("columns", "matrices", "drift", "budget"),
    ]
    assert (result["schema_version"], result["status"], result["seed"]) == (1, "finished", 3)
    assert (result["experiment"], result["run"]) == ("e", "r")
    assert result["method"] == config.settings()["method"]
    assert result["identity"]["config"] == config.sha256()
    assert result["identity"]["device"] == "cpu float32"
    assert result["columns"][2] == {
        "name": "mixed",
        "kind": "mixed",
        "index": 0,
        "n": 2,
        "num_base_queries": 4,
    }
    assert [c["name"] for c in result["columns"]] == ["tools1-2", "tools3-4", "mixed"]
    rows = {name: list(cells) for name, cells in result["matrices"]["tool_f1"].items()}
    assert rows == {"tools1-2": ["0", "1", "2"], "tools3-4": ["0", "1", "2"], "mixed": ["2"]}
    for path in (folder / "scores").iterdir():
        cell = read_json(path)
        for name, values in cell["scores"].items():
            shown = result["matrices"][name][cell["column"]][str(cell["row"])]
            applicable = [value for value in values if value is not None]
            mean = sum(applicable) / len(applicable) if applicable else None
            assert shown == pytest.approx(mean), (path, name)
    # Two rounds of twelve rows, one epoch, four rows a step.
    assert result["budget"]["steps"] == 6
    assert result["budget"]["rows"] == 24
    environment = read_json(folder / "environment.json")
    assert {"git", "packages", "device", "threads", "python", "started"} <= set(environment)
    assert set(environment["git"]) == {"commit", "clean"}


def test_the_written_config_runs_again_as_it_is(make: Make, tmp_path: Path) -> None:
    folder = go(make(method=LORA))
    first = tree(folder)
    config = resolve(read_experiment(folder / "config.yaml"))
    assert config == make(method=LORA)
    shutil.rmtree(tmp_path / "results")
    assert tree(go(config)) == first


@pytest.mark.parametrize(
    ("evaluation", "cells"),
    [
        ({"next_round": False}, "01 02 11 21 22"),
        ({"every_round": False}, "01 02 21 22"),
        ({"past_rounds": False, "next_round": False}, "01 02 11 22"),
        ({"first_row": False}, "11 12 21 22"),
    ],
)
def test_the_cells_asked_for_stand_and_no_others(
    make: Make, evaluation: dict[str, bool], cells: str
) -> None:
    folder = go(make(evaluation=evaluation))
    ranges = {"1": "tools1-2", "2": "tools3-4"}
    expected = [f"row{cell[0]}_{ranges[cell[1]]}" for cell in cells.split()]
    for kind in ("scores", "predictions", "timings"):
        stems = sorted(p.stem for p in (folder / kind).glob("row*"))
        assert stems == expected
    assert len(list((folder / "timings").glob("lesson_*"))) == 2


def test_validation_rows_and_fewer_examples(make: Make) -> None:
    folder = go(make(evaluation={"split": "validation", "max_examples": 1}))
    cell = read_json(folder / "scores" / "row1_tools1-2.json")
    assert cell["example_ids"] == ["validation-tools1-2-00001"]
    assert read_json(folder / "result.json")["columns"][0]["n"] == 1


@pytest.mark.parametrize("method", [LORA, ROWS], ids=["lora", "memory_tokens"])
def test_what_is_evaluated_changes_no_training_step(make: Make, method: dict[str, Any]) -> None:
    kept = {"save_checkpoints": True}
    one = go(make(method=method, run="one", output=kept))
    more = {"batch_size": 3, "max_new_tokens": 6, "future_rounds": True, "drift": True}
    others = [
        make(method=method, run="more", output=kept, evaluation=more, data={"num_mixed": 1}),
        make(method=method, run="less", output=kept, evaluation={"every_round": False}),
        make(method=method, run="none", output=kept, evaluation={"first_row": False}),
    ]
    states = one.parents[2] / "checkpoints" / "e"
    for config in others:
        other = go(config)
        for path in sorted((one / "training").iterdir()):
            assert (other / "training" / path.name).read_bytes() == path.read_bytes()
        for lesson in (1, 2):
            name = f"lesson_{lesson}.safetensors"
            expected, found = (
                load_file(states / "one" / name),
                load_file(states / other.name / name),
            )
            assert list(found) == list(expected)
            assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())
    losses = read_json(one / "training" / "lesson_tools1-2.json")
    assert [len(values) for values in losses.values()] == [3]


def test_states_are_removed_when_the_run_completes_unless_kept(make: Make, tmp_path: Path) -> None:
    states = tmp_path / "checkpoints"
    with interrupt_at("learned tools3-4"):
        go(make(method=LORA))
    left = sorted(p.name for p in (states / "e" / "r").iterdir())
    assert left == [".answers", "lesson_2.safetensors"]
    go(make(method=LORA), resume=True)
    assert not (states / "e" / "r").exists()
    go(make(method=LORA, run="kept", output={"save_checkpoints": True}))
    names = sorted(p.name for p in (states / "e" / "kept").iterdir())
    assert names == ["lesson_1.safetensors", "lesson_2.safetensors"]
    tensors = load_file(states / "e" / "kept" / names[1])
    assert sum(tensor.numel() for tensor in tensors.values()) < 10_000  # no backbone


def test_states_without_their_results_are_in_the_way(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    shutil.rmtree(tmp_path / "results" / "e" / "r")
    message = refused(make(method=LORA))
    assert "holds states of a run whose results are gone: remove it, or name" in message
    assert not (tmp_path / "results" / "e" / "r").exists()


def test_cells_without_a_result_are_in_the_way(make: Make, tmp_path: Path) -> None:
    folder = go(make())
    (folder / "result.json").unlink()
    assert "holds cells without a result.json" in refused(make())
    (folder / "result.json").write_text('{"status": "great"}')
    assert "is no result of a run" in refused(make())
    (folder / "result.json").write_text("{")
    assert "not JSON" in refused(make())


def test_a_second_process_on_one_run_stops(make: Make, tmp_path: Path) -> None:
    with hold(tmp_path / "results" / "e" / "r"):
        assert "another process runs" in refused(make())
        elsewhere = make(output={"checkpoint_dir": str(tmp_path / "elsewhere")})
        assert "another process runs" in refused(elsewhere)
        go(make(run="other"))
    with hold(tmp_path / "checkpoints" / "e" / "r"):
        assert "another process runs" in refused(make())
    go(make())


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"data": {"training_rounds": "1-2,5-9"}}, "range 5-9 reaches beyond the 6 tools"),
        ({"data": {"source": "nowhere.jsonl"}}, "nowhere.jsonl: no such file"),
        ({"data": {"train_max_function_calls": 3}}, "too few for examples of 3 calls"),
        ({"data": {"train_size": 1}}, "train_size 1 is below the 2 tools"),
        ({"data": {"adaptation_tools": "5-6"}}, "takes no adaptation on tools of its own"),
        ({"model": {"max_length": 20}}, "over the window of 20"),
        ({"model": {"name": "no/such-model"}}, "the Hub cannot be reached"),
        ({"model": {"name": "smolm2"}}, "did you mean 'smollm2'?"),
        ({"model": {"device": "cuda:9"}}, "device 'cuda:9' is not here"),
        ({"output": {"results_dir": "FILE"}}, "cannot write"),
        ({"output": {"checkpoint_dir": "FILE"}}, "cannot write"),
        ({"method": {"name": "rag", "k": 0}}, "k is 0; it must be 1 or more"),
        ({"method": {"name": "rag", "retriever": "bm52"}}, "did you mean 'bm25'?"),
        ({"method": {"name": "constant", "maximise": "toolf1"}}, "did you mean 'tool_f1'?"),
        ({"method": {**LORA, "replay_ratio": 1.0}}, "the replay ratio is 1.0"),
    ],
)
def test_bad_input_is_one_line_and_writes_no_results(
    make: Make, tmp_path: Path, over: dict[str, Any], words: str
) -> None:
    (tmp_path / "file").touch()
    if "output" in over:
        over = {"output": {key: str(tmp_path / "file" / "x") for key in over["output"]}}
    config = make(**over)
    assert words in refused(config)
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "checkpoints").exists()


def test_checks_alone_write_nothing(make: Make, tmp_path: Path) -> None:
    check_can_start(make())
    prepare_run(make())
    assert {path.name for path in tmp_path.iterdir()} == {"toy.jsonl", "data"}
    started(make, method=LORA)
    with pytest.raises(ResultsError, match="--resume goes on"):
        check_can_start(make(method=LORA))
    check_can_start(make(method=LORA), resume=True)


def test_a_run_that_could_not_begin_says_why_and_is_in_no_runs_way(make, tmp_path) -> None:
    broken = make(model={"name": "no/such-model"})
    message = refused(broken)
    note_refusal(broken, ResultsError(message))
    folder = tmp_path / "results" / "e" / "r"
    result = read_json(folder / "result.json")
    assert (result["status"], result["run"], result["seed"]) == ("failed", "r", 3)
    assert result["reason"] == f"ResultsError: {message}"
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "result.json"]
    go(make())  # with another config, and without --resume
    assert read_json(folder / "result.json")["status"] == "finished"
    before = everything(tmp_path)
    note_refusal(make(), ResultsError("late"))
    assert everything(tmp_path) == before


def test_nothing_is_noted_where_another_process_makes_the_run(make, tmp_path) -> None:
    with hold(tmp_path / "results" / "e" / "r"):
        note_refusal(make(), ResultsError("x"))
    assert not (tmp_path / "results" / "e" / "r").exists()
