"""A method's summary: every figure recomputed from the same drawn cells."""

import numpy as np
import pytest

from compositional.intervals import Figure, unanimity_bound
from compositional.resampling import Resamples
from compositional.retention import (
    RetentionMatrix,
    average_accuracy,
    diagonal_mean,
    learning_gain,
    retention_at_age,
)
from compositional.summary import (
    METRICS,
    Cells,
    figure,
    paired_difference,
    resample_matrix,
    summarise,
)

COLUMNS = ("tools1-2", "tools3-4", "tools5-6")
NUM_EXAMPLES = 30
BASE_IDS = {
    name: [
        (f"{name}-{i}", f"{name}-{i + 1}") if i % 5 == 0 else (f"{name}-{i}",) for i in range(30)
    ]
    for name in COLUMNS
}
RESAMPLES = Resamples.draw(BASE_IDS, seed=7, num_resamples=2_000)


def random_cells(seed: int) -> Cells:
    generator = np.random.default_rng(seed)
    return {
        (t, name): {"tool_f1": generator.integers(0, 5, NUM_EXAMPLES) / 4}
        for t in range(4)
        for name in COLUMNS
    }


def bounds(seed: int) -> dict[str, dict[str, np.ndarray]]:
    cells = random_cells(seed)
    return {name: dict(cells[0, name]) for name in COLUMNS}


def test_values_are_those_of_the_matrix_of_means() -> None:
    cells = random_cells(0)
    summary = summarise(cells, COLUMNS, "tool_f1", RESAMPLES, single=bounds(1), joint=bounds(2))
    means = {
        (t, i): float(cells[t, name]["tool_f1"].mean())
        for t in range(4)
        for i, name in enumerate(COLUMNS, start=1)
    }
    matrix = RetentionMatrix.from_cells(means, num_rounds=3)
    np.testing.assert_allclose(summary.matrix.values, matrix.values)
    for name, metric in METRICS.items():
        assert summary.figures[name].value == pytest.approx(matrix.figure(metric))
    gap = np.diag(matrix.values[1:]) - [v["tool_f1"].mean() for v in bounds(1).values()]
    assert summary.figures["learning_gap"].value == pytest.approx(gap.mean())
    lost = [v["tool_f1"].mean() for v in bounds(2).values()] - np.diag(matrix.values[1:])
    assert summary.figures["intransigence"].value == pytest.approx(lost.mean())
    assert [f.value is None for f in summary.forgetting_by_round] == [True, False, False]
    assert summary.forgetting_by_round[2] == summary.figures["forgetting"]
    ages = [(a.figure.value, a.num_columns) for a in summary.retention_by_age]
    expected = [retention_at_age(matrix.values, age) for age in range(3)]
    assert ages == [(pytest.approx(float(mean)), int(count)) for mean, count in expected]


def test_intervals_are_those_of_figures_recomputed_from_drawn_cells() -> None:
    cells = random_cells(0)
    summary = summarise(cells, COLUMNS, "tool_f1", RESAMPLES)
    drawn = []
    for resample in range(RESAMPLES.num_resamples):
        means = {}
        for (t, name), scores in cells.items():
            column = RESAMPLES.columns[name]
            weights = column.counts[resample][column.groups]
            means[t, COLUMNS.index(name) + 1] = np.average(scores["tool_f1"], weights=weights)
        drawn.append(RetentionMatrix.from_cells(means, num_rounds=3))
    for name, metric in METRICS.items():
        low, high = np.quantile([matrix.figure(metric) for matrix in drawn], [0.025, 0.975])
        interval = summary.figures[name].interval
        assert interval is not None
        assert (interval.low, interval.high) == (pytest.approx(low), pytest.approx(high))
        assert interval.low < (summary.figures[name].value or 0) < interval.high
    low, high = np.quantile([matrix.cell(2, 1) for matrix in drawn], [0.025, 0.975])
    cell = summary.cells[2, "tools1-2"]
    assert cell.interval is not None
    assert (cell.interval.low, cell.interval.high) == (pytest.approx(low), pytest.approx(high))


