"""Time ways of doing one thing in turn, so that the machine's moods meet all of them."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds of one way, in the order of the repeats, after a warm-up."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the repeats."""
        return statistics.median(self.seconds)


Ways = dict[str, Callable[[], float]]


def alternate(ways: Ways, repeats: int, *, warm_up: bool = True) -> dict[str, Timing]:
    """Run each way once to warm up, then all of them in turn.

    Args:
        ways: Each runs one way and returns the seconds that it took.
        repeats: Timed runs of each.
        warm_up: Whether to; not where each run warms up by itself.
    """
    for way in ways.values() if warm_up else ():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            seconds[name].append(way())
    return {name: Timing(tuple(values)) for name, values in seconds.items()}
