"""Other test sets that might have been drawn: one bootstrap that every figure shares.

Each column's test examples are drawn anew with replacement, 10,000 times, by groups that share a
base query, and every figure is computed anew from the drawn cells. The draw of a column is the
same for every row and every method, so differences between rows or methods are paired.

Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap; Davison and Hinkley 1997,
Bootstrap Methods and their Application, section 3.8 (drawing whole groups where examples of one
group depend on each other).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from compositional.retention import Array
from compositional.streams import Streams

NUM_RESAMPLES = 10_000


@dataclass(frozen=True)
class ColumnResamples:
    """The draws of one column.

    Attributes:
        groups: Index of each example's group, shape (num_examples,).
        counts: How often each resample drew each group, shape (num_resamples, num_groups); kept
            as float64, the type that they are multiplied in (80 kB a group).
    """

    groups: NDArray[np.int64]
    counts: Array

    @property
    def num_groups(self) -> int:
        """Number of groups of examples that share no base query."""
        return int(self.counts.shape[1])

    def sums(self, scores: Array) -> Array:
        """Return the sum of the scores of each resample's examples, and how many there are.

        Args:
            scores: Scores of the column's examples, shape (num_examples,); NaN where a score
                does not apply to an example, which then counts nowhere.

        Returns:
            Shape (num_resamples, 2). NaN throughout where the column is one group: nothing can then
            be said about its spread.
        """
        applies = ~np.isnan(scores)
        totals = np.bincount(self.groups[applies], scores[applies], minlength=self.num_groups)
        sizes = np.bincount(self.groups[applies], minlength=self.num_groups)
        drawn = self.counts @ np.stack([totals, sizes.astype(float)], axis=1)
        return drawn if self.num_groups > 1 else np.full(drawn.shape, np.nan)

    def means(self, scores: Array) -> Array:
        """Return the mean score of each resample's examples.

        Args:
            scores: As `sums` takes them.

        Returns:
            Shape (num_resamples,). NaN where the score applies to no example drawn, and
            throughout where the column is one group.
        """
        return _ratios(self.sums(scores))


@dataclass(frozen=True)
class Resamples:
    """The draws of every column of an experiment, shared by all its rows and methods.

    Attributes:
        columns: The draws of each column, by name.
        num_resamples: How often each column is drawn.
    """

    columns: Mapping[str, ColumnResamples]
    num_resamples: int = NUM_RESAMPLES

    @classmethod
    def draw(
        cls,
        columns: Mapping[str, Sequence[Sequence[str]]],
        seed: int,
        num_resamples: int = NUM_RESAMPLES,
    ) -> "Resamples":
        """Draw the examples of each column with replacement, by groups.

        Args:
            columns: For each column the base ids of each of its examples, in order.
            seed: The run's seed; each column draws from its own key of the stream `bootstrap`.
            num_resamples: How often to draw.
        """
        drawn = {}
        for name, base_ids in columns.items():
            groups = group_examples(base_ids)
            num_groups = int(groups.max()) + 1
            generator = Streams(seed).generator("bootstrap", name)
            counts = generator.multinomial(
                num_groups, np.full(num_groups, 1 / num_groups), size=num_resamples
            )
            drawn[name] = ColumnResamples(groups, counts.astype(np.float64))
        return cls(drawn, num_resamples)

    def cell_means(self, column: str, scores: Array) -> Array:
        """Return a cell's mean in each resample, of shape (num_resamples,)."""
        return self.columns[column].means(scores)

    def pooled_means(self, scores: Mapping[str, Array]) -> Array:
        """Return the mean over the examples of several columns in each resample.

        Args:
            scores: Of each column's examples, one column or more; NaN where one does not apply.

        Returns:
            Shape (num_resamples,); see `ColumnResamples.means`.
        """
        sums = [self.columns[column].sums(values) for column, values in scores.items()]
        return _ratios(np.sum(sums, axis=0))


def _ratios(sums: Array) -> Array:
    """Return sums by their numbers, both in the last axis; NaN where there is no number."""
    means = np.full(len(sums), np.nan)
    np.divide(sums[:, 0], sums[:, 1], out=means, where=sums[:, 1] > 0)
    return means


def group_examples(base_ids: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """Group examples that share a base query, directly or through others.

    Args:
        base_ids: The base ids of each example; an example without any is a group of its own.

    Returns:
        Index of each example's group, from 0 in order of first appearance.
    """
    num_examples = len(base_ids)
    index: dict[str, int] = {}
    pairs = [
        (example, index.setdefault(base_id, num_examples + len(index)))
        for example, ids in enumerate(base_ids)
        for base_id in ids
    ]
    rows, cols = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    size = num_examples + len(index)
    graph = coo_array((np.ones(len(pairs)), (rows, cols)), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    _, groups = np.unique(labels[:num_examples], return_inverse=True)
    return np.asarray(groups, dtype=np.int64)
