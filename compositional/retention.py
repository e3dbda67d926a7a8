"""The matrix of scores over rounds, and the figures that are read from it.

R[t, i] is the score on the i-th round's test set after t rounds; t = 0..T (row 0 is the model
before any training), i = 1..T in the order taught. A cell that was not measured is NaN, and a
figure that needs it is not measured either: it is never taken as 0, and never left out of a mean.

Each metric is a plain function of an array of shape (..., T + 1, T): the leading axes are
matrices measured together, so that a bootstrap computes a figure anew from all its resamples by
the same code that computes the figure itself. `RetentionMatrix` gives them of one matrix as
numbers, with None for "not measured".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def average_accuracy(matrix: Array) -> Array:
    """Return mean_i R[T, i], the mean of the last row.

    Source: Lopez-Paz and Ranzato 2017 (GEM, arXiv 1706.08840), ACC.

    Args:
        matrix: R, of shape (..., T + 1, T).

    Returns:
        Shape (...), in the unit of the scores; NaN where a cell is not measured.
    """
    return np.asarray(matrix[..., -1, :].mean(axis=-1))


def average_over_rounds(matrix: Array) -> Array:
    """Return mean_t mean_{i <= t} R[t, i] over t >= 1.

    Source: Rebuffi et al. 2017 (iCaRL, arXiv 1611.07725), average incremental accuracy.

    Args:
        matrix: R, of shape (..., T + 1, T).

    Returns:
        Shape (...); NaN where a cell of the lower triangle is not measured.
    """
    num_rounds = matrix.shape[-1]
    rows = [matrix[..., t, :t].mean(axis=-1) for t in range(1, num_rounds + 1)]
    return np.asarray(np.mean(rows, axis=0))


def diagonal_mean(matrix: Array) -> Array:
    """Return mean_i R[i, i], how well each round is known right after it was taught.

    Args:
        matrix: R, of shape (..., T + 1, T).

    Returns:
        Shape (...); NaN where a diagonal cell is not measured.
    """
    return np.asarray(diagonal(matrix).mean(axis=-1))


def learning_gain(matrix: Array) -> Array:
    """Return mean_i (R[i, i] - R[0, i]), what teaching a round adds, pooled over rounds.

    Args:
        matrix: R, of shape (..., T + 1, T).

    Returns:
        Shape (...); NaN where a diagonal cell or a cell of row 0 is not measured.
    """
    return np.asarray((diagonal(matrix) - matrix[..., 0, :]).mean(axis=-1))


def backward_transfer(matrix: Array) -> Array:
    """Return sum_{i < T} (R[T, i] - R[i, i]) / (T - 1).

    Source: Lopez-Paz and Ranzato 2017 (GEM, arXiv 1706.08840), BWT.

    Args:
        matrix: R, of shape (..., T + 1, T).

    Returns:
        Shape (...), below 0 where past rounds got worse; NaN where T = 1.
    """
    changes = matrix[..., -1, :-1] - diagonal(matrix)[..., :-1]
    return _mean_or_nan(changes)


def forgetting(matrix: Array, num_rounds_taught: int | None = None) -> Array:
    """Return sum_{i < t} (max_{i <= l < t} R[l, i] - R[t, i]) / (t - 1).

    Source: Chaudhry et al. 2018 (arXiv 1801.10112), forgetting measure F_k. The maximum is over
    the rounds before t, from the one that taught i; it leaves out row t itself, so that the
    figure can be negative.

    Args:
        matrix: R, of shape (..., T + 1, T).
        num_rounds_taught: t, 1..T; T by default.

    Returns:
        Shape (...), above 0 where past rounds got worse; NaN where t = 1.
    """
    t = matrix.shape[-1] if num_rounds_taught is None else num_rounds_taught
    drops = [matrix[..., i:t, i - 1].max(axis=-1) - matrix[..., t, i - 1] for i in range(1, t)]
    return _mean_or_nan(np.stack(drops, axis=-1) if drops else matrix[..., 0, :0])


def forward_transfer(matrix: Array) -> Array:
    """Return sum_{i >= 2} (R[i - 1, i] - R[0, i]) / (T - 1).

    Source: Lopez-Paz and Ranzato 2017 (GEM, arXiv 1706.08840), FWT, with the method's own row 0
    in place of a random initialisation.

    Args:
        matrix: R, of shape (..., T + 1, T).

    Returns:
        Shape (...), above 0 where earlier rounds help later ones; NaN where T = 1.
    """
    before = np.diagonal(matrix[..., 1:-1, 1:], axis1=-2, axis2=-1)
    return _mean_or_nan(before - matrix[..., 0, 1:])


def learning_gap(matrix: Array, single: Array) -> Array:
    """Return mean_i (R[i, i] - S_i), what a round taught in sequence gains over it taught alone.

    Source: Zhao et al. 2024 (SAPT, arXiv 2401.08295), there called forward transfer.

    Args:
        matrix: R, of shape (..., T + 1, T).
        single: S, of shape (..., T): the same method trained on round i alone, scored on it.

    Returns:
        Shape (...); NaN where a diagonal cell or a bound is not measured.
    """
    return np.asarray((diagonal(matrix) - single).mean(axis=-1))


def intransigence(matrix: Array, joint: Array) -> Array:
    """Return mean_t (J_t - R[t, t]), what is lost to joint training on the same rounds.

    Source: Chaudhry et al. 2018 (arXiv 1801.10112), intransigence measure I_k, averaged over
    rounds.

    Args:
        matrix: R, of shape (..., T + 1, T).
        joint: J, of shape (..., T): the same method trained jointly on rounds 1..t, scored on
            round t.

    Returns:
        Shape (...), above 0 where joint training is better; NaN where a cell is not measured.
    """
    return np.asarray((joint - diagonal(matrix)).mean(axis=-1))


def retention_at_age(matrix: Array, age: int) -> tuple[Array, NDArray[np.int64]]:
    """Return mean_i R[i + a, i] / R[i, i] over the columns with R[i, i] > 0, and their number.

    Source: ours, by the ratio of NCFT-type papers (R[t, i] / R[i, i]) read by age; the field has
    no standard definition.

    Args:
        matrix: R, of shape (..., T + 1, T).
        age: a, rounds since column i was taught, 0..T - 1.

    Returns:
        The mean and the number of columns in it, each of shape (...). NaN where there are none,
        or where a cell that is needed is not measured.
    """
    start = diagonal(matrix)[..., : matrix.shape[-1] - age]
    later = np.diagonal(matrix[..., 1 + age :, :], axis1=-2, axis2=-1)
    counts = ~(start <= 0)  # a NaN counts, and makes the mean NaN
    num_columns = counts.sum(axis=-1)
    ratios = np.divide(later, start, out=np.zeros_like(start), where=counts)
    total = ratios.sum(axis=-1)
    mean = np.divide(total, num_columns, out=np.full(total.shape, np.nan), where=num_columns > 0)
    return mean, np.asarray(num_columns)


def diagonal(matrix: Array) -> Array:
    """Return R[i, i], of shape (..., T), from R of shape (..., T + 1, T)."""
    return np.diagonal(matrix[..., 1:, :], axis1=-2, axis2=-1)


def _mean_or_nan(values: Array) -> Array:
    """Return the mean over the last axis, NaN where that is empty."""
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    return np.asarray(values.mean(axis=-1))


@dataclass(frozen=True)
class RetentionMatrix:
    """The matrix of one method and score, with its figures as numbers.

    Attributes:
        values: R, of shape (T + 1, T); NaN where a cell was not measured.
    """

    values: Array

    def __post_init__(self) -> None:
        """Check the shape."""
        if self.values.ndim != 2 or self.values.shape[0] != self.values.shape[1] + 1:
            raise ValueError(f"shape {self.values.shape}: expected (T + 1, T)")

    @classmethod
    def from_cells(
        cls, cells: Mapping[tuple[int, int], float | None], num_rounds: int
    ) -> "RetentionMatrix":
        """Build the matrix from its cells.

        Args:
            cells: R[t, i] by (t, i), t = 0..T, i = 1..T; None or absent where not measured.
            num_rounds: T.
        """
        values = np.full((num_rounds + 1, num_rounds), np.nan)
        for (t, i), value in cells.items():
            values[t, i - 1] = np.nan if value is None else value
        return cls(values)

    @property
    def num_rounds(self) -> int:
        """T, the number of rounds and of columns."""
        return int(self.values.shape[1])

    def cell(self, t: int, i: int) -> float | None:
        """Return R[t, i]; None where it was not measured."""
        return measured(self.values[t, i - 1])

    def figure(self, metric: Callable[..., Array], *bounds: Array) -> float | None:
        """Return a figure of this matrix; None where it is not measured.

        Args:
            metric: One of this module's metrics, for example `backward_transfer`.
            *bounds: What the metric takes besides the matrix.
        """
        return measured(metric(self.values, *bounds))


def measured(value: Array | float) -> float | None:
    """Return a figure as a number; None where it is NaN, that is not measured."""
    number = float(value)
    return None if np.isnan(number) else number
