"""The types of settings: told in words, and checked by name where settings come as YAML."""

import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from compositional.errors import ConfigError, did_you_mean

_WORDS = {
    bool: ("true or false", "true or false"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a text", "names"),
    Path: ("a path", "paths"),
}


def _options(kind: Any) -> tuple[Any, ...]:
    """Return what a union may be; any other type alone."""
    is_union = isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union
    return typing.get_args(kind) if is_union else (kind,)


def is_list(kind: Any) -> bool:
    """Whether a type is a tuple, or a tuple or None."""
    return any(typing.get_origin(option) is tuple for option in _options(kind))


def allows_null(kind: Any) -> bool:
    """Whether a setting of a type may be null."""
    return type(None) in _options(kind)


def describe_kind(kind: Any) -> str:
    """Return in words what a value of a type is, for example `a whole number or null`."""
    words = []
    for option in _options(kind):
        if typing.get_origin(option) is Literal:
            words.append(f"one of {', '.join(map(str, typing.get_args(option)))}")
        elif typing.get_origin(option) is tuple:
            words.append(f"a list of {_WORDS[typing.get_args(option)[0]][1]} such as A,B")
        elif option is type(None):
            words.append("null")
        else:
            words.append(_WORDS[option][0])
    return " or ".join(words)


def check_settings(
    settings: Mapping[Any, Any], kinds: Mapping[str, Any], prefix: str = ""
) -> dict[str, Any]:
    """Check the names in nested settings, and return them as a parser takes them.

    An empty section (`model:` with nothing after it) is one without settings. A list may be
    written as on the command line: `2,3`, or `2` alone.

    Args:
        settings: As a YAML file holds them.
        kinds: The type of every setting by its dotted name.
        prefix: What stands before the names in `settings`.

    Raises:
        ConfigError: If a name is unknown, or a section is no mapping.
    """
    known = {name.removeprefix(prefix).split(".")[0] for name in kinds if name.startswith(prefix)}
    checked: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if key not in known:
            raise ConfigError(f"unknown setting {name}; {did_you_mean(str(key), known)}")
        if name in kinds:
            checked[key] = _as_list(value) if is_list(kinds[name]) else value
        elif value is None:
            checked[key] = {}
        elif isinstance(value, Mapping):
            checked[key] = check_settings(value, kinds, f"{name}.")
        else:
            raise ConfigError(f"{name} is {value!r}; it must be a mapping of settings")
    return checked


def _as_list(value: Any) -> Any:
    """Return a list written as text or as its only item; anything else as it is."""
    if isinstance(value, str):
        try:
            return yaml.safe_load(value if value.startswith("[") else f"[{value}]")
        except yaml.YAMLError:
            return value
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value
