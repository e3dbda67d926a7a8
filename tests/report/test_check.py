from pathlib import Path

import pytest

from compositional.report.check import learning_checks
from compositional.report.figures import MethodFigures, all_figures
from compositional.report.loading import load_experiment
from tests.report.conftest import TRAINED, constant
from tests.report.runs import make_benchmark, right, write_run

Figures = dict[str, MethodFigures]


def test_only_trained_runs_are_checked(figures: Figures) -> None:
    checks = learning_checks(list(figures.values()))
    assert [check.run for check in checks] == ["lora", "joint", "oracle"]


def test_differences_by_hand(figures: Figures) -> None:
    lora, joint, _ = learning_checks(list(figures.values()))
    assert lora.over_first_row.value == pytest.approx((1 + 0.75) / 2)
    # The constant answer's diagonal is 1, 0.
    assert lora.over_floor.value == pytest.approx((1 + 0.75) / 2 - 0.5)
    assert lora.passes is True
    # 0.5, 0.5 against 1, 0: no better.
    assert joint.over_floor.value == pytest.approx(0)
    assert joint.passes is False


def test_pairing_narrows_the_interval(figures: Figures) -> None:
    lora, _, oracle = learning_checks(list(figures.values()))
    # Both score 1 in the first round in every draw: only the second round's four examples vary.
    # Its mean has 0.75 - 0.5 = 0.25 two or more wrong draws below, by Binomial(4, 1/4).
    assert lora.over_floor.interval is not None
    assert lora.over_floor.interval.low == pytest.approx((1 + 0.25) / 2 - 0.5)
    assert lora.over_floor.interval.high == pytest.approx((1 + 1) / 2 - 0.5)
    assert oracle.over_floor.interval is not None
    assert oracle.over_floor.interval.low == oracle.over_floor.interval.high == 0.5


def test_without_a_constant_answer_nothing_is_claimed(tmp_path: Path) -> None:
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark(), budget=TRAINED)
    (check,) = learning_checks(all_figures(load_experiment(tmp_path)))
    assert check.over_first_row.value == 1
    assert check.over_floor.value is None
    assert check.passes is None


def test_a_constant_answer_to_other_examples_is_no_floor(tmp_path: Path) -> None:
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark(), right, budget=TRAINED)
    settings = {"name": "constant", "maximise": "tool_f1"}
    other = make_benchmark(num_examples=3)
    write_run(tmp_path / "constant", settings, other, constant, first_row=False)
    (check,) = learning_checks(all_figures(load_experiment(tmp_path)))
    assert check.over_floor.value is None
