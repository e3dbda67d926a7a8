from dataclasses import astuple

import pytest

from compositional.benchmarks.cost_model import CostModel, MeasuredRun, fit, measure, num_answers
from compositional.models.model_config import ModelConfig
from tests.runs_toy import ROWS_PER_TOOL
from tests.tasks.toy_rows import source_file

TRUE = CostModel(start=3.0, trained_token=0.01, answer=0.2, answer_token=0.05, tokens_an_answer=7.5)


def made(num_rounds: int, rows: list[tuple[int, int]]) -> MeasuredRun:
    """A run whose times are those of a model, without noise."""
    timed = [(TRUE.answer * n + TRUE.answer_token * tokens, n, tokens) for n, tokens in rows]
    learning = TRUE.trained_token * 100 * num_rounds
    seconds = TRUE.start + learning + sum(row[0] for row in timed)
    return MeasuredRun(num_rounds, seconds, learning, 100 * num_rounds, timed)


def test_the_model_is_found_again_and_predicts_a_run() -> None:
    runs = [made(1, [(4, 20), (2, 18)]), made(2, [(4, 32), (2, 20)])]
    fitted = fit(runs)
    expected = CostModel(3.0, 0.01, 0.2, 0.05, (20 + 18 + 32 + 20) / 12)
    assert astuple(fitted) == pytest.approx(astuple(expected))
    unseen = made(3, [(4, 30), (8, 60)])
    assert fitted.seconds(unseen.trained_tokens, unseen.num_answers) == pytest.approx(
        unseen.seconds
    )
    assert (unseen.num_answers, unseen.answer_tokens) == (12, 90)


@pytest.mark.parametrize(("rounds", "answers"), [(1, 5), (3, 5 * (1 + 2 + 3))])
def test_answers_grow_with_the_square_of_the_rounds(rounds, answers) -> None:
    assert num_answers(rounds, 5) == answers


def test_a_run_is_measured(tmp_path, toy_model_folder) -> None:
    model = ModelConfig(name=str(toy_model_folder), device="cpu")
    found = measure(model, str(source_file(tmp_path, ROWS_PER_TOOL)), 2, 4)
    assert [answers for _, answers, _ in found.rows] == [4, 8]
    assert found.num_answers == num_answers(2, 4)
    assert found.trained_tokens > 0
    assert found.seconds > found.seconds_learning > 0
