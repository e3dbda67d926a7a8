"""A cell of the matrix as files hold it: every score of every example, and every answer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compositional.columns import Column
from compositional.files import read_json
from compositional.tasks.types import TEXT, Example, Prediction


@dataclass(frozen=True)
class Cell:
    """The scores of one test set after one round.

    Attributes:
        row: Rounds learned.
        column: Name of the test set.
        example_ids: Of the n examples.
        base_ids: The base queries of each.
        num_calls: Expected calls of each.
        scores: By name, [n]; NaN where a score does not apply.
        kinds: Kind of each question; none where they have none.
    """

    row: int
    column: str
    example_ids: list[str]
    base_ids: list[tuple[str, ...]]
    num_calls: list[int]
    scores: dict[str, np.ndarray]
    kinds: list[str] = field(default_factory=list)

    def mean(self, score: str) -> float | None:
        """Return the mean of a score over the examples to which it applies, or None."""
        values = self.scores.get(score)
        if values is None or np.isnan(values).all():
            return None
        return float(np.nanmean(values))


def read_cell(path: Path) -> Cell:
    """Read a cell that `cell_json` was written to."""
    value = read_json(path)
    value["base_ids"] = [tuple(ids) for ids in value["base_ids"]]
    value["scores"] = {
        name: np.array(values, dtype=float) for name, values in value["scores"].items()
    }
    return Cell(**value)


def cell_json(
    row: int, column: Column, scores: Mapping[str, Sequence[float | None]]
) -> dict[str, Any]:
    """Return a cell as a JSON object."""
    kinds = [example.kind for example in column.examples]
    return {
        "row": row,
        "column": column.name,
        "example_ids": [example.id for example in column.examples],
        "base_ids": [list(example.base_ids) for example in column.examples],
        "num_calls": [len(example.steps or ()) for example in column.examples],
        "scores": dict(scores),
        **({"kinds": kinds} if any(kinds) else {}),
    }


def prediction_json(example: Example, prediction: Prediction) -> dict[str, Any]:
    """Return the answer to an example as a JSON object."""
    if example.form == TEXT:
        return {
            "id": example.id,
            "answered": prediction.answered,
            "raw": prediction.raw,
            "num_tokens": prediction.num_tokens,
            "likelihoods": list(prediction.likelihoods),
            "choice_tokens": list(prediction.choice_tokens),
        }
    calls = prediction.calls
    return {
        "id": example.id,
        "calls": None if calls is None else [asdict(call) for call in calls],
        "tools": list(prediction.tools),
        "raw": prediction.raw,
        "num_tokens": prediction.num_tokens,
        "parts": [None if part is None else asdict(part) for part in prediction.parts],
    }


def scores_by_name(scores: Sequence[Mapping[str, float]]) -> dict[str, list[float | None]]:
    """Return the scores of n examples by name, [n] each; None where a score does not apply."""
    names = dict.fromkeys(name for example in scores for name in example)
    return {name: [example.get(name) for example in scores] for name in names}


def means(scores: Mapping[str, Sequence[float | None]]) -> dict[str, float]:
    """Return the mean of each score over the examples to which it applies."""
    applicable = {name: [v for v in values if v is not None] for name, values in scores.items()}
    return {name: float(np.mean(values)) for name, values in applicable.items() if values}
