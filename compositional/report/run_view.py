"""One run as a report sees it: what it holds, read when it is asked for, finished or not."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from compositional.columns import ROUND
from compositional.config import read_experiment, resolve
from compositional.errors import ConfigError
from compositional.files import read_json_lines
from compositional.planned_runs import goes_on_with
from compositional.probes import DRIFT, HELD_OUT
from compositional.results import FINISHED, STARTED, Cell, RunFolder
from compositional.run_files import method_title
from compositional.scores import Measures, measures_of
from compositional.summary import Cells
from compositional.tasks.benchmark import TOOLS
from compositional.tasks.types import JsonObject
from compositional.whereabouts import whereabouts


@dataclass(frozen=True)
class RunView:
    """A run as a report sees it.

    Attributes:
        name: Name of its folder.
        files: The folder.
        result: `result.json`.
        is_published: Whether it stands among the published runs and not in the results.
    """

    name: str
    files: RunFolder
    result: JsonObject
    is_published: bool

    @property
    def is_finished(self) -> bool:
        """Whether every cell stands."""
        return bool(self.result["status"] == FINISHED)

    @property
    def reason(self) -> str:
        """Why the run has no result; empty where it has one."""
        if self.is_finished:
            return ""
        if self.result["status"] == STARTED:
            goes_on = goes_on_with(self.files.folder)
            found = whereabouts(self.files.folder, goes_on)
            return found or f"still running, or cut off: {goes_on}"
        return str(self.result.get("reason", "no reason was kept"))

    @property
    def method(self) -> JsonObject:
        """The method's settings."""
        settings: JsonObject = self.result["method"]
        return settings

    @property
    def method_title(self) -> str:
        """The method's name, that of a bound with what it wraps: `oracle of lora`."""
        return method_title(self.method)

    @property
    def measures(self) -> Measures:
        """The scores that its rounds have."""
        return measures_of(self.task)

    @property
    def task(self) -> str:
        """What its rounds teach: `tools` or `documents`."""
        return str(self.result.get("task", TOOLS))

    @property
    def sees(self) -> list[str]:
        """What the method answers from, the expected tools and the round where it is told them."""
        shown, method = ["query" if self.task == TOOLS else "question"], self.method
        while "of" in method:
            shown += ["round"] if method["name"] == "oracle" else []
            method = method["of"]
        if self.only_score is not None:
            return ["nothing"]
        shown += ["tool descriptions"] if "tool_format" in method else []
        shown += ["training rows"] if method.get("demonstrations") else []
        shown += ["own document"] if method["name"] == "own_document" else []
        shown += ["passages"] if method["name"] == "text_rag" else []
        shown += ["playbook"] if method["name"] == "ace" else []
        shown += ["documents"] if method.get("document_tokens") else []
        backend = method.get("backend", {})
        named = f" ({backend['model']})" if backend.get("model") else ""
        shown += [f"a server's model{named}"] if backend.get("url") else []
        return shown + (["expected tools"] if method.get("use_ground_truth_tools") else [])

    @property
    def only_score(self) -> str | None:
        """The one score that a constant answer is chosen for; None for all of them."""
        return self.method.get("maximise")

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.result["seed"])

    @property
    def is_trained(self) -> bool:
        """Whether any step was trained."""
        return bool(self.result.get("budget", {}).get("steps", 0) > 0)

    @property
    def columns(self) -> list[JsonObject]:
        """All columns, those of rounds first, as `result.json` describes them."""
        columns: list[JsonObject] = self.result["columns"]
        return columns

    @property
    def rounds(self) -> tuple[str, ...]:
        """Names of the rounds' columns in the order taught."""
        return tuple(column["name"] for column in self.columns if column["kind"] == ROUND)

    def has(self, kind: str) -> bool:
        """Whether there is a test set of a kind outside the matrix, for example `mixed`."""
        return any(column["kind"] == kind for column in self.columns)

    @cached_property
    def cell_list(self) -> list[Cell]:
        """All cells that stand."""
        return self.files.cells()

    @cached_property
    def cells(self) -> Cells:
        """The scores of the examples of each cell."""
        return {(cell.row, cell.column): cell.scores for cell in self.cell_list}

    @cached_property
    def examples(self) -> Mapping[str, Cell]:
        """A cell of each column: its examples are those of the whole column."""
        return {cell.column: cell for cell in self.cell_list}

    @cached_property
    def timings(self) -> dict[str, dict[str, Any]]:
        """Seconds and memory by lesson and cell."""
        return self.files.timings()

    @cached_property
    def probe_values(self) -> Mapping[str, Mapping[int, np.ndarray]]:
        """What each probe measured by row, a value a prompt or a text, in nats."""
        return {name: self.files.probe_values(name) for name in (DRIFT, HELD_OUT)}

    @cached_property
    def drift(self) -> dict[int, float]:
        """Mean drift in nats by row, where it was measured."""
        return self._probed(DRIFT)

    @cached_property
    def held_out(self) -> dict[int, float]:
        """Mean loss on plain texts in nats by row, where it was measured."""
        return self._probed(HELD_OUT)

    def _probed(self, name: str) -> dict[int, float]:
        return {row: float(values.mean()) for row, values in self.probe_values[name].items()}

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Facts of process and machine."""
        return self.files.environment()

    @cached_property
    def config(self) -> JsonObject:
        """The config as it was written."""
        return read_experiment(self.files.folder / "config.yaml")

    @cached_property
    def settings(self) -> JsonObject:
        """The config resolved anew: a setting that it does not know yet has its default.

        As it was written, where it has a setting that this program no longer knows: a finished
        run can be shown all the same.
        """
        try:
            return resolve(self.config).settings()
        except ConfigError:
            return self.config

    @property
    def split(self) -> str:
        """Which rows the rounds' columns ask: `test`, or `validation`."""
        return str(self.config["evaluation"].get("split", "test"))

    def predictions(self, row: int, column: str) -> list[JsonObject] | None:
        """Return the predictions of a cell, an object an example; None where they were not kept."""
        path = self.files.folder / "predictions" / f"row{row}_{column}.jsonl"
        return [line for _, line in read_json_lines(path)] if path.exists() else None

    def asks_the_same(self, other: "RunView") -> bool:
        """Whether both runs have the same test examples in the rounds' columns."""
        return self.rounds == other.rounds and all(
            self._ids(name) == other._ids(name) for name in self.rounds
        )

    def _ids(self, column: str) -> list[str] | None:
        cell = self.examples.get(column)
        return None if cell is None else cell.example_ids
