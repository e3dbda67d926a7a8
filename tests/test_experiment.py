import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compositional.config import resolve
from compositional.errors import CompositionalError, ConfigError, ResultsError
from compositional.experiment import experiment_configs, find_finished, run_experiment
from compositional.files import read_json
from compositional.publish import publish
from compositional.runner import computing_with, run
from tests.runs_toy import assert_same_tree, interrupt_at, toy_settings, tree
from tests.tasks.toy_rows import source_file
from tests.toy import toy_model

RUNS = {
    "icl": {"method": "icl"},
    "constant": {"method": "constant"},
    "rows": {"method": {"name": "memory_tokens", "adaptation": "none"}},
}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, toy_model_folder: Path) -> Write:
    """Writes an experiment file of three toy runs, settings laid over the toy's."""

    def write(runs: dict[str, Any] | None = None, **over: Any) -> Path:
        settings = toy_settings(tmp_path, toy_model_folder, **over)
        del settings["run"], settings["method"]
        path = tmp_path / "e.yaml"
        path.write_text(json.dumps({**settings, "runs": RUNS if runs is None else runs}))
        return path

    return write


def go(path: Path, **asked: Any) -> None:
    assert run_experiment(path, progress=False, **asked) == 0


def statuses(folder: Path) -> dict[str, str]:
    paths = sorted((folder / "results" / "e").glob("*/result.json"))
    return {path.parent.name: read_json(path)["status"] for path in paths}


def test_all_runs_of_a_file_are_run_and_reported(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go(write())
    assert statuses(tmp_path) == dict.fromkeys(sorted(RUNS), "finished")
    assert (tmp_path / "results" / "e" / "report.html").exists()
    printed = capsys.readouterr().out
    for name in RUNS:
        assert name in printed
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.timeout(120)
def test_runs_side_by_side_write_what_runs_one_after_the_other_do(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with computing_with(1):
        go(write())
        side = ["--output.results_dir", str(tmp_path / "side")]
        assert run_experiment(write(), overrides=side, workers=2) == 0
    captured = capsys.readouterr()
    assert "learned tools3-4" in captured.err
    assert "%|" not in captured.err  # no bars
    assert (tmp_path / "side" / "e" / "report.html").exists()
    for name in RUNS:
        assert_same_tree(tmp_path / "side" / "e" / name, tmp_path / "results" / "e" / name)


@pytest.mark.timeout(120)
def test_a_run_that_fails_beside_others_is_named(write: Write, tmp_path: Path) -> None:
    blocked = tmp_path / "results" / "e" / "rows"
    blocked.mkdir(parents=True)
    (blocked / "training").touch()
    with pytest.raises(ResultsError, match=r"1 of 3 runs failed \(rows: failed with exit code 2: "):
        go(write(), workers=2)
    assert statuses(tmp_path) == {"constant": "finished", "icl": "finished", "rows": "failed"}


def test_workers_are_one_or_more_and_start_their_own_processes(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="workers is 0"):
        go(write(), workers=0)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="workers 2 start processes of their own: leave accele"):
        go(write(), workers=2)


def test_a_run_may_go_without_a_report(write: Write, tmp_path: Path) -> None:
    go(write(), run_name="icl", report=False)
    assert statuses(tmp_path) == {"icl": "finished"}
    assert not (tmp_path / "results" / "e" / "report.html").exists()


def test_finished_runs_are_shown_and_not_run_again(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go(write(), run_name="icl")
    before = tree(tmp_path / "results" / "e" / "icl")
    capsys.readouterr()
    go(write())
    first = capsys.readouterr().out.splitlines()[0]
    environment = read_json(tmp_path / "results" / "e" / "icl" / "environment.json")
    assert first.startswith(f"shown from finished runs of {environment['started'][:10]} (commit ")
    assert first.endswith("): icl; to run anew, name another --experiment")
    assert statuses(tmp_path) == dict.fromkeys(sorted(RUNS), "finished")
    assert tree(tmp_path / "results" / "e" / "icl") == before
    go(write(), experiment_name="again", run_name="icl")
    assert (tmp_path / "results" / "again" / "icl" / "result.json").exists()


def test_a_written_config_is_an_experiment_of_one_run(write: Write, tmp_path: Path) -> None:
    go(write(), run_name="icl")
    folder = tmp_path / "results" / "e" / "icl"
    go(folder / "config.yaml")  # shown
    go(folder / "config.yaml", experiment_name="new")
    again = tmp_path / "results" / "new" / "icl"
    for kind in ("scores", "predictions"):
        for path in (folder / kind).iterdir():
            assert (again / kind / path.name).read_bytes() == path.read_bytes()


def test_a_method_and_overrides_in_place_of_the_files(write: Write, tmp_path: Path) -> None:
    go(write(), method="zero_shot")
    assert statuses(tmp_path) == {"zero_shot": "finished"}
    go(write(), method="icl", run_name="mine", overrides=["--method.demonstrations", "1"])
    result = read_json(tmp_path / "results" / "e" / "mine" / "result.json")
    assert result["method"]["demonstrations"] == 1


def test_every_run_is_checked_before_the_first_one_starts(write: Write, tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"method": "loar"}, "unknown method 'loar'"),
        ({"method": {"name": "rag", "k": 0}}, "k is 0; it must be 1 or more"),
        ({"method": "icl", "model": {"max_length": 9}}, "over the window of 9"),
        ({"method": "icl", "model": {"name": "no/such"}}, "the Hub cannot be reached"),
        ({"method": "icl", "data": {"training_rounds": "1-2,3-9"}}, "beyond the 6 tools"),
    ]
    for settings, words in wrong:
        path = write({**RUNS, "last": settings})
        with pytest.raises(CompositionalError) as caught:
            go(path)
        assert words in str(caught.value)
        assert not (tmp_path / "results").exists()


