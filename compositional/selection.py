"""Which runs of an experiment file are asked for, and the settings of each."""

from collections.abc import Mapping
from typing import Any

from compositional.errors import ConfigError, did_you_mean

OF_THE_FILE = ("experiment", "run", "runs")
"""What a run of a file cannot set: its name is its key, its experiment the file's."""


def select_runs(
    experiment: Mapping[str, Any], run: str | None = None, method: str | None = None
) -> list[dict[str, Any]]:
    """Return the settings of the runs that are asked for.

    Args:
        experiment: What `read_experiment` returned.
        run: Runs of the file with commas between them, or a name for the only one; None for all.
        method: Only the file's runs of this method; where it has none, the method with its
            default settings in place of the file's. None for the file's.

    Raises:
        ConfigError: If the file has no such run, or its runs are no mapping of settings.
    """
    shared = {key: value for key, value in experiment.items() if key != "runs"}
    runs = _runs(experiment)
    names = _names(run, runs)
    chosen = {name: merge(shared, settings) for name, settings in runs.items() if name in names}
    if method is not None:
        of_method = {name: s for name, s in chosen.items() if method_name(s) == method}
        if of_method:
            chosen = of_method
        else:
            below = chosen.get(str(run), shared)
            below = below if method_name(below) == method else {**below, "method": method}
            chosen = {run or method: below}
    elif not runs:
        chosen = {run or shared.get("run") or method_name(shared) or "run": shared}
    elif unknown := [name for name in names if name not in runs]:
        wrong = unknown[0]
        raise ConfigError(f"the experiment has no run {wrong!r}; {did_you_mean(wrong, runs)}")
    return [{**settings, "run": name} for name, settings in chosen.items()]


def _names(run: str | None, runs: Mapping[str, Any]) -> list[str]:
    """Return the names that are asked for; a run's own name may have a comma."""
    if run is None:
        return list(runs)
    return [run] if run in runs else run.split(",")


def _runs(experiment: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the runs of a file by name."""
    runs = experiment.get("runs") or {}
    if not isinstance(runs, Mapping):
        raise ConfigError(f"runs is {runs!r}; it must map each run's name to its settings")
    for name, settings in runs.items():
        if not isinstance(settings or {}, Mapping):
            raise ConfigError(f"runs.{name} is {settings!r}; it must be a mapping of settings")
        for key in OF_THE_FILE:
            if key in (settings or {}):
                raise ConfigError(f"runs.{name} sets {key}, which belongs to the whole file")
    return {str(name): dict(settings or {}) for name, settings in runs.items()}


def method_name(settings: Mapping[str, Any]) -> str | None:
    """Return the name of the method that settings ask for, if they name one."""
    method = settings.get("method")
    return method.get("name") if isinstance(method, Mapping) else method


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on it, mapping by mapping.

    A method of another name replaces the method below it whole.
    """
    result = dict(base)
    for key, value in over.items():
        below, above = result.get(key), value
        if key in ("method", "of"):
            below, above = _as_mapping(below), _as_mapping(above)
        if isinstance(below, Mapping) and isinstance(above, Mapping):
            is_other = key in ("method", "of") and _differ(below.get("name"), above.get("name"))
            above = above if is_other else merge(below, above)
        result[key] = above
    return result


def _differ(below: str | None, over: str | None) -> bool:
    """Whether two methods are both named, and not alike."""
    return None not in (below, over) and below != over


def _as_mapping(method: Any) -> Any:
    """Return a method that is only named as a mapping; anything else as it is."""
    return {"name": method} if isinstance(method, str) else method
