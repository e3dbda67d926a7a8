from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from compositional.errors import ConfigError
from compositional.streams import Streams
from compositional.tasks.types import Example
from compositional.training.replay import ReplayBuffer, draw_replayed, exact_ratio, num_replayed


def examples(start: int, stop: int) -> list[Example]:
    return [Example(str(number), f"query {number}", ()) for number in range(start, stop)]


def uniformity(counts: list[int], num_trials: int, num_kept: int) -> float:
    """The p-value of every item being kept equally often, k of n without replacement a trial.

    One item's indicator has variance p(1 - p), two items' covariance -p(1 - p)/(n - 1), so that
    the sum of squared deviations over that is n/(n - 1) times chi-square with n - 1 degrees.
    """
    num_items = len(counts)
    share = num_kept / num_items
    deviation = sum((count - num_trials * share) ** 2 for count in counts)
    statistic = deviation / (num_trials * share * (1 - share)) * (num_items - 1) / num_items
    return float(chi2.sf(statistic, num_items - 1))


@pytest.mark.parametrize("rounds", [(20,), (3, 9, 8), (5, 5, 5, 5), (1, 19)])
def test_every_example_offered_is_kept_with_equal_probability(rounds) -> None:
    num_trials, capacity = 4000, 5
    kept: Counter[str] = Counter()
    for trial in range(num_trials):
        buffer, start = ReplayBuffer(capacity), 0
        for index, size in enumerate(rounds):
            rng = Streams(trial).generator("reservoir", f"round {index}")
            buffer.offer(examples(start, start + size), rng)
            start += size
        assert buffer.num_offered == 20
        assert len({example.id for example in buffer.examples}) == capacity
        kept.update(example.id for example in buffer.examples)
    counts = [kept[str(number)] for number in range(20)]
    assert uniformity(counts, num_trials, capacity) > 1e-3


def test_the_uniformity_test_would_see_a_bias() -> None:
    counts = [1000] * 20
    counts[0], counts[1] = 1150, 850
    assert uniformity(counts, 4000, 5) < 1e-3


def test_a_buffer_that_is_not_full_keeps_everything_in_order() -> None:
    buffer = ReplayBuffer(10)
    rng = np.random.default_rng(0)
    buffer.offer(examples(0, 4), rng)
    buffer.offer(examples(4, 10), rng)
    assert buffer.examples == examples(0, 10)


def test_a_buffer_of_one() -> None:
    buffer = ReplayBuffer(1)
    buffer.offer(examples(0, 50), np.random.default_rng(0))
    assert len(buffer.examples) == 1
    with pytest.raises(ConfigError, match="size is 0"):
        ReplayBuffer(0)


def test_a_ratio_is_what_its_decimals_say() -> None:
    assert exact_ratio(0.1) == Fraction(1, 10)
    assert exact_ratio(0.3) == Fraction(3, 10)
    assert exact_ratio(0) == 0
    assert exact_ratio(1e-5) == Fraction(1, 100000)


@pytest.mark.parametrize("ratio", [-0.1, 1.0, 1.5, float("nan"), float("inf")])
def test_a_ratio_outside_its_range(ratio) -> None:
    with pytest.raises(ConfigError, match="replay ratio is"):
        exact_ratio(ratio)


def test_num_replayed_by_hand() -> None:
    fifth = Fraction(1, 5)  # one in four new rows
    assert [num_replayed(new, fifth) for new in range(10)] == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    half, three_tenths = Fraction(1, 2), exact_ratio(0.3)
    assert [num_replayed(new, half) for new in range(4)] == [0, 1, 2, 3]
    assert [num_replayed(new, three_tenths) for new in (2, 3, 7, 14)] == [0, 1, 3, 6]
    assert num_replayed(2, exact_ratio(0.6)) == 3
    assert int(2 * 0.6 / (1 - 0.6)) == 2  # what floats would give
    assert num_replayed(1000, Fraction(0)) == 0


@given(st.integers(0, 500), st.integers(0, 99))
def test_replayed_rows_are_never_more_than_their_share(num_new, percent) -> None:
    ratio = Fraction(percent, 100)
    replayed = num_replayed(num_new, ratio)
    assert replayed <= ratio * (num_new + replayed)
    assert replayed + 1 > ratio * (num_new + replayed + 1)


@given(st.integers(1, 12), st.integers(0, 40), st.integers(0, 99))
def test_draws_are_without_replacement_until_the_buffer_is_used_up(kept, due, seed) -> None:
    drawn = Counter(draw_replayed(kept, due, np.random.default_rng(seed)))
    assert sum(drawn.values()) == due
    assert set(drawn) <= set(range(kept))
    times = [drawn[place] for place in range(kept)]
    assert max(times) - min(times) <= 1  # without replacement where due <= kept


def test_draws_are_uniform() -> None:
    drawn: Counter[int] = Counter()
    for trial in range(3000):
        drawn.update(draw_replayed(8, 3, Streams(trial).generator("replay", "round 2", 0)))
    assert uniformity([drawn[place] for place in range(8)], 3000, 3) > 1e-3
