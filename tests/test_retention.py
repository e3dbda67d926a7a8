"""Every figure of the matrix by hand, and what holds for any matrix."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compositional.retention import (
    Array,
    RetentionMatrix,
    average_accuracy,
    average_over_rounds,
    backward_transfer,
    diagonal_mean,
    forgetting,
    forward_transfer,
    intransigence,
    learning_gain,
    learning_gap,
    retention_at_age,
)

MATRIX = np.array(
    [
        [0.1, 0.0, 0.2],
        [0.8, 0.3, 0.1],
        [0.9, 0.6, 0.4],
        [0.4, 0.5, 0.7],
    ]
)
SINGLE = np.array([0.8, 0.9, 0.4])
JOINT = np.array([0.8, 0.7, 0.9])
METRICS = (
    average_accuracy,
    average_over_rounds,
    backward_transfer,
    forgetting,
    forward_transfer,
    diagonal_mean,
    learning_gain,
)
NEED_TWO_ROUNDS = (backward_transfer, forgetting, forward_transfer)
Metric = Callable[[Array], Array]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (average_accuracy, (0.4 + 0.5 + 0.7) / 3),
        (average_over_rounds, (0.8 + (0.9 + 0.6) / 2 + (0.4 + 0.5 + 0.7) / 3) / 3),
        (backward_transfer, ((0.4 - 0.8) + (0.5 - 0.6)) / 2),
        (forgetting, ((0.9 - 0.4) + (0.6 - 0.5)) / 2),
        (forward_transfer, ((0.3 - 0.0) + (0.4 - 0.2)) / 2),
        (diagonal_mean, (0.8 + 0.6 + 0.7) / 3),
        (learning_gain, ((0.8 - 0.1) + (0.6 - 0.0) + (0.7 - 0.2)) / 3),
    ],
)
def test_figures_by_hand(metric: Metric, expected: float) -> None:
    assert metric(MATRIX) == pytest.approx(expected)
    assert RetentionMatrix(MATRIX).figure(metric) == pytest.approx(expected)


def test_forgetting_after_each_round_by_hand() -> None:
    assert np.isnan(forgetting(MATRIX, 1))
    assert forgetting(MATRIX, 2) == pytest.approx(0.8 - 0.9)  # below 0: the first round got better
    assert forgetting(MATRIX, 3) == forgetting(MATRIX)


def test_bounds_by_hand() -> None:
    gap = ((0.8 - 0.8) + (0.6 - 0.9) + (0.7 - 0.4)) / 3
    assert learning_gap(MATRIX, SINGLE) == pytest.approx(gap)
    lost = ((0.8 - 0.8) + (0.7 - 0.6) + (0.9 - 0.7)) / 3
    assert intransigence(MATRIX, JOINT) == pytest.approx(lost)


@pytest.mark.parametrize(
    ("age", "expected", "num_columns"),
    [(0, 1.0, 3), (1, (0.9 / 0.8 + 0.5 / 0.6) / 2, 2), (2, 0.4 / 0.8, 1)],
)
def test_retention_by_age_by_hand(age: int, expected: float, num_columns: int) -> None:
    mean, count = retention_at_age(MATRIX, age)
    assert mean == pytest.approx(expected)
    assert count == num_columns


def test_retention_leaves_out_columns_that_were_never_learned_and_counts_the_others() -> None:
    matrix = MATRIX.copy()
    matrix[1, 0] = 0.0
    mean, count = retention_at_age(matrix, 1)
    assert (mean, count) == (pytest.approx(0.5 / 0.6), 1)
    mean, count = retention_at_age(matrix, 2)
    assert np.isnan(mean)
    assert count == 0


def test_with_one_round_differences_between_rounds_are_not_measured() -> None:
    matrix = RetentionMatrix(np.array([[0.2], [0.6]]))
    for metric in NEED_TWO_ROUNDS:
        assert matrix.figure(metric) is None
    assert matrix.figure(average_accuracy) == matrix.figure(average_over_rounds) == 0.6
    assert matrix.figure(learning_gain) == pytest.approx(0.4)
    assert matrix.figure(learning_gap, np.array([0.5])) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("cell", "still_measured"),
    [
        # Row 0 is needed by what compares with it, and by nothing else.
        (
            (0, 2),
            {average_accuracy, average_over_rounds, backward_transfer, forgetting, diagonal_mean},
        ),
        # Above the diagonal.
        ((1, 2), set(METRICS) - {forward_transfer}),
        ((1, 3), set(METRICS)),
        # A past round between its own row and the last.
        (
            (2, 1),
            set(METRICS) - {average_over_rounds, forgetting},
        ),
        # The last diagonal cell.
        ((3, 3), {backward_transfer, forgetting, forward_transfer}),
    ],
)
def test_a_cell_that_is_missing_leaves_open_just_what_needs_it(
    cell: tuple[int, int], still_measured: set[Metric]
) -> None:
    cells = {(t, i): float(MATRIX[t, i - 1]) for t in range(4) for i in range(1, 4)}
    cells.pop(cell)
    matrix = RetentionMatrix.from_cells(cells, num_rounds=3)
    assert matrix.cell(*cell) is None
    assert matrix.cell(1, 1) == 0.8
    assert matrix.num_rounds == 3
    assert {m for m in METRICS if matrix.figure(m) is not None} == still_measured


def test_a_bound_or_cell_that_did_not_run_is_not_measured() -> None:
    matrix = RetentionMatrix(MATRIX)
    bound = np.array([0.5, np.nan, 0.5])
    assert matrix.figure(learning_gap, bound) is None
    assert matrix.figure(intransigence, bound) is None
    open_cell = RetentionMatrix.from_cells({(1, 1): 0.5, (2, 2): 0.5, (2, 1): None}, 2)
    assert np.isnan(retention_at_age(open_cell.values, 1)[0])


def test_a_matrix_has_one_row_more_than_columns() -> None:
    with pytest.raises(ValueError, match="expected"):
        RetentionMatrix(np.zeros((3, 3)))


def matrices(min_rounds: int = 1) -> st.SearchStrategy[Array]:
    return st.integers(min_rounds, 5).flatmap(
        lambda num: arrays(np.float64, (num + 1, num), elements=st.floats(0, 1, width=32))
    )


@given(st.integers(1, 5), st.floats(0.125, 1, width=32))
def test_of_a_constant_matrix_nothing_is_forgotten(num_rounds: int, value: float) -> None:
    matrix = np.full((num_rounds + 1, num_rounds), value)
    row = np.full(num_rounds, value)
    for metric in (average_accuracy, average_over_rounds, diagonal_mean):
        assert metric(matrix) == pytest.approx(value)
    assert learning_gain(matrix) == learning_gap(matrix, row) == intransigence(matrix, row) == 0
    for metric in NEED_TWO_ROUNDS:
        assert np.isnan(metric(matrix)) if num_rounds == 1 else metric(matrix) == 0
    for age in range(num_rounds):
        assert retention_at_age(matrix, age)[0] == pytest.approx(1)


@given(matrices(), st.randoms(use_true_random=False))
def test_the_order_of_columns_is_no_matter_to_the_last_row(matrix: Array, random: object) -> None:
    order = list(range(matrix.shape[1]))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert average_accuracy(matrix[:, order]) == pytest.approx(average_accuracy(matrix))


@given(matrices(min_rounds=2), st.randoms(use_true_random=False))
def test_with_equal_rows_from_the_diagonal_on_the_order_is_no_matter(
    matrix: Array, random: object
) -> None:
    """Where a column depends on its age alone, permuting which round is which changes nothing."""
    num_rounds = matrix.shape[1]
    before, after = matrix[0], matrix[1]
    order = list(range(num_rounds))
    random.shuffle(order)  # type: ignore[attr-defined]

    def build(columns: list[int]) -> Array:
        built = np.zeros_like(matrix)
        for place, column in enumerate(columns):
            built[: place + 1, place] = before[column]
            built[place + 1 :, place] = after[column]
        return built

    for metric in (average_accuracy, diagonal_mean, learning_gain):
        assert metric(build(order)) == pytest.approx(metric(build(list(range(num_rounds)))))
    for metric in (backward_transfer, forgetting, forward_transfer):
        assert metric(build(order)) == pytest.approx(0)


def slow_figures(matrix: Array) -> dict[str, float]:
    """Compute the figures that need two rounds by the letter of their formulas."""
    num_rounds = matrix.shape[1]

    def cell(t: int, i: int) -> float:
        return float(matrix[t, i - 1])

    return {
        "average_over_rounds": sum(
            sum(cell(t, i) for i in range(1, t + 1)) / t for t in range(1, num_rounds + 1)
        )
        / num_rounds,
        "backward_transfer": sum(cell(num_rounds, i) - cell(i, i) for i in range(1, num_rounds))
        / (num_rounds - 1),
        "forgetting": sum(
            max(cell(row, i) for row in range(i, num_rounds)) - cell(num_rounds, i)
            for i in range(1, num_rounds)
        )
        / (num_rounds - 1),
        "forward_transfer": sum(cell(i - 1, i) - cell(0, i) for i in range(2, num_rounds + 1))
        / (num_rounds - 1),
    }


@given(matrices(min_rounds=2))
def test_figures_agree_with_their_formulas(matrix: Array) -> None:
    for metric in (average_over_rounds, backward_transfer, forgetting, forward_transfer):
        assert metric(matrix) == pytest.approx(slow_figures(matrix)[metric.__name__])
    assert forgetting(matrix) >= -backward_transfer(matrix) - 1e-12


@given(
    st.lists(arrays(np.float64, (4, 3), elements=st.floats(0, 1, width=32)), min_size=1, max_size=4)
)
def test_matrices_measured_together_give_the_figures_of_each(stack: list[Array]) -> None:
    together = np.stack(stack)
    for metric in METRICS:
        np.testing.assert_allclose(metric(together), [metric(matrix) for matrix in stack])
    for t in (1, 2, 3):
        np.testing.assert_allclose(
            forgetting(together, t), [forgetting(matrix, t) for matrix in stack]
        )
    for age in range(3):
        means, counts = retention_at_age(together, age)
        each = [retention_at_age(matrix, age) for matrix in stack]
        np.testing.assert_allclose(means, [mean for mean, _ in each])
        assert counts.tolist() == [int(count) for _, count in each]
