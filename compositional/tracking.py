"""Trackers: files first, tracker second, and a tracker that fails never stops a run.

With `wandb` (also with WANDB_MODE=offline) every cell is a scalar `<score>/<column>` over the step
`round`, losses are `loss/<lesson>` over `training_step`, the matrices are tables, and the final
means and the budget stand in the summary.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from compositional.config import RunConfig
from compositional.logs import LOGGER
from compositional.scores import measures_of


class Tracker(Protocol):
    """What a run tells a tracker."""

    def losses(self, lesson: str, losses: Sequence[float]) -> None:
        """Take the loss of every step of a lesson."""

    def cell(self, row: int, column: str, means: Mapping[str, float]) -> None:
        """Take the mean scores of a cell."""

    def finish(self, result: Mapping[str, Any]) -> None:
        """Take the result of a finished run."""

    def preempt(self) -> None:
        """Take that the run was asked to stop, and will go on."""

    def close(self, *, failed: bool = False) -> None:
        """End, whatever has come."""


class NoTracker:
    """Tracks nothing."""

    def losses(self, lesson: str, losses: Sequence[float]) -> None:
        """Do nothing."""

    def cell(self, row: int, column: str, means: Mapping[str, float]) -> None:
        """Do nothing."""

    def finish(self, result: Mapping[str, Any]) -> None:
        """Do nothing."""

    def preempt(self) -> None:
        """Do nothing."""

    def close(self, *, failed: bool = False) -> None:
        """Do nothing."""


class WandbTracker:
    """Tracks with Weights & Biases.

    Args:
        config: The run's config; its hash and names identify the W&B run, also when resumed.
    """

    def __init__(self, config: RunConfig) -> None:
        self._run: Any = None
        self._config = config
        self._headline = measures_of(config.task).headline
        self._guard("start", self._start)

    def _start(self) -> None:
        import wandb

        config = self._config
        self._run = wandb.init(
            project="compositional",
            group=config.experiment,
            name=config.run,
            id=f"{config.experiment}-{config.run}-{config.sha256()[:8]}",
            resume="allow",
            config=config.settings(),
            dir=os.environ.get("WANDB_DIR", str(config.output.results_dir / config.experiment)),
        )
        self._run.define_metric("round")
        self._run.define_metric("training_step")
        self._run.define_metric("loss/*", step_metric="training_step")
        for score in self._headline:
            self._run.define_metric(f"{score}/*", step_metric="round")

    def _guard(self, what: str, action: Callable[[], None]) -> None:
        """Do something with the tracker; where it fails, say so and track no more."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever a tracker raises, the run goes on
            LOGGER.warning("wandb failed to %s (%s); the run goes on without it", what, error)
            self._run = None

    def losses(self, lesson: str, losses: Sequence[float]) -> None:
        """Log a loss a step."""
        if self._run is not None:
            rows = [
                {f"loss/{lesson}": loss, "training_step": step}
                for step, loss in enumerate(losses, start=1)
            ]
            self._guard("log losses", lambda: self._log_all(rows))

    def _log_all(self, rows: Sequence[Mapping[str, float]]) -> None:
        for row in rows:
            self._run.log(dict(row))

    def cell(self, row: int, column: str, means: Mapping[str, float]) -> None:
        """Log the cell's mean scores."""
        if self._run is not None:
            scalars = {f"{name}/{column}": value for name, value in means.items()}
            self._guard("log a cell", lambda: self._run.log({**scalars, "round": row}))

    def finish(self, result: Mapping[str, Any]) -> None:
        """Log the matrices as tables; the last row's means and the budget in the summary."""
        if self._run is not None:
            self._guard("finish", lambda: self._finish(result))

    def _finish(self, result: Mapping[str, Any]) -> None:
        import wandb

        columns = [column["name"] for column in result["columns"]]
        for score in self._headline:
            matrix = result["matrices"].get(score, {})
            rows = sorted({int(row) for cells in matrix.values() for row in cells})
            data = [[row, *(matrix[name].get(str(row)) for name in columns)] for row in rows]
            table = wandb.Table(columns=["round", *columns], data=data, allow_mixed_types=True)
            self._run.log({f"matrix/{score}": table})
            in_matrix = [c["name"] for c in result["columns"] if c["kind"] == "round"]
            last = [matrix[name].get(str(rows[-1])) for name in in_matrix] if rows else []
            if last and all(value is not None for value in last):
                self._run.summary[f"{score}/average_accuracy"] = sum(last) / len(last)
        self._run.summary.update({f"budget/{k}": v for k, v in result["budget"].items()})

    def preempt(self) -> None:
        """Mark the W&B run, so that a sweep gives it out again."""
        if self._run is not None:
            self._guard("mark a preemption", self._run.mark_preempting)

    def close(self, *, failed: bool = False) -> None:
        """End the W&B run."""
        if self._run is not None:
            self._guard("end", lambda: self._run.finish(exit_code=int(failed)))


def build_tracker(config: RunConfig) -> Tracker:
    """Return the tracker that a config names."""
    return WandbTracker(config) if config.output.tracker == "wandb" else NoTracker()
