"""Across seeds and orders of rounds: intervals over examples and seeds, pairs of methods, orders.

A resample draws seeds with replacement, and of every seed's runs the test examples as everywhere
else; a figure of a method is the mean over the drawn seeds of the mean over its orders. All
methods share both draws, so their differences are paired.

Source: Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8 (two levels);
Holm 1979, A simple sequentially rejective multiple test procedure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from compositional.intervals import Figure, p_of_interval, percentile_interval
from compositional.report.figures import MethodFigures
from compositional.report.formats import Entry, Table
from compositional.report.labels import NOT_MEASURED, SCORE_TITLES, capitalised
from compositional.report.seeds import (
    Group,
    few_seeds_notes,
    group_title,
    groups_of_several,
    paired_difference_over_seeds,
    seeds_text,
    shared_keys,
)
from compositional.resampling import NUM_RESAMPLES
from compositional.retention import Array, average_accuracy, measured
from compositional.streams import Streams
from compositional.summary import Resampled

NOTE = (
    "Average accuracy, the mean over orders and seeds. In brackets: 95 % intervals of a bootstrap "
    "that draws seeds, and test examples of each."
)
PAIRS_BRIEF = ("first", "second", "seeds", "first minus second", "p by Holm")
"""What of the table of pairs is printed."""


def pairs_table(figures: Sequence[MethodFigures], score_name: str) -> Table | None:
    """Return the differences of all pairs of methods, over the seeds and orders that both have run.

    None where there is no pair of groups of more than one run each.
    """
    groups = groups_of_several(figures, score_name)
    found = [
        pair
        for first, second in combinations(groups, 2)
        if (pair := _compare(first, second, score_name)) is not None
    ]
    if not found:
        return None
    known = [pair.p for pair in found if pair.p is not None]
    adjusted = iter(holm(known))
    rows: list[list[Entry]] = [
        [
            pair.first,
            pair.second,
            pair.seeds,
            pair.by_bootstrap,
            pair.by_seeds,
            _p_text(pair.p),
            _p_text(None if pair.p is None else next(adjusted)),
        ]
        for pair in found
    ]
    notes = [
        NOTE,
        "Over seeds: the same difference with the 95 % t interval over the seeds, paired. p: "
        f"two-sided t test of it; {_correction(len(known))}.",
    ]
    few = "a bootstrap of so few has too narrow intervals."
    notes += few_seeds_notes([pair.num_seeds for pair in found], few)
    header = [
        "first", "second", "seeds", "first minus second", "over seeds", "p", "p by Holm",
    ]  # fmt: skip
    return Table(f"{capitalised(SCORE_TITLES[score_name])}: pairs of methods", header, rows, notes)


@dataclass(frozen=True)
class Pair:
    """Two methods compared over the seeds and orders that both have run.

    Attributes:
        first: The one's title.
        second: The other's.
        num_seeds: Seeds that both have run.
        seeds: Their number in words, with the runs that only one of them has.
        by_bootstrap: The difference with the interval over examples and seeds.
        by_seeds: The difference with the t interval over seeds.
        p: Two-sided, of the paired t test over seeds; None with one seed.
    """

    first: str
    second: str
    num_seeds: int
    seeds: str
    by_bootstrap: Figure
    by_seeds: Figure
    p: float | None


def _compare(first: Group, second: Group, score_name: str) -> Pair | None:
    """Compare two methods; None where they share no run, or one lacks the figure."""
    shared = shared_keys(first, second)
    parts = [{key: group[key] for key in shared} for group in (first, second)]
    means = [_across(part, score_name) if part else None for part in parts]
    one, other = means
    if one is None or other is None:
        return None
    num_seeds = len({seed for seed, _ in shared})
    num_left_out = len(first.keys() ^ second.keys())
    left_out = [f"{num_left_out} runs of one alone left out"] if num_left_out else []
    difference = Resampled(one.point - other.point, one.draws - other.draws)
    by_seeds = paired_difference_over_seeds(first, second, score_name)
    return Pair(
        group_title(first),
        group_title(second),
        num_seeds,
        seeds_text(num_seeds, left_out),
        Figure(float(difference.point), percentile_interval(difference.draws)),
        by_seeds,
        p_of_interval(by_seeds, num_seeds),
    )


def orders_table(figures: Sequence[MethodFigures], score_name: str) -> Table | None:
    """Return what each order of rounds gives, by itself; None where no method has two orders."""
    groups = [
        group
        for group in groups_of_several(figures, score_name)
        if len({order for _, order in group}) > 1
    ]
    if not groups:
        return None
    orders = sorted({order for group in groups for _, order in group})
    rows: list[list[Entry]] = []
    for group in groups:
        by_order = [_of_order(group, order) for order in orders]
        means = [_across(part, score_name) if part else None for part in by_order]
        whole = [_across(part, score_name) if part else None for part in _of_all(group, orders)]
        rows.append(
            [
                group_title(group),
                *(NOT_MEASURED if m is None else _figure(m) for m in means),
                _largest_gap([m for m in whole if m is not None]),
            ]
        )
    heads = [", ".join(order) for order in orders]
    title = f"{capitalised(SCORE_TITLES[score_name])} by order of rounds"
    notes = [
        NOTE,
        "Effect: the best order's mean minus the worst one's, over the seeds that ran all orders. "
        "The two are picked from the same figures, so that it is above 0 even where the order does "
        "not matter, and its interval too.",
    ]
    num_seeds = [len({seed for seed, _ in group}) for group in groups]
    notes += few_seeds_notes(num_seeds, "these intervals are too narrow.")
    return Table(title, ["runs", *heads, "effect of the order"], rows, notes)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number by Holm's step-down procedure.

    Args:
        p_values: Of m comparisons. The k-th smallest is multiplied by m - k + 1, and none may be
            smaller than one before it; none exceeds 1.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def _of_order(group: Group, order: tuple[str, ...]) -> Group:
    return {key: method for key, method in group.items() if key[1] == order}


def _of_all(group: Group, orders: Sequence[tuple[str, ...]]) -> list[Group]:
    """Return each order's runs of those seeds that ran all the orders which the group has."""
    own = [order for order in orders if _of_order(group, order)]
    seeds = {seed for seed, _ in group}
    whole = {seed for seed in seeds if all((seed, order) in group for order in own)}
    return [
        {key: m for key, m in _of_order(group, order).items() if key[0] in whole} for order in own
    ]


