"""Replay: a reservoir of past examples and an exact ratio of replayed rows.

Algorithm R (Vitter 1985) keeps a uniform sample of everything offered. With ratio p, the rows
replayed up to a step are floor(new * p / (1 - p)), where `new` is the number of new rows seen in
this round, so that they are p of all rows at every batch size, 1 and 2 included.
"""

from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from compositional.errors import ConfigError, check_at_least
from compositional.tasks.types import Example


class ReplayBuffer:
    """A reservoir of training examples.

    Args:
        capacity: The most examples it holds.
    """

    def __init__(self, capacity: int) -> None:
        check_at_least("the replay buffer's size", capacity, 1)
        self.capacity = capacity
        self.examples: list[Example] = []
        self.num_offered = 0

    def offer(self, examples: Iterable[Example], rng: np.random.Generator) -> None:
        """Offer examples once each; every one offered so far is kept with equal probability."""
        for example in examples:
            self.num_offered += 1
            if len(self.examples) < self.capacity:
                self.examples.append(example)
            else:
                place = int(rng.integers(self.num_offered))
                if place < self.capacity:
                    self.examples[place] = example


def exact_ratio(ratio: float) -> Fraction:
    """Return a ratio as the fraction that its decimal notation means.

    Raises:
        ConfigError: If it is not in [0, 1).
    """
    if not 0 <= ratio < 1:
        raise ConfigError(f"the replay ratio is {ratio}; it must be at least 0 and below 1")
    return Fraction(str(ratio))


def num_replayed(num_new: int, ratio: Fraction) -> int:
    """Return the rows replayed once `num_new` new rows were seen: floor(new * p / (1 - p))."""
    return int(num_new * ratio / (1 - ratio))


def draw_replayed(num_kept: int, num_due: int, rng: np.random.Generator) -> list[int]:
    """Return the buffer's places that a step replays: uniform, without replacement.

    Where more rows are due than the buffer holds, every row stands in the step as often as it
    fits, and the draw makes up the rest, so that the ratio holds with a small buffer too.

    Args:
        num_kept: Rows in the buffer, 1 or more.
        num_due: Rows that the step must replay.
        rng: The step's own stream.
    """
    whole, rest = divmod(num_due, num_kept)
    drawn = [int(place) for place in rng.choice(num_kept, rest, replace=False)]
    return list(range(num_kept)) * whole + drawn
