"""Where a report's runs come from: configs, environments, and what the runs share."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from compositional.report.formats import Entry, Table
from compositional.report.loading import Experiment
from compositional.report.run_view import RunView
from compositional.tasks.types import JsonObject

_UNKNOWN = "unknown"


def others_table(experiment: Experiment) -> Table | None:
    """Return the runs without a result and why; None where there are none."""
    if not experiment.others and not experiment.absent:
        return None
    rows: list[list[Entry]] = [
        [run.name, run.method_title, run.result["status"], len(run.cell_list), run.reason]
        for run in experiment.others
    ]
    rows += [[run.name, run.method, "no result", 0, run.reason] for run in experiment.absent]
    header = ["run", "method", "status", "cells that stand", "reason"]
    note = "They stand in no other table."
    return Table("Runs without a result", header, rows, [note])


def environment_table(runs: Sequence[RunView]) -> Table:
    """Return where and when each run was made."""
    rows: list[list[Entry]] = []
    for run in runs:
        environment = run.environment
        git = environment.get("git", {})
        rows.append(
            [
                run.name,
                run.method_title,
                run.seed,
                "published" if run.is_published else "results",
                str(environment.get("started", _UNKNOWN)).replace("T", " "),
                str(git.get("commit") or _UNKNOWN)[:12],
                {True: "yes", False: "no"}.get(git.get("clean"), _UNKNOWN),
                str(environment.get("device", _UNKNOWN)),
                str(environment.get("threads", _UNKNOWN)),
                str(environment.get("processor", _UNKNOWN)),
            ]
        )
    header = [
        "run", "method", "seed", "taken from", "started", "commit", "tree clean", "device",
        "threads", "processor",
    ]  # fmt: skip
    commits = {str(row[5]) for row in rows}
    notes = [f"The runs were made at {len(commits)} commits."] if len(commits) > 1 else []
    return Table("Runs", header, rows, notes)


def packages_text(runs: Sequence[RunView]) -> list[tuple[str, str]]:
    """Return the versions of packages, once for all runs that had the same."""
    groups: dict[str, list[str]] = {}
    for run in runs:
        packages: Mapping[str, str] = run.environment.get("packages", {})
        python = run.environment.get("python", _UNKNOWN)
        versions = [f"python {python}", *(f"{name} {v}" for name, v in packages.items())]
        groups.setdefault(", ".join(versions), []).append(run.name)
    if len(groups) == 1:
        return [("all runs", next(iter(groups)))]
    return [(", ".join(names), versions) for versions, names in groups.items()]


def configs_text(runs: Sequence[RunView]) -> list[tuple[str, str]]:
    """Return what the runs' configs share as YAML, then what each has of its own."""
    configs = [run.config for run in runs]
    shared = _shared(configs) if len(configs) > 1 else {}
    own = [(run.name, _without(run.config, shared)) for run in runs]
    parts = [("shared by all runs", shared), *own] if shared else own
    return [(name, yaml.safe_dump(part, sort_keys=False)) for name, part in parts]


def _shared(configs: Sequence[JsonObject]) -> JsonObject:
    """Return the settings that are equal in all configs; a method is never taken apart."""
    first, *others = configs
    shared: dict[str, Any] = {}
    for key, value in first.items():
        values = [config.get(key) for config in others]
        if key == "method":
            continue
        if all(other == value for other in values):
            shared[key] = value
        elif all(isinstance(other, dict) for other in (value, *values)):
            shared[key] = _shared([config[key] for config in configs])
    return {key: value for key, value in shared.items() if value != {}}


def _without(config: JsonObject, shared: JsonObject) -> JsonObject:
    """Return a config without what all share."""
    own: dict[str, Any] = {}
    for key, value in config.items():
        if key not in shared:
            own[key] = value
        elif isinstance(value, dict) and (below := _without(value, shared[key])):
            own[key] = below
    return own
