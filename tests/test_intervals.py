"""Intervals by hand."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from compositional.intervals import (
    Figure,
    Interval,
    p_of_interval,
    paired_seed_figure,
    percentile_interval,
    seed_figure,
    unanimity_bound,
)


def test_the_percentile_interval_is_the_central_95_percent() -> None:
    samples = np.random.default_rng(0).permutation(np.arange(1001) / 1000)
    interval = percentile_interval(samples)
    assert interval is not None
    assert interval.low == pytest.approx(0.025)
    assert interval.high == pytest.approx(0.975)


def test_resamples_that_do_not_define_a_figure_are_left_out() -> None:
    assert percentile_interval(np.array([np.nan, 2.0, 2.0])) == Interval(2.0, 2.0)
    assert percentile_interval(np.array([np.nan, np.nan])) is None


@pytest.mark.parametrize(("num_examples", "bound"), [(1, 0.95), (12, 0.2209), (100, 0.02951)])
def test_the_bound_where_all_examples_agree(num_examples: int, bound: float) -> None:
    assert unanimity_bound(num_examples) == pytest.approx(bound, abs=5e-5)
    assert (1 - unanimity_bound(num_examples)) ** num_examples == pytest.approx(0.05)


def test_the_t_interval_over_seeds_by_hand() -> None:
    # Mean 3, s = sqrt(2.5), t(0.975, 4) = 2.7764.
    figure = seed_figure([1, 2, 3, 4, 5])
    assert figure.value == 3
    assert figure.interval is not None
    half_width = 2.776445 * np.sqrt(2.5) / np.sqrt(5)
    assert figure.interval.low == pytest.approx(3 - half_width, abs=1e-5)
    assert figure.interval.high == pytest.approx(3 + half_width, abs=1e-5)


def test_pairing_takes_out_what_seeds_share() -> None:
    figure = paired_seed_figure([0.5, 0.7, 0.9], [0.4, 0.6, 0.8])
    assert figure.value == pytest.approx(0.1)
    assert figure.interval is not None
    assert figure.interval.high - figure.interval.low == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="shorter"):
        paired_seed_figure([0.5, 0.7], [0.4])


def test_one_seed_has_no_interval_and_none_no_figure() -> None:
    assert seed_figure([0.5]) == Figure(0.5, None)
    assert seed_figure([]) == Figure(None, None)


def test_the_p_of_a_t_interval_is_that_of_the_t_test() -> None:
    values = [0.3, 0.1, 0.4, -0.05, 0.2]
    expected = ttest_1samp(values, 0.0).pvalue
    assert p_of_interval(seed_figure(values), len(values)) == pytest.approx(expected)
    assert p_of_interval(seed_figure([0.3]), 1) is None
    assert p_of_interval(seed_figure([]), 0) is None


def test_seeds_that_are_equal_but_for_rounding_have_no_spread() -> None:
    figure = seed_figure([0.1 + 0.2, 0.3])
    assert figure.interval is not None
    assert figure.interval.low == figure.interval.high == figure.value
    assert p_of_interval(figure, 2) is None