def test_a_run_in_the_way_stops_all_before_the_first_one_starts(
    write: Write, tmp_path: Path
) -> None:
    with interrupt_at("after round 0, tools1-2"):
        go(write(), run_name="rows")
    with pytest.raises(ResultsError, match=r"rows holds a run that is not finished \(started\)"):
        go(write())
    assert statuses(tmp_path) == {"rows": "started"}
    go(write(), resume=True)
    assert statuses(tmp_path) == dict.fromkeys(sorted(RUNS), "finished")


def test_a_finished_run_of_another_config_stops_all(write: Write, tmp_path: Path) -> None:
    go(write(), run_name="icl")
    before = tree(tmp_path / "results")
    with pytest.raises(ResultsError, match="finished run of another config"):
        go(write(evaluation={"max_new_tokens": 5}))
    assert tree(tmp_path / "results") == before


def test_where_one_run_fails_the_others_are_run_and_reported(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "results" / "e" / "constant"
    blocked.mkdir(parents=True)
    (blocked / "timings").touch()
    with pytest.raises(ResultsError) as caught:
        go(write())
    message = str(caught.value)
    assert message.startswith("1 of 3 runs failed (constant: cannot write")
    assert "the others' results stand, and --resume tries again" in message
    assert statuses(tmp_path) == {"constant": "failed", "icl": "finished", "rows": "finished"}
    assert "icl" in capsys.readouterr().out
    assert (tmp_path / "results" / "e" / "report.html").exists()
    (blocked / "timings").unlink()
    go(write(), resume=True)
    assert statuses(tmp_path) == dict.fromkeys(sorted(RUNS), "finished")


def test_a_single_run_that_fails_raises_what_is_wrong(write: Write, tmp_path: Path) -> None:
    blocked = tmp_path / "results" / "e" / "icl"
    blocked.mkdir(parents=True)
    (blocked / "timings").touch()
    with pytest.raises(CompositionalError, match="cannot write"):
        go(write(), run_name="icl")


def test_unknown_runs_and_overrides(write: Write) -> None:
    with pytest.raises(ConfigError, match="no run 'ilc'; did you mean 'icl'"):
        experiment_configs(write(), run_name="ilc")
    with pytest.raises(ConfigError, match=r"unknown flag --method\.lr"):
        experiment_configs(write(), overrides=["--method.lr", "1"])
    configs = experiment_configs(write(), overrides=["--evaluation.batch_size", "3", "--seed=5"])
    assert {(c.evaluation.batch_size, c.seed) for c in configs} == {(3, 5)}


def test_a_dry_run_writes_nothing(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go(write(), dry_run=True)
    printed = capsys.readouterr().out
    assert "e/rows: method memory_tokens" in printed
    assert "3 runs, about" in printed
    assert {path.name for path in tmp_path.iterdir()} == {"toy.jsonl", "e.yaml"}


def test_same_names_of_other_files_are_not_the_same_run(
    write: Write, tmp_path: Path, toy_model_folder: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(toy_model_folder, model)
    settings = toy_settings(tmp_path, model)
    run(resolve(settings), progress=False)
    assert find_finished(resolve(settings)) is not None
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    source = source_file(elsewhere, (15, 16, 17, 18))
    data = {"source": str(source), "data_dir": str(elsewhere / "data")}
    other = resolve(toy_settings(tmp_path, model, data=data))
    assert other.sha256() == resolve(settings).sha256()
    assert find_finished(other) is None
    other_model = toy_model(elsewhere / "model", seed=1)
    assert find_finished(resolve(toy_settings(tmp_path, other_model))) is None
    same = elsewhere / "same" / "model"
    shutil.copytree(model, same)
    assert find_finished(resolve(toy_settings(tmp_path, same))) is not None


def test_published_runs_are_taken_from_where_they_are_kept(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go(write(), run_name="icl")
    kept = tmp_path / "docs"
    assert publish(tmp_path / "results" / "e", kept) == ["icl"]
    shutil.rmtree(tmp_path / "results")
    capsys.readouterr()
    go(write(output={"published_dir": str(kept)}))
    assert "): icl; to run anew" in capsys.readouterr().out
    assert statuses(tmp_path) == {"constant": "finished", "rows": "finished"}
    go(write(output={"published_dir": str(kept)}), run_name="icl")
    assert not (tmp_path / "results" / "e" / "icl").exists()


def test_states_that_a_killed_process_left_are_removed(write: Write, tmp_path: Path) -> None:
    for name, is_kept in (("r", False), ("kept", True)):
        settings = toy_settings(
            tmp_path,
            Path(json.loads(write().read_text())["model"]["name"]),
            run=name,
            output={"save_checkpoints": is_kept},
        )
        config = resolve(settings)
        run(config, progress=False)
        states = tmp_path / "checkpoints" / "e" / name
        states.mkdir(parents=True, exist_ok=True)
        (states / "training.safetensors").touch()
        assert find_finished(resolve({**settings, "output": settings["output"]})) is not None
        assert states.exists() == is_kept
        assert not (states / "training.safetensors").exists()
