from compositional.benchmarks.growth import Curve, with_prompt
from compositional.benchmarks.timing import Timing
from compositional.training.batching import TokenSequence


def test_a_prompt_is_repeated_or_cut() -> None:
    row = TokenSequence((5, 6, 7), (30, 31))
    longer, shorter = with_prompt(row, 8), with_prompt(row, 2)
    assert longer.prompt[1:] == (5, 6, 7, 5, 6, 7, 5)
    assert len(shorter.prompt) == 2
    assert longer.target == shorter.target == row.target


def test_the_ratio_is_of_two_medians() -> None:
    seconds = {10: Timing((1.0, 3.0, 2.0)), 1000: Timing((3.0,))}
    assert Curve("t", "rows", seconds, "step", (10, 1000, 1.15)).ratio == 1.5
    assert Curve("t", "rows", seconds, "step").ratio is None
