"""Variants of a grid: settings laid over its methods, each whole or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compositional.cli.flags import flag_types
from compositional.config import setting_names
from compositional.errors import ConfigError, did_you_mean
from compositional.methods.registry import METHODS

FOR_METHODS = "methods"
"""The key of a variant that names the methods which it is for."""


@dataclass(frozen=True)
class Variant:
    """A value of the axis `overrides`.

    Attributes:
        name: What the grid calls it; empty where a grid has no such axis.
        settings: By their dotted names.
        methods: Names of the grid's methods that it is for.
    """

    name: str
    settings: Mapping[str, Any]
    methods: Sequence[str]


def variants_of(
    overrides: Mapping[str, Mapping[str, Any]], methods: Sequence[Mapping[str, Any]]
) -> list[Variant]:
    """Return the variants of a grid, each checked against the methods that it is for.

    Args:
        overrides: The axis, as the grid's file holds it.
        methods: The settings of each method, its name under `run`.

    Raises:
        ConfigError: If a method does not know a setting of a variant that is for it, or no
            variant is for a method.
    """
    known = {str(settings["run"]): _known(settings) for settings in methods}
    if not overrides:
        return [Variant("", {}, list(known))]
    variants = [_variant(name, settings, known) for name, settings in overrides.items()]
    for method in known:
        if not any(method in variant.methods for variant in variants):
            raise ConfigError(
                f"no variant of grid.overrides is for {method}: add one, for example "
                f"plain: {{methods: [{method}]}}"
            )
    return variants


def _known(settings: Mapping[str, Any]) -> set[str]:
    """Return the dotted names of all settings that a run takes."""
    names = set(setting_names())
    prefix, method = "method.", settings.get("method")
    while isinstance(method, Mapping) and isinstance(method.get("of"), Mapping):
        prefix, method = f"{prefix}of.", method["of"]
    name = method.get("name") if isinstance(method, Mapping) else method
    if name in METHODS:
        names |= set(flag_types(METHODS[str(name)], prefix))
    return names


def _variant(name: str, given: Mapping[str, Any], known: Mapping[str, set[str]]) -> Variant:
    """Read one variant."""
    place = f"grid.overrides.{name}"
    methods = _methods(place, given[FOR_METHODS], known) if FOR_METHODS in given else list(known)
    settings = {key: value for key, value in given.items() if key != FOR_METHODS}
    if "seed" in settings:
        raise ConfigError(f"{place} sets seed, which a grid sets for each run: use grid.seeds")
    for key in settings:
        if not any(key in names for names in known.values()):
            raise ConfigError(
                f"{place} sets {key!r}, which no method of the grid knows; "
                f"{did_you_mean(str(key), set().union(*known.values()))}"
            )
        lacking = [method for method in methods if key not in known[method]]
        if lacking:
            does = "does" if len(lacking) == 1 else "do"
            able = [method for method in known if set(settings) <= known[method]]
            way = f"say {FOR_METHODS}: [{', '.join(able)}]" if able else "make a variant for each"
            raise ConfigError(
                f"{place} sets {key!r}, which {' and '.join(lacking)} {does} not know: {way}"
            )
    return Variant(name, settings, methods)


def _methods(place: str, names: Any, known: Mapping[str, Any]) -> list[str]:
    """Return the methods that a variant names."""
    if not isinstance(names, list) or not names:
        raise ConfigError(
            f"{place}.{FOR_METHODS} is {names!r}; it must be a list of methods of the grid, of "
            f"{', '.join(known)}"
        )
    for name in names:
        if str(name) not in known:
            raise ConfigError(
                f"{place}.{FOR_METHODS} names {name!r}, which is no method of the grid; "
                f"{did_you_mean(str(name), known)}"
            )
    return [str(name) for name in names]
