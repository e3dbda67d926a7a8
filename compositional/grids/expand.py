"""From the axes of a grid to its runs: one config a point, each with an id of its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from compositional.config import DEFAULT_SEED, RunConfig, resolve
from compositional.errors import ConfigError
from compositional.grids.spec import GridSpec
from compositional.grids.variants import variants_of
from compositional.selection import merge, select_runs
from compositional.tasks.data_config import PER_ROUND


@dataclass(frozen=True)
class GridRun:
    """One point of a grid.

    Attributes:
        index: Its number, from 0, by which launchers hand it out.
        config: Its resolved config.
    """

    index: int
    config: RunConfig


def expand(spec: GridSpec, flags: Sequence[str] = ()) -> list[GridRun]:
    """Make a run of every point of a grid.

    A point is named by its method, by its order and seed where the grid states them, and by each
    other axis that has more than one value. So a grid that gets further orders or seeds keeps what
    is finished.

    Args:
        spec: The grid.
        flags: Further settings as flags, laid over every run.

    Raises:
        ConfigError: If a setting is unknown to a method that it is for, an order does not fit the
            rounds, or two points are one run.
    """
    methods = select_runs(spec.experiment)
    runs = [
        GridRun(index, resolve(settings, flags))
        for index, settings in enumerate(_points(spec, methods))
    ]
    _check_apart([run.config for run in runs])
    return runs


def _check_apart(configs: Sequence[RunConfig]) -> None:
    """Refuse two points that are one run, or that would write into one folder."""
    by_id: dict[str, str] = {}
    by_name: dict[str, str] = {}
    for config in configs:
        if config.id in by_id:
            raise ConfigError(
                f"the runs {by_id[config.id]} and {config.run} of the grid are one: both have the "
                f"id {config.id}, so nothing in which they differ changes a result"
            )
        if config.run in by_name:
            raise ConfigError(
                f"two runs of the grid are named {config.run} (ids {by_name[config.run]} and "
                f"{config.id}): name its methods, sources or variants otherwise"
            )
        by_id[config.id], by_name[config.run] = config.run, config.id


def _points(spec: GridSpec, methods: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the settings of every point."""
    sources = spec.sources or {"": {}}
    variants = variants_of(spec.overrides, methods)
    for settings, (source, data), variant, order, seed in product(
        methods, sources.items(), variants, spec.orders or ((),), spec.seeds or (DEFAULT_SEED,)
    ):
        if settings["run"] not in variant.methods:
            continue
        section = "documents" if "documents" in settings else "data"
        point = merge(merge(settings, {section: data}), _nested(variant.settings))
        if order and section == "documents":
            point = merge(point, {"documents": {"order": list(order)}})
        elif order:
            point = {**point, "data": _ordered(dict(point.get("data") or {}), order)}
        parts = [
            settings["run"],
            source if len(sources) > 1 else "",
            variant.name if len(variants) > 1 else "",
            f"order{'-'.join(map(str, order))}" if order else "",
            f"seed{seed}" if spec.seeds else "",
        ]
        output = {**(point.get("output") or {}), "share_answers": False}
        name = "_".join(part for part in parts if part)
        yield {**point, "seed": seed, "run": name, "output": output}


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted names into nested mappings."""
    nested: dict[str, Any] = {}
    for name, value in settings.items():
        *sections, last = name.split(".")
        inner = nested
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    return nested


def _ordered(data: dict[str, Any], order: Sequence[int]) -> dict[str, Any]:
    """Put the rounds, with what is said of each of them, into another order."""
    text = data.get("training_rounds")
    rounds = str(text).split(",") if text else []
    if len(rounds) != len(order):
        raise ConfigError(
            f"grid.orders holds {list(order)}, but data.training_rounds is {text!r}: "
            f"an order names each of its {len(rounds)} rounds once"
        )
    data["training_rounds"] = ",".join(rounds[place - 1] for place in order)
    for name in PER_ROUND:
        values = data.get(name)
        if isinstance(values, list) and values:
            data[name] = [values[min(place, len(values)) - 1] for place in order]
    return data