def test_a_cell_where_all_examples_agree_shows_the_bound() -> None:
    cells = dict(random_cells(0))
    cells[1, "tools1-2"] = {"tool_f1": np.ones(NUM_EXAMPLES)}
    cell = summarise(cells, COLUMNS, "tool_f1", RESAMPLES).cells[1, "tools1-2"]
    assert (cell.value, cell.num_examples, cell.interval) == (1.0, NUM_EXAMPLES, None)
    assert cell.bound == unanimity_bound(NUM_EXAMPLES)


def test_examples_that_a_score_does_not_apply_to_count_nowhere() -> None:
    scores = np.full(NUM_EXAMPLES, np.nan)
    scores[:4] = [0.0, 1.0, 0.5, 0.5]
    cells = dict(random_cells(0))
    cells[1, "tools1-2"] = {"tool_f1": scores}
    cells[2, "tools1-2"] = {"tool_f1": np.full(NUM_EXAMPLES, np.nan)}
    summary = summarise(cells, COLUMNS, "tool_f1", RESAMPLES)
    some, none = summary.cells[1, "tools1-2"], summary.cells[2, "tools1-2"]
    assert (some.value, some.num_examples, some.bound) == (0.5, 4, None)
    assert some.interval is not None
    assert (none.value, none.num_examples, none.interval, none.bound) == (None, 0, None, None)
    assert summary.matrix.cell(2, 1) is None


def test_what_was_not_measured_is_none_and_never_zero() -> None:
    cells = {key: scores for key, scores in random_cells(0).items() if key[0] > 0}
    summary = summarise(cells, COLUMNS, "tool_f1", RESAMPLES)
    assert (0, "tools1-2") not in summary.cells
    for name in ("learning_gain", "forward_transfer", "learning_gap", "intransigence"):
        assert summary.figures[name] == Figure(None, None)
    assert summary.figures["backward_transfer"].value is not None
    other = summarise(cells, COLUMNS, "slot_f1", RESAMPLES)
    assert other.cells == {}
    assert {f.value for f in other.figures.values()} == {None}


def test_one_round() -> None:
    cells = {key: scores for key, scores in random_cells(0).items() if key[0] < 2}
    summary = summarise(cells, COLUMNS[:1], "tool_f1", RESAMPLES)
    assert summary.figures["average_accuracy"].interval is not None
    for name in ("backward_transfer", "forgetting", "forward_transfer"):
        assert summary.figures[name] == Figure(None, None)


def test_a_method_differs_from_itself_by_nothing() -> None:
    matrix = resample_matrix(random_cells(0), COLUMNS, "tool_f1", RESAMPLES)
    difference = paired_difference(average_accuracy, matrix, matrix)
    assert difference.value == 0
    assert difference.interval is not None
    assert (difference.interval.low, difference.interval.high) == (0, 0)


def test_pairing_narrows_the_difference_of_methods_that_fail_on_the_same_examples() -> None:
    cells = random_cells(0)
    worse = {key: {"tool_f1": 0.8 * scores["tool_f1"]} for key, scores in cells.items()}
    first = resample_matrix(cells, COLUMNS, "tool_f1", RESAMPLES)
    second = resample_matrix(worse, COLUMNS, "tool_f1", RESAMPLES)
    difference = paired_difference(diagonal_mean, first, second)
    alone = figure(diagonal_mean, first)
    assert difference.value == pytest.approx(0.2 * (alone.value or 0))
    assert difference.interval is not None
    assert alone.interval is not None
    width = difference.interval.high - difference.interval.low
    assert width == pytest.approx(0.2 * (alone.interval.high - alone.interval.low))


def test_learning_gain_is_the_paired_difference_of_diagonal_and_row_0() -> None:
    matrix = resample_matrix(random_cells(0), COLUMNS, "tool_f1", RESAMPLES)
    gain = figure(learning_gain, matrix)
    other = figure(lambda r: diagonal_mean(r) - r[..., 0, :].mean(axis=-1), matrix)
    assert gain.value == pytest.approx(other.value)
    assert gain.interval is not None
    assert other.interval is not None
    assert gain.interval.low == pytest.approx(other.interval.low)
