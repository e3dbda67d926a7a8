"""The results folder of a run: written cell by cell, read by reports, never overwritten.

    config.yaml         the resolved config; runs again as it is
    environment.json    commit, packages, device, threads, dates; left out of comparisons
    result.json         schema version, status, method, columns, matrices, budget
    predictions/        a file a cell: raw text and calls, a line an example
    scores/             a file a cell: every score of every example
    training/           the loss of every step, a file a lesson
    drift/              a file a row, where drift is measured
    timings/            seconds and memory; left out of comparisons

Everything but `environment.json` and `timings/` is byte for byte the same when a run is killed
and resumed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from compositional.columns import Column
from compositional.config import RunConfig
from compositional.environment import peak_memory_bytes
from compositional.errors import ResultsError
from compositional.files import (
    canonical_json,
    read_json,
    read_json_lines,
    write_json,
    write_json_lines,
    write_text,
)
from compositional.run_context import RunContext
from compositional.tasks.types import Prediction, Round
from compositional.tracking import NoTracker, Tracker

SCHEMA_VERSION = 1
STARTED, FINISHED, FAILED = "started", "finished", "failed"
RESULT = "result.json"


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
    """

    row: int
    column: str
    example_ids: list[str]
    base_ids: list[tuple[str, ...]]
    num_calls: list[int]
    scores: dict[str, np.ndarray]

    def mean(self, score: str) -> float | None:
        """Return the mean of a score over the examples to which it applies, or None."""
        values = self.scores.get(score)
        if values is None or np.isnan(values).all():
            return None
        return float(np.nanmean(values))


