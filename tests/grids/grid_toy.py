"""Grids of toy runs, written as a user writes them, and how their runs stand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compositional.files import read_json
from tests.runs_toy import toy_settings

RUNS = {"lora": {"method": {"name": "lora", "adapter": {"rank": 2}}}, "icl": {"method": "icl"}}
Write = Callable[..., Path]


def writer(folder: Path, model: Path) -> Write:
    """Writes a grid file of toy runs, settings laid over the toy's."""

    def write(runs: dict[str, Any] | None = None, axes: dict[str, Any] | None = None) -> Path:
        settings = toy_settings(folder, model)
        for key in ("run", "method", "seed"):
            del settings[key]
        del settings["data"]["data_dir"]
        settings["data"]["source"] = str(folder / "toy.jsonl")
        grid = {"orders": [[1, 2], [2, 1]]} if axes is None else axes
        path = folder / "g.yaml"
        path.write_text(json.dumps({**settings, "runs": runs or RUNS, "grid": grid}))
        return path

    return write


def statuses(folder: Path) -> dict[str, str]:
    """How each run of the experiment stands."""
    paths = sorted((folder / "results" / "e").glob("*/result.json"))
    return {path.parent.name: read_json(path)["status"] for path in paths}
