import pytest

from compositional.benchmarks.timing import Timing, alternate


def test_ways_run_in_turn_after_a_warm_up() -> None:
    seen: list[str] = []

    def way(name: str, seconds: list[float]):
        def run() -> float:
            seen.append(name)
            return seconds.pop(0)

        return run

    found = alternate({"a": way("a", [9, 1, 2, 6]), "b": way("b", [9, 4, 5, 3])}, repeats=3)
    assert seen == ["a", "b", "a", "b", "a", "b", "a", "b"]
    assert found == {"a": Timing((1, 2, 6)), "b": Timing((4, 5, 3))}
    assert (found["a"].median, found["b"].median) == (2, 4)


def test_ways_that_warm_up_by_themselves_run_as_often_as_is_asked() -> None:
    left = [1.0, 2.0]
    assert alternate({"a": lambda: left.pop(0)}, 2, warm_up=False) == {"a": Timing((1.0, 2.0))}


def test_an_empty_timing_has_no_median() -> None:
    with pytest.raises(ValueError, match="no median"):
        _ = Timing(()).median
