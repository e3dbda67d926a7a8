"""Scores on contexts kept apart while a hypernetwork trains."""

import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from compositional.files import read_json, write_json
from compositional.training.distillation_evaluation import AnswerScore


class Curve:
    """Scores on contexts kept apart while the training goes on, kept in a file beside it.

    Args:
        path: The file.
        every: Steps between two evaluations; 0 for none.
        done: Steps that were taken before.
        score: Scores the network as it is.
    """

    def __init__(
        self, path: Path, every: int, done: int, score: Callable[[], list[AnswerScore]]
    ) -> None:
        self.path, self.every, self.step, self.score = path, every, done, score
        known = read_json(path) if done and path.is_file() else []
        self.points: list[dict[str, float]] = [p for p in known if p["step"] <= done]
        self._before = self.points[-1]["seconds"] if self.points else 0.0
        self._started = time.monotonic()

    def elapsed(self) -> float:
        """Return the seconds so far, in a training that went on those up to its last point too."""
        return self._before + time.monotonic() - self._started

    def after_step(self) -> None:
        """Count a step, and score where it is due."""
        self.step += 1
        if not self.every or self.step % self.every:
            return
        found = self.score()
        means = {
            field.name: sum(getattr(s, field.name) for s in found) / len(found)
            for field in fields(AnswerScore)
        }
        self.points.append({"step": self.step, "seconds": self.elapsed(), **means})
        write_json(self.path, self.points)
