from dataclasses import astuple

import pytest

from compositional.benchmarks.cost_model import (
    CostModel,
    MeasuredRun,
    answers_by_row,
    fit,
    measure,
    num_passes,
)
from compositional.models.model_config import ModelConfig
from tests.runs_toy import ROWS_PER_TOOL
from tests.tasks.toy_rows import source_file

TRUE = CostModel(
    start=3.0, trained_token=0.01, batch=2.0, answer=0.2, answer_token=0.05, tokens_an_answer=7.5
)


def made(num_rounds: int, rows: list[tuple[int, float]]) -> MeasuredRun:
    """A run whose times are those of a model, without noise."""
    timed = [
        (2.0 * (1 if n <= 16 else 2) + 0.2 * n + 0.05 * tokens, n, tokens) for n, tokens in rows
    ]
    learning = TRUE.trained_token * 100 * num_rounds
    seconds = TRUE.start + learning + sum(row[0] for row in timed)
    return MeasuredRun(num_rounds, seconds, learning, 100 * num_rounds, timed)


def test_the_model_is_found_again_and_predicts_a_run() -> None:
    runs = [made(1, [(4, 20), (2, 18)]), made(2, [(16, 32), (17, 20)])]
    fitted = fit(runs)
    expected = CostModel(3.0, 0.01, 2.0, 0.2, 0.05, (20 + 18 + 32 + 20) / (4 + 2 + 16 + 17))
    assert astuple(fitted) == pytest.approx(astuple(expected))
    mean = expected.tokens_an_answer
    unseen = made(3, [(4, 4 * mean), (20, 20 * mean)])
    assert fitted.seconds(unseen.trained_tokens, unseen.answers_by_row) == pytest.approx(
        unseen.seconds
    )
    assert (unseen.num_answers, unseen.answer_tokens) == (24, pytest.approx(24 * mean))


def test_answers_grow_with_the_square_of_the_rounds() -> None:
    assert answers_by_row(1, 5) == [5]
    assert answers_by_row(3, 5) == [5, 10, 15]
    assert sum(answers_by_row(100, 100)) == 505_000


def test_passes_are_batches_of_each_row() -> None:
    assert num_passes([6]) == num_passes([16]) == 1
    assert num_passes([17]) == num_passes([6, 12]) == 2
    assert num_passes([18, 36]) == 2 + 3


def test_a_run_is_measured(tmp_path, toy_model_folder) -> None:
    model = ModelConfig(name=str(toy_model_folder), device="cpu")
    found = measure(model, str(source_file(tmp_path, ROWS_PER_TOOL)), 2, 4)
    assert [answers for _, answers, _ in found.rows] == [4, 8]
    assert found.answers_by_row == answers_by_row(2, 4)
    assert found.trained_tokens > 0
    assert found.seconds > found.seconds_learning > 0
