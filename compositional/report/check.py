"""Does it learn? Each trained method against its untrained self and the best constant answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from compositional.intervals import Figure
from compositional.report.figures import MethodFigures
from compositional.report.run_view import RunView
from compositional.retention import diagonal_mean, learning_gain
from compositional.summary import figure, paired_difference
from compositional.tasks.benchmark import DOCUMENTS


@dataclass(frozen=True)
class LearningCheck:
    """By how much a trained method's diagonal lies above its floor, in the first headline score.

    Attributes:
        run: Name of the run.
        score: The score.
        over_first_row: mean_i (R[i, i] - R[0, i]).
        over_floor: mean_i (R[i, i] - C[i, i]), C the matrix of the best constant answer, or of
            zero-shot in rounds of documents.
    """

    run: str
    score: str
    over_first_row: Figure
    over_floor: Figure

    @property
    def passes(self) -> bool | None:
        """Whether both intervals lie above 0; None where one of them was not measured."""
        both = (self.over_first_row.interval, self.over_floor.interval)
        known = [interval.low > 0 for interval in both if interval is not None]
        return all(known) if len(known) == len(both) or not all(known) else None


def learning_checks(figures: Sequence[MethodFigures]) -> list[LearningCheck]:
    """Check every trained run; intervals are paired over the test examples."""
    return [_check(method, figures) for method in figures if method.run.is_trained]


def _check(method: MethodFigures, figures: Sequence[MethodFigures]) -> LearningCheck:
    score = method.run.measures.headline[0]
    matrix = method.matrix(score)
    floors = [
        other
        for other in figures
        if _is_floor(other.run, score) and other.run.asks_the_same(method.run)
    ]
    over_floor = Figure(None, None)
    if floors:
        best = max(floors, key=lambda c: c.summaries[score].figures["diagonal_mean"].value or 0)
        over_floor = paired_difference(diagonal_mean, matrix, best.matrix(score))
    return LearningCheck(method.run.name, score, figure(learning_gain, matrix), over_floor)


def _is_floor(run: RunView, score: str) -> bool:
    """Whether a run is what a method has to beat: it learned nothing."""
    if run.task == DOCUMENTS:
        return bool(run.method["name"] == "zero_shot")
    return run.only_score == score
