from pathlib import Path

import pytest

from compositional.intervals import Interval
from compositional.report.figures import MethodFigures, all_figures, bound_of
from compositional.report.loading import load_experiment
from compositional.tasks.types import Example
from tests.report.runs import NO_CALL, call, make_benchmark, right, write_run

Figures = dict[str, MethodFigures]

BY_HAND = {
    "average_accuracy": (0.5 + 0.75) / 2,
    "backward_transfer": 0.5 - 1,
    "forgetting": 1 - 0.5,
    "diagonal_mean": (1 + 0.75) / 2,
    "average_over_rounds": (1 + (0.5 + 0.75) / 2) / 2,
    "forward_transfer": 0.0,
    "learning_gap": (1 + 0.75) / 2 - 1,  # the oracle's diagonal is 1, 1
    "intransigence": 0.5 - (1 + 0.75) / 2,  # the joint run's diagonal is 0.5, 0.5
}


@pytest.mark.parametrize("name", list(BY_HAND))
def test_figures_by_hand(figures: Figures, name: str) -> None:
    figure = figures["lora"].summaries["tool_f1"].figures[name]
    assert figure.value == pytest.approx(BY_HAND[name])
    assert figure.interval is not None
    assert figure.interval.low <= BY_HAND[name] <= figure.interval.high


def test_argument_f1_by_hand(figures: Figures) -> None:
    summary = figures["lora"].summaries["argument_f1"]
    assert summary.figures["average_accuracy"].value == pytest.approx((0.5 + 0.5) / 2)


def test_last_row_has_every_score(figures: Figures) -> None:
    last_row = figures["lora"].last_row
    assert last_row["parse_error_rate"].value == pytest.approx((0.5 + 0) / 2)
    assert last_row["exact_match"].value == pytest.approx((0.5 + 0.5) / 2)


def test_interval_of_a_cell(figures: Figures) -> None:
    cell = figures["lora"].summaries["tool_f1"].cells[2, "tools1"]
    # Two of four: no example drawn is right with probability 1/16, more than the tail of 1/40.
    assert cell.interval == Interval(0.0, 1.0)


def test_constant_is_measured_for_its_score_only(figures: Figures) -> None:
    constant = figures["constant"]
    assert list(constant.summaries) == ["tool_f1"]
    assert list(constant.last_row) == ["tool_f1"]
    assert constant.summaries["tool_f1"].figures["forward_transfer"].value is None


def test_bounds_match_settings_but_those_of_replay(tmp_path: Path) -> None:
    data = make_benchmark()
    write_run(tmp_path / "lora", {"name": "lora"}, data)
    write_run(tmp_path / "replay", {"name": "lora", "use_replay_buffer": True}, data)
    write_run(tmp_path / "other_rate", {"name": "lora", "lr": 1e-3}, data)
    batch = {"training": {"batch_size": 8}}
    write_run(tmp_path / "other_batch", {"name": "lora"}, data, settings=batch)
    write_run(tmp_path / "oracle", {"name": "oracle", "of": {"name": "lora"}}, data)
    runs = {run.name: run for run in load_experiment(tmp_path).finished}
    bounds = {name: bound_of(run, list(runs.values()), "oracle") for name, run in runs.items()}
    assert bounds["lora"] is runs["oracle"]
    assert bounds["replay"] is runs["oracle"]
    assert bounds["other_rate"] is None
    assert bounds["other_batch"] is None
    assert bound_of(runs["lora"], list(runs.values()), "joint") is None


def test_columns_outside_the_matrix(tmp_path: Path) -> None:
    queries = tuple(Example(f"u{k}", "What?", (), None, (f"u{k}",)) for k in range(3))

    def answer(row, column, place, asked):  # type: ignore[no-untyped-def]
        if column.kind != "unanswerable":
            return right(row, column, place, asked)
        return call("a") if place == 0 else NO_CALL

    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark(unanswerable=queries), answer)
    (method,) = all_figures(load_experiment(tmp_path))
    cell = method.cell(2, "unanswerable", "no_call")
    assert cell is not None
    assert cell.value == pytest.approx(2 / 3)
    assert cell.num_examples == 3
    assert method.cell(2, "mixed", "tool_f1") is None
    # What no tool answers enters no average.
    assert method.last_row["tool_f1"].value == 1
