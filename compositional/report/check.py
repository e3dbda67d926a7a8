"""Does it learn? Each trained method against its untrained self and the best constant answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from compositional.intervals import Figure
from compositional.report.figures import MethodFigures
from compositional.retention import diagonal_mean, learning_gain
from compositional.summary import figure, paired_difference

SCORE = "tool_f1"


@dataclass(frozen=True)
class LearningCheck:
    """By how much a trained method's diagonal lies above its floor, in tool F1.

    Attributes:
        run: Name of the run.
        over_first_row: mean_i (R[i, i] - R[0, i]).
        over_constant: mean_i (R[i, i] - C[i, i]), C the best constant answer's matrix.
    """

    run: str
    over_first_row: Figure
    over_constant: Figure

    @property
    def passes(self) -> bool | None:
        """Whether both intervals lie above 0; None where one of them was not measured."""
        both = (self.over_first_row.interval, self.over_constant.interval)
        known = [interval.low > 0 for interval in both if interval is not None]
        return all(known) if len(known) == len(both) or not all(known) else None


def learning_checks(figures: Sequence[MethodFigures]) -> list[LearningCheck]:
    """Check every trained run; intervals are paired over the test examples."""
    return [_check(method, figures) for method in figures if method.run.is_trained]


def _check(method: MethodFigures, figures: Sequence[MethodFigures]) -> LearningCheck:
    matrix = method.matrix(SCORE)
    constants = [
        other
        for other in figures
        if other.run.only_score == SCORE and other.run.asks_the_same(method.run)
    ]
    over_constant = Figure(None, None)
    if constants:
        best = max(constants, key=lambda c: c.summaries[SCORE].figures["diagonal_mean"].value or 0)
        over_constant = paired_difference(diagonal_mean, matrix, best.matrix(SCORE))
    return LearningCheck(method.run.name, figure(learning_gain, matrix), over_constant)
