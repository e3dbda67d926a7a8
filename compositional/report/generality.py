"""What learning costs a model in general, measured and on every resample.

General questions that are kept, drawn as the questions of any test set are; perplexity of plain
texts and drift over plain prompts, of which texts and prompts are drawn alike.
"""

import numpy as np

from compositional.columns import GENERAL
from compositional.intervals import Figure
from compositional.probes import DRIFT, HELD_OUT
from compositional.report.figures import MethodFigures
from compositional.report.formats import interval_text, number
from compositional.report.labels import NOT_MEASURED
from compositional.retention import Array
from compositional.summary import Resampled, figure

CHOICE = "choice_accuracy"


def figure_of(resampled: Resampled | None) -> Figure:
    """Return a number that was measured and resampled, with its interval."""
    return Figure(None, None) if resampled is None else figure(np.asarray, resampled)


def resampled_mean(method: MethodFigures, column: str, scores: Array) -> Resampled | None:
    """Return the mean of some scores of a column's examples; None where none applies."""
    applicable = scores[~np.isnan(scores)]
    if not applicable.size:
        return None
    draws = method.resamples.cell_means(column, scores)
    return Resampled(np.asarray(applicable.mean()), draws)


def kept_scores(method: MethodFigures) -> Array | None:
    """Return which general questions are right after the last round, of those right before any.

    Returns:
        1 or 0 for each question that was right, NaN for each that was not; None where they were not
        asked at both times, or none was right.
    """
    rows = (0, len(method.run.rounds))
    before, after = (method.run.cells.get((row, GENERAL), {}).get(CHOICE) for row in rows)
    if before is None or after is None or not (before == 1).any():
        return None
    return np.where(before == 1, after, np.nan)


def perplexity(method: MethodFigures, row: int) -> Resampled | None:
    """Return the exponential of the mean loss a token on plain texts; None where not measured."""
    loss = _probed(method, HELD_OUT, row)
    return None if loss is None else Resampled(np.exp(loss.point), np.exp(loss.draws))


def drift_text(method: MethodFigures) -> str:
    """Return the drift after the last round, in nats and with its interval, as text."""
    drift = figure_of(_probed(method, DRIFT, len(method.run.rounds)))
    if drift.value is None:
        return NOT_MEASURED
    return f"{nats_text(drift.value)} {interval_text(drift, 4)}".strip()


def nats_text(nats: float) -> str:
    """Return a drift or a loss as text."""
    return number(nats, 4)


def _probed(method: MethodFigures, name: str, row: int) -> Resampled | None:
    values = method.run.probe_values[name].get(row)
    return None if values is None else resampled_mean(method, name, values)