class RunFolder:
    """A run's folder of results.

    Args:
        folder: `results/<experiment>/<run>`.
        tracker: Told of everything that was written; None for nobody.
    """

    def __init__(self, folder: Path, tracker: Tracker | None = None) -> None:
        self.folder = folder
        self.tracker = tracker or NoTracker()

    def status(self) -> str | None:
        """Return the run's status, or None where there is no run."""
        path = self.folder / RESULT
        return read_json(path)["status"] if path.exists() else None

    def start(
        self,
        config: RunConfig,
        identity: Mapping[str, str],
        columns: Sequence[Column],
        environment: Mapping[str, Any],
    ) -> None:
        """Write the files that stand before the first cell.

        Args:
            config: The resolved config.
            identity: Hashes of config, model and data; a resumed run must have the same.
            columns: The test sets.
            environment: Facts of this process and machine.
        """
        described = [
            {
                "name": column.name,
                "kind": column.kind,
                "index": column.index,
                "n": len(column.examples),
                "num_base_queries": column.num_base_queries,
            }
            for column in columns
        ]
        write_text(self.folder / "config.yaml", yaml.safe_dump(config.settings(), sort_keys=False))
        write_json(self.folder / "environment.json", environment)
        self._write_result(
            {
                "schema_version": SCHEMA_VERSION,
                "status": STARTED,
                "experiment": config.experiment,
                "run": config.run,
                "method": config.settings()["method"],
                "seed": config.seed,
                "identity": dict(identity),
                "columns": described,
            }
        )

    def check_identity(self, identity: Mapping[str, str]) -> None:
        """Refuse to resume a run of another config, model or data.

        Raises:
            ResultsError: With the part that differs.
        """
        found = read_json(self.folder / RESULT).get("identity", {})
        for name, value in identity.items():
            if found.get(name) != value:
                raise ResultsError(
                    f"{self.folder} was started with another {name} "
                    f"({str(found.get(name))[:12]}, now {value[:12]}): choose another --run, or "
                    "run again as it was started"
                )

    def _path(self, kind: str, row: int, column: Column, suffix: str) -> Path:
        return self.folder / kind / f"row{row}_{column.name}{suffix}"

    def has_cell(self, row: int, column: Column) -> bool:
        """Whether a cell stands whole."""
        return self._path("scores", row, column, ".json").exists()

    def write_cell(
        self,
        row: int,
        column: Column,
        predictions: Sequence[Prediction],
        scores: Sequence[Mapping[str, float]],
        seconds: float,
    ) -> None:
        """Write a cell; its scores come last, and only then it stands.

        Args:
            row: Rounds learned.
            column: The test set.
            predictions: Of its n examples.
            scores: Of its n examples, by name.
            seconds: The cell's share of the time that its row took, by tokens generated.
        """
        lines = [
            {"id": example.id, **_prediction_json(prediction)}
            for example, prediction in zip(column.examples, predictions, strict=True)
        ]
        write_json_lines(self._path("predictions", row, column, ".jsonl"), lines)
        timing = {
            "seconds": seconds,
            "num_examples": len(lines),
            "num_reused": sum(prediction.reused for prediction in predictions),
            "num_tokens": sum(prediction.num_tokens for prediction in predictions),
            "peak_memory_bytes": peak_memory_bytes(),
        }
        write_json(self._path("timings", row, column, ".json"), timing)
        names = list(dict.fromkeys(name for example in scores for name in example))
        by_name = {name: [example.get(name) for example in scores] for name in names}
        cell = {
            "row": row,
            "column": column.name,
            "example_ids": [example.id for example in column.examples],
            "base_ids": [list(example.base_ids) for example in column.examples],
            "num_calls": [len(example.steps or ()) for example in column.examples],
            "scores": by_name,
        }
        write_text(self._path("scores", row, column, ".json"), canonical_json(cell) + "\n")
        self.tracker.cell(row, column.name, _means(by_name))

    def write_training(self, lesson: Round, run: RunContext, seconds: float) -> None:
        """Write the losses and the time of a lesson."""
        name = f"lesson_{lesson.name}.json"
        losses = {key: values for key, values in run.losses.items() if values}
        if losses:
            write_json(self.folder / "training" / name, losses)
            run.losses.clear()
            for values in losses.values():
                self.tracker.losses(lesson.name, values)
        timing = {"seconds": seconds, "peak_memory_bytes": peak_memory_bytes()}
        write_json(self.folder / "timings" / name, timing)

    def write_drift(self, row: int, divergences: Sequence[float]) -> None:
        """Write the drift from the base model after a round, a value a prompt, in nats."""
        write_json(self.folder / "drift" / f"row{row}.json", list(divergences))

    def finish(self, run: RunContext) -> None:
        """Write the matrices and the budget, and call the run finished."""
        result = read_json(self.folder / RESULT)
        cells = self.cells()
        names = list(dict.fromkeys(name for cell in cells for name in cell.scores))
        result["status"] = FINISHED
        result["matrices"] = {
            name: {
                column["name"]: {
                    str(cell.row): cell.mean(name)
                    for cell in cells
                    if cell.column == column["name"]
                }
                for column in result["columns"]
            }
            for name in names
        }
        result["drift"] = self.drift()
        result["budget"] = run.budget.counters()
        self._write_result(result)
        self.tracker.finish(result)

    def fail(self, reason: str) -> None:
        """Call the run failed, with its reason; what stands is kept."""
        result = read_json(self.folder / RESULT)
        self._write_result({**result, "status": FAILED, "reason": reason})

    def _write_result(self, result: Mapping[str, Any]) -> None:
        write_json(self.folder / RESULT, result)

    def result(self) -> dict[str, Any]:
        """Return `result.json`.

        Raises:
            ResultsError: If it is of another schema version.
        """
        result: dict[str, Any] = read_json(self.folder / RESULT)
        if result.get("schema_version") != SCHEMA_VERSION:
            raise ResultsError(
                f"{self.folder / RESULT} has schema version {result.get('schema_version')}; this "
                f"program reads {SCHEMA_VERSION}"
            )
        return result

    def environment(self) -> dict[str, Any]:
        """Return `environment.json`."""
        environment: dict[str, Any] = read_json(self.folder / "environment.json")
        return environment

    def export(self, path: Path) -> None:
        """Write the result with all predictions into one JSON file."""
        predictions = {
            file.stem: [line for _, line in read_json_lines(file)]
            for file in sorted((self.folder / "predictions").glob("*.jsonl"))
        }
        write_json(path, {**self.result(), "predictions": predictions})

    def cells(self) -> list[Cell]:
        """Return all cells that stand, by row and file name."""
        cells = []
        for path in sorted((self.folder / "scores").glob("row*.json")):
            value = read_json(path)
            value["base_ids"] = [tuple(ids) for ids in value["base_ids"]]
            value["scores"] = {
                name: np.array(values, dtype=float) for name, values in value["scores"].items()
            }
            cells.append(Cell(**value))
        return sorted(cells, key=lambda cell: cell.row)

    def drift(self) -> dict[str, float]:
        """Return the mean drift by row."""
        paths = sorted((self.folder / "drift").glob("row*.json"))
        return {p.stem.removeprefix("row"): float(np.mean(read_json(p))) for p in paths}

    def timings(self) -> dict[str, dict[str, Any]]:
        """Return the timings by file name."""
        return {p.stem: read_json(p) for p in sorted((self.folder / "timings").glob("*.json"))}


def _means(scores: Mapping[str, Sequence[float | None]]) -> dict[str, float]:
    """Return the mean of each score over the examples to which it applies."""
    applicable = {name: [v for v in values if v is not None] for name, values in scores.items()}
    return {name: float(np.mean(values)) for name, values in applicable.items() if values}


def _prediction_json(prediction: Prediction) -> dict[str, Any]:
    calls = prediction.calls
    return {
        "calls": None if calls is None else [asdict(call) for call in calls],
        "tools": list(prediction.tools),
        "raw": prediction.raw,
        "num_tokens": prediction.num_tokens,
        "parts": [None if part is None else asdict(part) for part in prediction.parts],
    }
