"""Keep finished runs without any text of their data: scores, costs and hashes.

What is kept is enough for every table and plot, and for `compositional run` to take a finished
run from. Predictions are left out, ids of base queries are hashed, paths become file names.
"""

import shutil
from pathlib import Path
from typing import Any

import yaml

from compositional.config import read_experiment
from compositional.errors import ResultsError
from compositional.files import canonical_json, read_json, sha256_text, write_json, write_text
from compositional.portable import without_folders
from compositional.run_files import FINISHED, RESULT, RunFiles

HASH_LENGTH = 16


def publish(source: Path, target: Path) -> list[str]:
    """Copy the finished runs of an experiment, without text.

    Args:
        source: `results/<experiment>`.
        target: A folder that takes one folder a run; a run that stands there is not written over.

    Returns:
        The names of the runs that were copied.

    Raises:
        ResultsError: If the experiment has no finished run.
    """
    runs = [path.parent for path in sorted(source.glob(f"*/{RESULT}"))]
    finished = [run for run in runs if RunFiles(run).status() == FINISHED]
    if not finished:
        raise ResultsError(f"{source} holds no finished run")
    copied = [run for run in finished if not (target / run.name / RESULT).exists()]
    for run in copied:
        _publish_run(run, target / run.name)
    return [run.name for run in copied]


def _publish_run(run: Path, target: Path) -> None:
    """Copy one run; its result comes last, and only then it stands."""
    settings = without_folders(read_experiment(run / "config.yaml"))
    settings["output"] = {}
    write_text(target / "config.yaml", yaml.safe_dump(settings, sort_keys=False))
    for cell in sorted((run / "scores").glob("*.json")):
        value: dict[str, Any] = read_json(cell)
        value["base_ids"] = [[_hashed(base) for base in ids] for ids in value["base_ids"]]
        write_text(target / "scores" / cell.name, canonical_json(value) + "\n")
    for part in ("timings", "training", "drift", "held_out"):
        if (run / part).exists():
            shutil.copytree(run / part, target / part, dirs_exist_ok=True)
    for name in ("environment.json", RESULT):
        write_json(target / name, read_json(run / name))


def _hashed(base_id: str) -> str:
    return sha256_text(base_id)[:HASH_LENGTH]
