"""The results folder of a run: written cell by cell, read by reports, never overwritten.

    config.yaml         the resolved config; runs again as it is
    environment.json    commit, packages, device, threads, dates; left out of comparisons
    result.json         schema version, status, method, columns, matrices, budget
    predictions/        a file a cell: raw text and calls, a line an example
    scores/             a file a cell: every score of every example
    training/           the loss of every step, a file a lesson
    drift/              a file a row, where drift is measured
    held_out/           a file a row: loss on plain texts, in rounds of documents
    timings/            seconds, memory, tokens of answering; left out of comparisons

Everything but `environment.json` and `timings/` is byte for byte the same when a run is killed
and resumed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from compositional.answering import Answering, is_computed
from compositional.cells import Cell, cell_json, means, prediction_json, scores_by_name
from compositional.columns import Column
from compositional.config import RunConfig
from compositional.environment import peak_memory_bytes
from compositional.errors import ResultsError
from compositional.files import (
    canonical_json,
    read_json,
    write_json,
    write_json_lines,
    write_text,
)
from compositional.probes import DRIFT, HELD_OUT
from compositional.run_context import RunContext
from compositional.run_files import FAILED, FINISHED, RESULT, SCHEMA_VERSION, STARTED, RunFiles
from compositional.tasks.benchmark import TOOLS
from compositional.tasks.types import Prediction, Round
from compositional.tracking import NoTracker, Tracker

__all__ = ["FAILED", "FINISHED", "RESULT", "STARTED", "Cell", "RunFolder"]


class RunFolder(RunFiles):
    """A run's folder of results, read and written.

    Args:
        folder: `results/<experiment>/<run>`.
        tracker: Told of everything that was written; None for nobody.
    """

    def __init__(self, folder: Path, tracker: Tracker | None = None) -> None:
        super().__init__(folder)
        self.tracker = tracker or NoTracker()

    def start(
        self,
        config: RunConfig,
        identity: Mapping[str, str],
        columns: Sequence[Column],
        environment: Mapping[str, Any],
        task: str = TOOLS,
    ) -> None:
        """Write the files that stand before the first cell.

        Args:
            config: The resolved config.
            identity: Hashes of config, model and data; a resumed run must have the same.
            columns: The test sets.
            environment: Facts of this process and machine.
            task: What the rounds teach.
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
        self._write_config(config)
        write_json(self.folder / "environment.json", environment)
        self._write_result(
            {
                **_head(config, STARTED),
                "identity": dict(identity),
                "columns": described,
                **({"task": task} if task != TOOLS else {}),
            }
        )

    def refuse(self, config: RunConfig, reason: str) -> None:
        """Call a run failed that could not begin; such a result is in no run's way.

        Args:
            config: The resolved config.
            reason: Why it could not.
        """
        self._write_config(config)
        self._write_result({**_head(config, FAILED), "reason": reason})

    def check_identity(self, identity: Mapping[str, str]) -> None:
        """Refuse to go on with a run of another model, data or device.

        The config is compared by its settings and not here: its hash also changes where this
        program has come to know more of them.

        Args:
            identity: As it is now.

        Raises:
            ResultsError: With the part that differs.
        """
        found: dict[str, str] = self.result()["identity"]
        for name, value in identity.items():
            if name != "config" and found.get(name, value) != value:
                raise ResultsError(
                    f"{self.folder} was started with another {name} ({found[name][:20]}, now "
                    f"{value[:20]}): name another --run or --experiment, or run "
                    "again as it was started"
                )

    def resume(self, config: RunConfig) -> None:
        """Call a run started again, and remove what a killed process left half written.

        Args:
            config: As it is now; where it differs in cosmetic settings, it is written anew.
        """
        for unfinished in self.folder.rglob(".*.tmp"):
            unfinished.unlink()
        self._write_config(config)
        result = self.result()
        result.pop("reason", None)
        self._write_result({**result, "status": STARTED})

    def _write_config(self, config: RunConfig) -> None:
        write_text(self.folder / "config.yaml", yaml.safe_dump(config.settings(), sort_keys=False))

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
        max_new_tokens: int,
    ) -> None:
        """Write a cell; its scores come last, and only then it stands.

        Args:
            row: Rounds learned.
            column: The test set.
            predictions: Of its n examples.
            scores: Of its n examples, by name.
            seconds: The cell's share of the time that its row took, by tokens computed.
            max_new_tokens: The longest that an answer could be.
        """
        lines = [
            prediction_json(example, prediction)
            for example, prediction in zip(column.examples, predictions, strict=True)
        ]
        write_json_lines(self._path("predictions", row, column, ".jsonl"), lines)
        timing = {
            "seconds": seconds,
            "num_examples": len(lines),
            "num_answered": sum(prediction.answered for prediction in predictions),
            "num_reused": sum(prediction.reused for prediction in predictions),
            "num_computed": sum(map(is_computed, predictions)),
            "num_tokens": sum(prediction.num_tokens for prediction in predictions),
            "num_cut_off": sum(p.num_tokens >= max_new_tokens for p in predictions),
            "peak_memory_bytes": peak_memory_bytes(),
        }
        write_json(self._path("timings", row, column, ".json"), timing)
        by_name = scores_by_name(scores)
        cell = canonical_json(cell_json(row, column, by_name)) + "\n"
        write_text(self._path("scores", row, column, ".json"), cell)
        self.tracker.cell(row, column.name, means(by_name))

    def write_answering(
        self, row: int, predictions: Sequence[Prediction], answering: Answering, seconds: float
    ) -> float:
        """Write what it took to answer a row.

        A row that is answered again, since a process was killed before all of its cells stood,
        finds its answers kept: it took what it took the first time.

        Args:
            row: Rounds learned.
            predictions: Of the examples of all its columns.
            answering: Tokens computed for them.
            seconds: Time taken.

        Returns:
            The seconds that the row took.
        """
        path = self.folder / "timings" / f"answers_row{row}.json"
        if not path.exists():
            timing = {
                "seconds": seconds,
                "num_computed": sum(map(is_computed, predictions)),
                "num_reused": sum(prediction.reused for prediction in predictions),
                **asdict(answering),
            }
            write_json(path, timing)
        return float(read_json(path)["seconds"])

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

    def write_probe(self, name: str, row: int, values: Sequence[float]) -> None:
        """Write what a probe measured after a round, in nats: a value a prompt or a text."""
        write_json(self.folder / name / f"row{row}.json", list(values))

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
        result["drift"] = self.probed(DRIFT)
        if held_out := self.probed(HELD_OUT):
            result["held_out"] = held_out
        result["budget"] = run.budget.counters()
        self._write_result(result)
        self.tracker.finish(result)

    def fail(self, reason: str) -> None:
        """Call the run failed, with its reason; what stands is kept."""
        result = read_json(self.folder / RESULT)
        self._write_result({**result, "status": FAILED, "reason": reason})

    def _write_result(self, result: Mapping[str, Any]) -> None:
        write_json(self.folder / RESULT, result)


def _head(config: RunConfig, status: str) -> dict[str, Any]:
    """Return what every result begins with."""
    return {
        "schema_version": SCHEMA_VERSION,
        "status": status,
        "experiment": config.experiment,
        "run": config.run,
        "method": config.settings()["method"],
        "seed": config.seed,
    }
