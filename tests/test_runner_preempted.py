"""A run that is asked to stop saves, stops, and goes on as if it had not stopped."""

import signal
from pathlib import Path

import pytest

from compositional.files import read_json
from compositional.states import load_state
from tests.runner_toy import LORA, ROWS, Make, assert_same_run, go, maker
from tests.runs_toy import preempted_at, tree


@pytest.fixture
def make(tmp_path: Path, toy_model_folder: Path) -> Make:
    """Makes a config of a toy run, its settings laid over the toy's."""
    return maker(tmp_path, toy_model_folder)


@pytest.mark.parametrize("method", [LORA, ROWS], ids=["lora", "rows"])
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_it_is_stopped_often_and_ends_as_one_that_was_not(make, tmp_path, method, number) -> None:
    alone = {"method": method, "output": {"share_answers": False}}
    whole = tree(go(make(run="whole", **alone)))
    places = ["after round 0, tools3-4", "learned tools1-2", "after round 1, tools1-2"]
    for place in places:
        with preempted_at(place, number):
            go(make(**alone), resume=True)
        result = read_json(tmp_path / "results" / "e" / "r" / "result.json")
        assert result["status"] == "started"
        assert "reason" not in result
    assert_same_run(tree(go(make(**alone), resume=True)), whole)


def test_a_training_is_saved_after_the_step_under_way(make, tmp_path) -> None:
    with preempted_at("after round 0, tools3-4"):
        go(make(method=LORA, training={"checkpoint_seconds": 1e6}))
    state = load_state(tmp_path / "checkpoints" / "e" / "r" / "training.safetensors")
    assert len(state.metadata["losses"]) == 1


def test_a_tracker_is_told(make, monkeypatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("compositional.tracking.NoTracker.preempt", lambda _self: told.append("x"))
    with preempted_at("learned tools1-2"):
        go(make(method=LORA))
    assert told == ["x"]


def test_answers_of_a_run_that_shares_none_stand_with_its_states(make, tmp_path) -> None:
    alone = {"method": LORA, "output": {"share_answers": False}}
    whole = tree(go(make(run="whole", **alone)))
    assert not (tmp_path / "results" / "e" / ".answers").exists()
    assert not (tmp_path / "checkpoints").exists()
    with preempted_at("learned tools3-4"):
        go(make(**alone))
    assert list((tmp_path / "checkpoints" / "e" / "r" / ".answers").glob("*.json"))
    assert_same_run(tree(go(make(**alone), resume=True)), whole)


def test_a_stop_while_prompts_are_computed_comes_before_the_first_step(make, tmp_path) -> None:
    alone = {"method": ROWS, "output": {"share_answers": False}}
    whole = tree(go(make(run="whole", **alone)))
    with preempted_at("next: learn tools3-4"):  # no adaptation: its prompts are computed once
        go(make(**alone))
    states = tmp_path / "checkpoints" / "e" / "r"
    assert not (states / "training.safetensors").exists()
    assert (states / "lesson_1.safetensors").exists()
    assert_same_run(tree(go(make(**alone), resume=True)), whole)


def test_a_stop_while_drift_is_measured_leaves_that_to_the_next_time(make, tmp_path) -> None:
    alone = {"method": LORA, "evaluation": {"drift": True}, "output": {"share_answers": False}}
    whole = tree(go(make(run="whole", **alone)))
    with preempted_at("after round 1, tools3-4"):
        go(make(**alone))
    assert not (tmp_path / "results" / "e" / "r" / "drift").exists()
    assert not (tmp_path / "checkpoints" / "e" / "r" / "training.safetensors").exists()
    assert_same_run(tree(go(make(**alone), resume=True)), whole)
