"""The axes of a grid: what an experiment file says under `grid`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from compositional.config import read_experiment
from compositional.errors import ConfigError, check_at_least, did_you_mean
from compositional.files import sha256_text, write_text

COPIES = ".grids"
HASH_LENGTH = 12
AXES = ("seeds", "orders", "sources", "overrides", "threads")


@dataclass(frozen=True)
class GridSpec:
    """What a grid file holds.

    Attributes:
        experiment: The rest of the file, an experiment as `compositional run` takes it; its
            `runs` are the grid's methods.
        seeds: Seeds of training and data; none for that of a run by itself.
        orders: Orders of the rounds, each a permutation of 1..T; none for the file's own.
        sources: Settings of `data` by the source's name; none for the file's own.
        overrides: Settings by their dotted names, by the variant's name, and `methods`, those that
            it is for, where that is not all of them; none for the file's own.
        threads: Threads of each run, the same under every launcher, since sums depend on them.
    """

    experiment: Mapping[str, Any]
    seeds: tuple[int, ...] = ()
    orders: tuple[tuple[int, ...], ...] = ()
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    threads: int = 1


def read_grid(path: Path, experiment_name: str | None = None) -> GridSpec:
    """Read a grid file.

    Args:
        path: The file.
        experiment_name: A folder of results in place of the file's.

    Raises:
        ConfigError: If it is no experiment with a mapping `grid`, or an axis is malformed.
    """
    experiment = read_experiment(path)
    if experiment_name is not None:
        experiment["experiment"] = experiment_name
    axes = experiment.pop("grid", None)
    if not isinstance(axes, Mapping):
        raise ConfigError(f"{path}: has no mapping `grid` of axes ({', '.join(AXES)})")
    for name in axes:
        if name not in AXES:
            raise ConfigError(f"{path}: unknown axis grid.{name}; {did_you_mean(str(name), AXES)}")
    for name in ("seed", "run"):
        if name in experiment:
            raise ConfigError(
                f"{path}: sets {name}, which a grid sets for each run: use grid.seeds"
            )
    threads = axes.get("threads", 1)
    if type(threads) is not int:
        raise ConfigError(f"{path}: grid.threads is {threads!r}; it must be a whole number")
    check_at_least("grid.threads", threads, 1)
    orders = tuple(_order(path, order) for order in _list(path, "orders", axes))
    for place, order in enumerate(orders):
        if order in orders[:place]:
            raise ConfigError(f"{path}: grid.orders holds {list(order)} twice")
    return GridSpec(
        experiment,
        seeds=_seeds(path, axes["seeds"]) if "seeds" in axes else (),
        orders=orders,
        sources=_named(path, "sources", axes),
        overrides=_named(path, "overrides", axes),
        threads=threads,
    )


def keep_copy(spec: GridSpec, folder: Path) -> Path:
    """Keep a grid as it is now beside its results, for runs that start when its file was edited.

    Args:
        spec: The grid.
        folder: `results/<experiment>`.

    Returns:
        A grid file, named by its content.

    Raises:
        CompositionalError: If it cannot be written.
    """
    axes = {
        **({"seeds": list(spec.seeds)} if spec.seeds else {}),
        "orders": [list(order) for order in spec.orders],
        "sources": dict(spec.sources),
        "overrides": dict(spec.overrides),
        "threads": spec.threads,
    }
    text = yaml.safe_dump({**spec.experiment, "grid": axes}, sort_keys=False)
    path = folder / COPIES / f"{sha256_text(text)[:HASH_LENGTH]}.yaml"
    write_text(path, text)
    return path


def _list(path: Path, name: str, axes: Mapping[str, Any]) -> list[Any]:
    value = axes.get(name) or []
    if not isinstance(value, list):
        raise ConfigError(f"{path}: grid.{name} is {value!r}; it must be a list")
    return value


def _seeds(path: Path, seeds: Any) -> tuple[int, ...]:
    if not isinstance(seeds, list) or not seeds or any(type(seed) is not int for seed in seeds):
        raise ConfigError(f"{path}: grid.seeds is {seeds!r}; it must be a list such as [1, 2, 3]")
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"{path}: grid.seeds is {seeds!r}; a seed stands twice")
    return tuple(seeds)


def _order(path: Path, order: Any) -> tuple[int, ...]:
    """Return one order of rounds, written as `[3, 1, 2]` or `3,1,2`."""
    try:
        places = order.split(",") if isinstance(order, str) else list(order)
        numbers = tuple(int(place) for place in places)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{path}: grid.orders holds {order!r}; an order is a list of rounds such as [3, 1, 2]"
        ) from error
    if sorted(numbers) != list(range(1, len(numbers) + 1)):
        raise ConfigError(
            f"{path}: grid.orders holds {order!r}; an order names each round from 1 once"
        )
    return numbers


def _named(path: Path, name: str, axes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    value = axes.get(name) or {}
    if not isinstance(value, Mapping) or any(
        not isinstance(settings or {}, Mapping) for settings in value.values()
    ):
        raise ConfigError(
            f"{path}: grid.{name} is {value!r}; it must map names to mappings of settings"
        )
    return {str(key): dict(settings or {}) for key, settings in value.items()}
