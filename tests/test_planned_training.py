"""Rows, steps and tokens of a plan, against what a run counts."""

from pathlib import Path
from typing import Any

import pytest

from compositional.config import resolve
from compositional.methods.prompts import text_sequence
from compositional.planned_training import PlannedLesson, is_estimated, planned_lesson
from compositional.runner import prepare_run, run
from compositional.tasks.types import Round
from tests.runs_toy import toy_settings

REPLAY = {
    "name": "lora", "adapter": {"rank": 2}, "use_replay_buffer": True, "replay_ratio": 0.2,
}  # fmt: skip


def planned(folder: Path, model: Path, **over: Any) -> tuple[list[PlannedLesson | None], list[int]]:
    """The lessons of a run, and the tokens of one pass over each round."""
    config = resolve(toy_settings(folder, model, **over))
    prepared = prepare_run(config)

    def tokens(round_: Round) -> int:
        rows = [text_sequence(prepared.model, example) for example in round_.train]
        return sum(len(row.prompt) + len(row.target) for row in rows)

    rounds = prepared.benchmark.rounds
    return [planned_lesson(prepared, config, round_) for round_ in rounds], list(
        map(tokens, rounds)
    )


def test_replayed_rows_are_counted_from_the_second_round_on(tmp_path, toy_model_folder) -> None:
    data = {"training_rounds": "1-2:2,3-4:2"}
    (first, second), (one, other) = planned(tmp_path, toy_model_folder, method=REPLAY, data=data)
    assert first == PlannedLesson(12, 2, 6, 0, 2 * one)
    # 24 new rows, a fifth of all: 24 x 0.2 / 0.8 = 6 of the 12 past ones, of their mean length
    assert second == PlannedLesson(12, 2, 6, 6, 2 * other + round(6 * one / 12))
    assert str(second).startswith("12 rows x 2 epochs, 6 steps, 6 replayed rows, ")


@pytest.mark.parametrize("method", [REPLAY, {"name": "joint", "of": REPLAY}])
def test_rows_and_steps_are_those_that_a_run_counts(tmp_path, toy_model_folder, method) -> None:
    data = {"training_rounds": "1-2:2,3-4:2"}
    lessons, _ = planned(tmp_path, toy_model_folder, method=method, data=data)
    config = resolve(toy_settings(tmp_path, toy_model_folder, method=method, data=data))
    budget = run(config, progress=False).result()["budget"]
    known = [lesson for lesson in lessons if lesson is not None]
    assert sum(lesson.num_steps for lesson in known) == budget["steps"]
    assert sum(lesson.num_replayed for lesson in known) == budget["replayed_rows"]
    new = sum(lesson.num_rows * lesson.epochs for lesson in known)
    assert new + budget["replayed_rows"] == budget["rows"]
    tokens = sum(lesson.num_tokens for lesson in known)
    assert tokens == pytest.approx(budget["input_tokens"], rel=0.02)  # replayed rows differ


def test_an_adapter_that_is_frozen_trains_in_the_first_round_only(
    tmp_path, toy_model_folder
) -> None:
    method = {"name": "lora", "adapter": {"rank": 2}, "between_rounds": "freeze"}
    (first, second), _ = planned(tmp_path, toy_model_folder, method=method)
    assert first is not None
    assert second is None


def test_what_learns_texts_is_not_estimated(tmp_path, toy_model_folder) -> None:
    def config(method: Any) -> Any:
        return resolve(toy_settings(tmp_path, toy_model_folder, method=method)).method

    assert is_estimated(config("memory_tokens"))
    assert is_estimated(config("zero_shot"))
    assert is_estimated(config({"name": "joint", "of": REPLAY}))
    assert not is_estimated(config("dual_mlp"))
    assert not is_estimated(config({"name": "oracle", "of": {"name": "text_lora"}}))
