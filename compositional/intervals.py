"""Figures with their 95 % intervals: over the choice of test examples, and over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from compositional.retention import Array

CONFIDENCE = 0.95
ROUNDING = 1e-12
"""What sums of equal scores may differ by."""
ENOUGH_SEEDS = 5
"""With fewer seeds a table says "too few seeds" beside its intervals over seeds."""


@dataclass(frozen=True)
class Interval:
    """A two-sided 95 % interval, ends included."""

    low: float
    high: float


@dataclass(frozen=True)
class Figure:
    """A figure and how sure it is.

    Attributes:
        value: The figure; None where it was not measured.
        interval: Its interval; None where there is none to give.
    """

    value: float | None
    interval: Interval | None


def percentile_interval(samples: Array) -> Interval | None:
    """Return the central 95 % of a figure's resamples.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.

    Args:
        samples: The figure in each resample, shape (num_resamples,). Resamples in which it is
            not defined (NaN), as a ratio over 0, are left out.

    Returns:
        The interval; None where no resample defines the figure.
    """
    defined = samples[~np.isnan(samples)]
    if not defined.size:
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(low), float(high))


def unanimity_bound(num_examples: int) -> float:
    """Return how large the share of other examples may be where n examples score the same.

    A bootstrap of equal scores has no spread, which is not certainty. If a share p of all queries
    scored otherwise, n of them would agree with probability (1 - p)^n; the bound is the p at which
    that is 5 %.

    Source: Hanley and Lippman-Hand 1983, "If nothing goes wrong, is everything all right?"

    Args:
        num_examples: n, 1 or more.

    Returns:
        1 - 0.05^(1 / n), in 0..1.
    """
    return float(1 - (1 - CONFIDENCE) ** (1 / num_examples))


def seed_figure(means: Sequence[float]) -> Figure:
    """Return the mean over seeds with its t interval.

    Args:
        means: A figure of each seed's run.

    Returns:
        The mean and mean +- t x s / sqrt(n), t of n - 1 degrees of freedom; no interval with one
        seed, no value with none.
    """
    values = np.asarray(means, dtype=float)
    if not values.size:
        return Figure(None, None)
    mean = float(values.mean())
    if values.size == 1:
        return Figure(mean, None)
    spread = float(values.std(ddof=1))
    if spread < ROUNDING:
        return Figure(mean, Interval(mean, mean))
    quantile = student_t.ppf((1 + CONFIDENCE) / 2, df=values.size - 1)
    half_width = float(quantile * spread / np.sqrt(values.size))
    return Figure(mean, Interval(mean - half_width, mean + half_width))


def paired_seed_figure(first: Sequence[float], second: Sequence[float]) -> Figure:
    """Return the mean difference of two methods over the same seeds, with its t interval.

    Args:
        first: A figure of the first method's run of each seed.
        second: The same of the second method, seeds in the same order.
    """
    return seed_figure([a - b for a, b in zip(first, second, strict=True)])


def p_of_interval(figure: Figure, num_seeds: int) -> float | None:
    """Return the two-sided p of the t test against 0 that a t interval belongs to.

    Args:
        figure: What `seed_figure` gave.
        num_seeds: How many seeds it is the mean of.

    Returns:
        None where there is no interval, or the seeds do not differ: no test knows then.
    """
    if figure.value is None or figure.interval is None or num_seeds < 2:
        return None
    half_width = figure.interval.high - figure.value
    if half_width <= 0:
        return None
    quantile = student_t.ppf((1 + CONFIDENCE) / 2, df=num_seeds - 1)
    statistic = abs(figure.value) * quantile / half_width
    return float(2 * student_t.sf(statistic, df=num_seeds - 1))
