"""Across seeds and orders of rounds: intervals over examples and seeds, pairs of methods, orders.

A resample draws seeds with replacement, and of every seed's runs the test examples as everywhere
else; a figure of a method is the mean over the drawn seeds of the mean over its orders. All
methods share both draws, so their differences are paired.

Source: Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8 (two levels);
Holm 1979, A simple sequentially rejective multiple test procedure.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from compositional.intervals import ENOUGH_SEEDS, Figure, percentile_interval
from compositional.report.figures import MethodFigures
from compositional.report.formats import Entry, Table
from compositional.report.labels import NOT_MEASURED, SCORE_TITLES, capitalised
from compositional.report.seeds import Group, group_title, groups_of_several
from compositional.resampling import NUM_RESAMPLES
from compositional.retention import Array, average_accuracy, measured
from compositional.streams import Streams
from compositional.summary import Resampled

NOTE = (
    "Average accuracy, the mean over orders and seeds. In brackets: 95 % intervals of a bootstrap "
    "that draws seeds, and test examples of each."
)


def pairs_table(figures: Sequence[MethodFigures], score_name: str) -> Table | None:
    """Return the differences of all pairs of methods that were run with the same seeds and orders.

    None where there is no such pair of more than one run each.
    """
    groups = groups_of_several(figures, score_name)
    measured_groups = [
        (group, mean) for group in groups if (mean := _across(group, score_name)) is not None
    ]
    found = [
        (first, second, Resampled(one.point - other.point, one.draws - other.draws))
        for (first, one), (second, other) in combinations(measured_groups, 2)
        if first.keys() == second.keys()
    ]
    if not found:
        return None
    p_values = [_p_value(difference.draws) for _, _, difference in found]
    rows: list[list[Entry]] = [
        [
            group_title(first),
            group_title(second),
            Figure(float(difference.point), percentile_interval(difference.draws)),
            _p_text(p),
            _p_text(adjusted),
        ]
        for (first, second, difference), p, adjusted in zip(
            found, p_values, holm(p_values), strict=True
        )
    ]
    num_seeds = len({seed for group in groups for seed, _ in group})
    notes = [
        NOTE,
        f"p: two-sided, from the same resamples; Holm: corrected for {len(found)} comparisons.",
    ]
    if num_seeds < ENOUGH_SEEDS:
        notes.append(
            f"Too few seeds ({num_seeds}; {ENOUGH_SEEDS} are enough): a bootstrap of so few seeds "
            "has too narrow intervals and too small p."
        )
    header = ["first", "second", "first minus second", "p", "p by Holm"]
    return Table(f"{capitalised(SCORE_TITLES[score_name])}: pairs of methods", header, rows, notes)


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
        rows.append(
            [
                group_title(group),
                *(NOT_MEASURED if m is None else _figure(m) for m in means),
                _largest_gap([m for m in means if m is not None]),
            ]
        )
    heads = [", ".join(order) for order in orders]
    title = f"{capitalised(SCORE_TITLES[score_name])} by order of rounds"
    notes = [NOTE, "Effect: the best order's mean minus the worst one's, paired."]
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


def _across(group: Group, score_name: str) -> Resampled | None:
    """Return a group's average accuracy, measured and on each resample; None where it lacks."""
    points: dict[int, list[float]] = {}
    draws: dict[int, list[Array]] = {}
    for (seed, _), method in group.items():
        matrix = method.matrix(score_name)
        value = measured(average_accuracy(matrix.point))
        if value is None:
            return None
        points.setdefault(seed, []).append(value)
        draws.setdefault(seed, []).append(average_accuracy(matrix.draws))
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


def _p_value(draws: Array) -> float:
    """Return the two-sided p of a difference of 0, from its resamples."""
    defined = draws[~np.isnan(draws)]
    tail = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(defined) + 1)))


def _p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _figure(across: Resampled) -> Figure:
    return Figure(float(across.point), percentile_interval(across.draws))


def _largest_gap(means: Sequence[Resampled]) -> Entry:
    if len(means) < 2:
        return NOT_MEASURED
    best = max(means, key=lambda mean: float(mean.point))
    worst = min(means, key=lambda mean: float(mean.point))
    return _figure(Resampled(best.point - worst.point, best.draws - worst.draws))
