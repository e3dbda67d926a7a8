import json
import logging
import multiprocessing
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from compositional.config import RunConfig, read_experiment, resolve
from compositional.errors import CompositionalError, ResultsError
from compositional.files import read_json
from compositional.locks import hold
from compositional.logs import LOGGER
from compositional.runner import check_can_start, prepare_run, run
from tests.runs_toy import interrupt_at, toy_settings, tree
from tests.tasks.toy_rows import source_file
from tests.toy import toy_model

LORA = {"name": "lora", "adapter": {"rank": 2, "dropout": 0.1}}
ROWS = {"name": "memory_tokens", "adapter": {"rank": 2, "dropout": 0.1}}
Make = Callable[..., RunConfig]


@pytest.fixture
def make(tmp_path: Path, toy_model_folder: Path) -> Make:
    """Makes a config of a toy run, its settings laid over the toy's."""
    return lambda **over: resolve(toy_settings(tmp_path, toy_model_folder, **over))


def go(config: RunConfig, *, resume: bool = False) -> Path:
    return run(config, resume=resume, progress=False).folder


def refused(config: RunConfig, *, resume: bool = False) -> str:
    with pytest.raises(CompositionalError) as caught:
        go(config, resume=resume)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def everything(folder: Path) -> dict[str, bytes]:
    """Every file, by path; the data and the source apart."""
    return {
        str(path): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (folder / "data") not in path.parents
    }


def test_a_finished_run_is_never_written_over(make: Make, tmp_path: Path) -> None:
    folder = go(make())
    before = everything(tmp_path)
    assert f"{folder} holds a finished run: choose another --run" in refused(make())
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
    assert [p.name for p in (states / "e" / "r").iterdir()] == ["lesson_2.safetensors"]
    go(make(method=LORA), resume=True)
    assert not (states / "e" / "r").exists()
    go(make(method=LORA, run="kept", output={"save_checkpoints": True}))
    names = sorted(p.name for p in (states / "e" / "kept").iterdir())
    assert names == ["lesson_1.safetensors", "lesson_2.safetensors"]
    tensors = load_file(states / "e" / "kept" / names[1])
    assert sum(tensor.numel() for tensor in tensors.values()) < 10_000  # no backbone


def test_a_started_run_is_resumed_only_where_asked(make: Make, tmp_path: Path) -> None:
    whole = tree(go(make(method=LORA, run="whole")))
    with interrupt_at("after round 1, tools1-2"):
        go(make(method=LORA))
    result = read_json(tmp_path / "results" / "e" / "r" / "result.json")
    assert result["status"] == "started"
    before = everything(tmp_path)
    message = refused(make(method=LORA))
    assert "holds a run that is not finished (started): --resume goes on with it" in message
    assert everything(tmp_path) == before
    found = tree(go(make(method=LORA), resume=True))
    assert_same_run(found, whole)


