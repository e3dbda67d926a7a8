from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compositional.settings import TrainingConfig
from compositional.streams import Streams
from compositional.training.schedule import plan_steps, rate_factor

STREAMS = Streams(7)


@given(
    num_rows=st.integers(0, 30), epochs=st.integers(0, 4), batch_size=st.integers(1, 9),
    ranks=st.booleans(),
)  # fmt: skip
def test_every_row_stands_once_in_an_epoch(num_rows, epochs, batch_size, ranks) -> None:
    counts = [index % 3 for index in range(num_rows)] if ranks else None
    steps = plan_steps(num_rows, epochs, batch_size, STREAMS, "k", counts)
    a_epoch = -(-num_rows // batch_size)
    assert len(steps) == epochs * a_epoch
    for epoch in range(epochs):
        own = steps[epoch * a_epoch : (epoch + 1) * a_epoch]
        assert Counter(row for step in own for row in step) == Counter(range(num_rows))
        assert all(len(step) == batch_size for step in own[:-1])
        assert not own or 1 <= len(own[-1]) <= batch_size


def test_epochs_trainings_and_seeds_have_shuffles_of_their_own() -> None:
    first = plan_steps(20, 3, 20, STREAMS, "round 1")
    others = plan_steps(20, 1, 20, STREAMS, "round 2") + plan_steps(
        20, 1, 20, Streams(8), "round 1"
    )
    orders = {tuple(step) for step in first + others}
    assert len(orders) == 5
    assert tuple(range(20)) not in orders
    assert plan_steps(20, 3, 20, STREAMS, "round 1") == first


def test_a_curriculum_takes_fewest_calls_first_and_keeps_the_order_of_rows() -> None:
    ranks = [2, 1, 3, 1, 2]
    assert plan_steps(5, 2, 2, STREAMS, "k", ranks) == [[1, 3], [0, 4], [2]] * 2


def test_linear_warm_up_and_decay_by_hand() -> None:
    config = TrainingConfig(warmup_ratio=0.2, scheduler="linear")
    # ten steps, two of them warm-up: a third and two thirds, then 8/8 down to 1/8
    factors = [rate_factor(step, 10, config) for step in range(10)]
    assert factors == pytest.approx([1 / 3, 2 / 3, *(n / 8 for n in range(8, 0, -1))])


def test_constant_after_the_warm_up() -> None:
    config = TrainingConfig(warmup_ratio=0.2, scheduler="constant")
    assert [rate_factor(step, 5, config) for step in range(5)] == [0.5, 1, 1, 1, 1]


@pytest.mark.parametrize("scheduler", ["linear", "constant"])
@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("num_steps", [1, 2, 7, 40])
def test_no_step_is_wasted_and_none_is_above_the_peak(scheduler, ratio, num_steps) -> None:
    config = TrainingConfig(warmup_ratio=ratio, scheduler=scheduler)
    factors = [rate_factor(step, num_steps, config) for step in range(num_steps)]
    assert all(0 < factor <= 1 for factor in factors)
    if ratio == 0:
        assert factors[0] == 1
