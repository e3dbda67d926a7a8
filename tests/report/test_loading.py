from pathlib import Path

import pytest

from compositional.errors import ResultsError
from compositional.report.loading import Experiment, load_experiment
from tests.report.runs import make_benchmark, right, write_run


def test_orders_finished_runs_by_method(experiment: Experiment) -> None:
    names = [run.name for run in experiment.finished]
    assert names == ["lora", "zero_shot", "constant", "joint", "oracle"]
    assert experiment.name == "tiny"


def test_keeps_failed_runs_apart_with_their_reason(experiment: Experiment) -> None:
    (failed,) = experiment.others
    assert failed.name == "rag"
    assert failed.reason == "ModelError: no <model>\nanywhere | at all"


def test_says_what_a_method_sees(tmp_path: Path) -> None:
    forced = {"name": "memory_tokens", "use_ground_truth_tools": True}
    write_run(tmp_path / "a", {"name": "oracle", "of": forced}, make_benchmark())
    write_run(tmp_path / "b", {"name": "lora"}, make_benchmark())
    first, second = sorted(load_experiment(tmp_path).finished, key=lambda run: run.name)
    assert first.sees == ["query", "round", "expected tools"]
    assert first.method_title == "oracle of memory_tokens"
    assert second.sees == ["query"]


@pytest.mark.parametrize(
    ("method", "sees"),
    [
        ({"name": "constant", "maximise": "tool_f1"}, ["nothing"]),
        ({"name": "zero_shot"}, ["query"]),
        (
            {"name": "icl", "tool_format": "compact", "demonstrations": 0},
            ["query", "tool descriptions"],
        ),
        (
            {"name": "rag", "tool_format": "full", "demonstrations": 1},
            ["query", "tool descriptions", "training rows"],
        ),
        (
            {"name": "ace", "backend": {"kind": "openai", "url": "http://x/v1", "model": "m"}},
            ["query", "playbook", "a server's model (m)"],
        ),
        (
            {"name": "ace", "backend": {"kind": "openai", "url": "http://x/v1", "model": ""}},
            ["query", "playbook", "a server's model"],
        ),
    ],
)
def test_says_what_stands_in_a_prompt(tmp_path: Path, method, sees) -> None:
    write_run(tmp_path / "a", method, make_benchmark())
    assert load_experiment(tmp_path).finished[0].sees == sees


def test_no_finished_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no run at all"):
        load_experiment(tmp_path / "absent")
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark(), finish=False)
    with pytest.raises(ResultsError, match="lora started: still running"):
        load_experiment(tmp_path)


def test_results_go_before_published_runs(tmp_path: Path) -> None:
    results, published = tmp_path / "results", tmp_path / "published"
    write_run(results / "both", {"name": "lora"}, make_benchmark())
    write_run(results / "stopped", {"name": "lora"}, make_benchmark(), finish=False)
    for name in ("both", "stopped", "only"):
        write_run(published / name, {"name": "lora"}, make_benchmark(), right)
    experiment = load_experiment(results, published)
    taken = {run.name: run.is_published for run in experiment.finished}
    assert taken == {"both": False, "only": True, "stopped": True}
    assert not experiment.others


def test_a_setting_that_is_no_longer_known_hides_no_run(tmp_path: Path) -> None:
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark())
    path = tmp_path / "lora" / "config.yaml"
    path.write_text(path.read_text().replace("evaluation:", "evaluation:\n  of_old: 1"))
    (run,) = load_experiment(tmp_path).finished
    assert run.settings == run.config
    assert run.config["evaluation"]["of_old"] == 1
    assert run.split == "test"


def test_a_setting_of_later_has_its_default(tmp_path: Path) -> None:
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark())
    path = tmp_path / "lora" / "config.yaml"
    path.write_text(path.read_text().replace("  split: test\n", ""))
    (run,) = load_experiment(tmp_path).finished
    assert "split" not in run.config["evaluation"]
    assert run.settings["evaluation"]["split"] == run.split == "test"


def test_published_runs_alone_are_enough(tmp_path: Path) -> None:
    write_run(tmp_path / "published" / "lora", {"name": "lora"}, make_benchmark())
    experiment = load_experiment(tmp_path / "results" / "x", tmp_path / "published")
    assert experiment.name == "x"
    assert len(experiment.finished) == 1