def assert_same_run(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    """But for the run's name, which two runs of one folder cannot share."""
    named = {
        name: content.replace(b"whole", b"r") if name in ("config.yaml", "result.json") else content
        for name, content in expected.items()
    }
    assert list(found) == list(named)
    for name, content in named.items():
        assert found[name] == content, name


def test_a_failed_run_says_why_and_is_resumed(make: Make, tmp_path: Path) -> None:
    whole = tree(go(make(method=LORA, run="whole")))
    folder = tmp_path / "results" / "e" / "r"
    folder.mkdir()
    (folder / "training").touch()  # in the way of the first lesson's losses
    assert "cannot write" in refused(make(method=LORA))
    result = read_json(folder / "result.json")
    assert result["status"] == "failed"
    assert result["reason"].startswith("CompositionalError: cannot write")
    assert "not finished (failed): --resume" in refused(make(method=LORA))
    (folder / "training").unlink()
    with interrupt_at("learned tools3-4"):
        go(make(method=LORA), resume=True)
    result = read_json(folder / "result.json")
    assert result["status"] == "started"
    assert "reason" not in result
    assert_same_run(tree(go(make(method=LORA), resume=True)), whole)


def started(make: Make, **over: Any) -> None:
    with interrupt_at("learned tools1-2"):
        go(make(**over))


def test_another_config_cannot_resume(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    before = everything(tmp_path)
    changed = {"method": {**LORA, "lr": 0.125}, "training": {"batch_size": 2}}
    message = refused(make(**changed), resume=True)
    assert "started run of another config" in message
    assert "method.lr 0.0005, now 0.125; training.batch_size 4, now 2" in message
    assert "method.name 'lora', now 'memory_tokens'" in refused(make(method=ROWS), resume=True)
    assert everything(tmp_path) == before


def test_cosmetic_settings_may_change_and_are_written(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    kept = make(
        method=LORA, output={"save_checkpoints": True}, training={"checkpoint_seconds": 5.0}
    )
    folder = go(kept, resume=True)
    assert (tmp_path / "checkpoints" / "e" / "r" / "lesson_2.safetensors").exists()
    written = yaml.safe_load((folder / "config.yaml").read_text())
    assert written["output"]["save_checkpoints"] is True
    assert written["training"]["checkpoint_seconds"] == 5


def test_another_model_cannot_resume(make: Make, tmp_path: Path) -> None:
    other = toy_model(tmp_path / "model", seed=1)
    moved = tmp_path / "place" / "model"
    shutil.copytree(make().model.name, moved)
    started(make, method=LORA, model={"name": str(moved)})
    before = everything(tmp_path)
    message = refused(make(method=LORA, model={"name": str(other)}), resume=True)
    assert "was started with another model" in message
    assert everything(tmp_path) == before
    again = tmp_path / "again" / "model"
    shutil.move(moved, again)
    go(make(method=LORA, model={"name": str(again)}), resume=True)


def test_other_data_cannot_resume(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    (tmp_path / "other").mkdir()
    source = source_file(tmp_path / "other", (15, 16, 17, 18, 19))
    data = {"source": str(source), "data_dir": str(tmp_path / "other" / "data")}
    before = everything(tmp_path / "results")
    message = refused(make(method=LORA, data=data), resume=True)
    assert "was started with another data" in message
    assert everything(tmp_path / "results") == before


def test_another_type_of_numbers_cannot_resume(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    path = tmp_path / "results" / "e" / "r" / "result.json"
    result = read_json(path)
    result["identity"]["device"] = "cuda bfloat16"  # as a GPU would have written with `auto`
    path.write_text(json.dumps(result))
    message = refused(make(method=LORA), resume=True)
    assert "another device (cuda bfloat16, now cpu float32)" in message


def test_states_of_another_run_cannot_be_taken(make: Make, tmp_path: Path) -> None:
    states = tmp_path / "checkpoints" / "e"
    started(make, method=LORA)
    started(make, method={**LORA, "lr": 0.125}, run="other")
    shutil.rmtree(states / "r")
    shutil.copytree(states / "other", states / "r")
    before = everything(tmp_path)
    message = refused(make(method=LORA), resume=True)
    assert "is a state of a run with another config" in message
    assert everything(tmp_path) == before


def test_states_without_their_results_are_in_the_way(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    shutil.rmtree(tmp_path / "results" / "e" / "r")
    message = refused(make(method=LORA))
    assert "holds states of a run whose results are gone: remove it, or choose" in message
    assert not (tmp_path / "results" / "e" / "r").exists()


def test_cells_without_a_result_are_in_the_way(make: Make, tmp_path: Path) -> None:
    folder = go(make())
    (folder / "result.json").unlink()
    assert "holds cells without a result.json" in refused(make())
    (folder / "result.json").write_text('{"status": "great"}')
    assert "is no result of a run" in refused(make())
    (folder / "result.json").write_text("{")
    assert "not JSON" in refused(make())


def test_a_damaged_state_changes_nothing(make: Make, tmp_path: Path) -> None:
    whole = tree(go(make(method=LORA, run="whole")))
    started(make, method=LORA)
    path = tmp_path / "checkpoints" / "e" / "r" / "lesson_1.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    before = everything(tmp_path)
    assert f"{path}: not a saved state" in refused(make(method=LORA), resume=True)
    assert everything(tmp_path) == before
    path.unlink()
    assert_same_run(tree(go(make(method=LORA), resume=True)), whole)


def test_a_second_process_on_one_run_stops(make: Make, tmp_path: Path) -> None:
    with hold(tmp_path / "results" / "e" / "r"):
        assert "another process runs" in refused(make())
        elsewhere = make(output={"checkpoint_dir": str(tmp_path / "elsewhere")})
        assert "another process runs" in refused(elsewhere)
        go(make(run="other"))
    with hold(tmp_path / "checkpoints" / "e" / "r"):
        assert "another process runs" in refused(make())
    go(make())


class CountThreads(logging.Filter):
    """Notes the number of threads wherever something is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: set[int] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        self.counted.add(torch.get_num_threads())
        return True


def test_a_resumed_run_keeps_its_number_of_threads(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    recorded = torch.get_num_threads()
    noted = CountThreads()
    LOGGER.addFilter(noted)
    LOGGER.setLevel(logging.INFO)
    torch.set_num_threads(recorded + 1)
    try:
        folder = go(make(method=LORA), resume=True)
        assert torch.get_num_threads() == recorded + 1
    finally:
        LOGGER.removeFilter(noted)
        torch.set_num_threads(recorded)
    assert noted.counted == {recorded}
    assert read_json(folder / "environment.json")["threads"] == recorded


def test_what_a_killed_process_left_half_written_is_removed(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    left = tmp_path / "results" / "e" / "r" / "scores" / ".row1_tools1-2.json.77.tmp"
    left.write_text("half")
    go(make(method=LORA), resume=True)
    assert not left.exists()


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


def run_on_a_full_disk(config: RunConfig, free_bytes: int) -> None:
    """Run where no file can grow beyond a size, as a full disk would have it."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free_bytes, free_bytes))
    try:
        go(config)
    except CompositionalError as error:
        os._exit(3 if "cannot write" in str(error) else 4)
    os._exit(0)


def test_a_full_disk_fails_the_run_which_can_be_resumed(make: Make, tmp_path: Path) -> None:
    whole = tree(go(make(method=LORA, run="whole")))
    process = multiprocessing.get_context("fork").Process(
        target=run_on_a_full_disk, args=(make(method=LORA), 8000)
    )
    process.start()
    process.join(timeout=60)
    assert process.exitcode == 3
    folder = tmp_path / "results" / "e" / "r"
    result = read_json(folder / "result.json")
    assert result["status"] == "failed"
    assert "File too large" in result["reason"]
    assert not list(tmp_path.rglob(".*.tmp"))
    assert_same_run(tree(go(make(method=LORA), resume=True)), whole)


def test_data_that_changed_since_cannot_resume(make: Make, tmp_path: Path) -> None:
    started(make, method=LORA)
    path = tmp_path / "data" / "test" / "function_calling_test_tools3-4_2calls.json"
    path.write_text(path.read_text() + "\n")
    before = everything(tmp_path)
    assert f"{path} was changed" in refused(make(method=LORA), resume=True)
    assert everything(tmp_path) == before
    path.unlink()
    assert f"{path} is missing" in refused(make(method=LORA), resume=True)