def _across(group: Group, score_name: str) -> Resampled | None:
    """Return a group's average accuracy, measured and on each resample; None where it lacks."""
    matrices = {key: method.matrix(score_name) for key, method in group.items()}
    return mean_over_runs(
        {
            key: Resampled(average_accuracy(matrix.point), average_accuracy(matrix.draws))
            for key, matrix in matrices.items()
        }
    )


def mean_over_runs(
    values: Mapping[tuple[int, tuple[str, ...]], Resampled | None],
) -> Resampled | None:
    """Return the mean over seeds of the mean over orders, measured and on each resample.

    Args:
        values: A number of each run, measured and resampled, by seed and order of rounds; None or
            NaN where a run lacks it.

    Returns:
        None where a run lacks it.
    """
    points: dict[int, list[float]] = {}
    draws: dict[int, list[Array]] = {}
    for (seed, _), value in values.items():
        if value is None or measured(value.point) is None:
            return None
        points.setdefault(seed, []).append(float(value.point))
        draws.setdefault(seed, []).append(value.draws)
    seeds = sorted(points)
    by_seed = np.stack([np.mean(draws[seed], axis=0) for seed in seeds], axis=1)
    chosen = _drawn_seeds(seeds)
    return Resampled(
        point=np.asarray(np.mean([np.mean(points[seed]) for seed in seeds])),
        draws=np.take_along_axis(by_seed, chosen, axis=1).mean(axis=1),
    )


def _drawn_seeds(seeds: Sequence[int]) -> np.ndarray:
    """Return which seeds each resample draws, the same for all methods of these seeds."""
    generator = Streams(seeds[0]).generator("bootstrap", "seeds", *seeds)
    return generator.integers(len(seeds), size=(NUM_RESAMPLES, len(seeds)))


def _correction(num_tests: int) -> str:
    """Say what p-values are corrected for."""
    if num_tests == 0:
        return "no test possible: the differences do not vary over the seeds, or there is one seed"
    return f"Holm: corrected for {num_tests} comparison{'s' if num_tests > 1 else ''}"


def _p_text(p: float | None) -> str:
    if p is None:
        return NOT_MEASURED
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _figure(across: Resampled) -> Figure:
    return Figure(float(across.point), percentile_interval(across.draws))


def _largest_gap(means: Sequence[Resampled]) -> Entry:
    if len(means) < 2:
        return NOT_MEASURED
    best = max(means, key=lambda mean: float(mean.point))
    worst = min(means, key=lambda mean: float(mean.point))
    return _figure(Resampled(best.point - worst.point, best.draws - worst.draws))
