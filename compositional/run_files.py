"""What a run's folder of results holds, as reports and resumed runs read it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compositional.cells import Cell, read_cell
from compositional.errors import ResultsError
from compositional.files import read_json, read_json_lines, write_json

SCHEMA_VERSION = 1
STARTED, FINISHED, FAILED = "started", "finished", "failed"
RESULT = "result.json"


class RunFiles:
    """A run's folder of results, read.

    Args:
        folder: `results/<experiment>/<run>`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def status(self) -> str | None:
        """Return the run's status, or None where there is no run.

        Raises:
            ResultsError: If the folder holds cells or a result of something else than a run.
        """
        path = self.folder / RESULT
        if not path.exists():
            if (self.folder / "scores").exists():
                raise ResultsError(
                    f"{self.folder} holds cells without a {RESULT}: remove it, or name another "
                    "--run or --experiment"
                )
            return None
        result = read_json(path)
        status = result.get("status") if isinstance(result, dict) else None
        if status not in (STARTED, FINISHED, FAILED):
            raise ResultsError(
                f"{path} is no result of a run: remove it, or name another --run or --experiment"
            )
        return str(status)

    def has_begun(self) -> bool:
        """Whether there is a run that began; one that was refused before has no identity."""
        return self.status() is not None and "identity" in self.result()

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
        cells = [read_cell(path) for path in sorted((self.folder / "scores").glob("row*.json"))]
        return sorted(cells, key=lambda cell: cell.row)

    def missing_cells(self) -> list[str]:
        """Return the names of the cells' files that a finished result counts and that are gone."""
        counted = {
            f"row{row}_{column}.json"
            for matrix in self.result().get("matrices", {}).values()
            for column, rows in matrix.items()
            for row in rows
        }
        return sorted(counted - {path.name for path in (self.folder / "scores").glob("row*.json")})

    def probe_values(self, name: str) -> dict[int, np.ndarray]:
        """Return what a probe measured, by row: a value a prompt or a text."""
        paths = {
            int(path.stem.removeprefix("row")): path
            for path in (self.folder / name).glob("row*.json")
        }
        return {row: np.array(read_json(paths[row]), dtype=float) for row in sorted(paths)}

    def probed(self, name: str) -> dict[str, float]:
        """Return the mean of what a probe measured, by row."""
        return {str(row): float(values.mean()) for row, values in self.probe_values(name).items()}

    def timings(self) -> dict[str, dict[str, Any]]:
        """Return the timings by file name."""
        return {p.stem: read_json(p) for p in sorted((self.folder / "timings").glob("*.json"))}


def method_title(method: Mapping[str, Any]) -> str:
    """Return a method's name, that of a bound with what it wraps: `oracle of lora`.

    Args:
        method: The section `method` of a run's settings.
    """
    names = []
    while "of" in method:
        names.append(str(method["name"]))
        method = method["of"]
    return " of ".join([*names, str(method["name"])])
