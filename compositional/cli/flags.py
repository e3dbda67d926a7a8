"""Command-line flags from frozen dataclasses, by jsonargparse, and the ways people spell them.

A dataclass is the command: its fields are the flags, its docstring the help, its defaults the
config. Booleans work bare, as `--f=true` and `--f=True`, and as `--no_f`; lists as `2,3`.
"""

import dataclasses
import types
import typing
from collections.abc import Sequence
from typing import Any, TypeVar

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from compositional.errors import ConfigError, did_you_mean

T = TypeVar("T")


def parse_flags(flags: type[T], argv: Sequence[str] | None, prog: str, description: str) -> T:
    """Parse the flags of an entry point.

    Args:
        flags: A flat frozen dataclass.
        argv: The arguments; None for those of the process.
        prog: Name of the command in the help.
        description: First line of the help.

    Raises:
        ConfigError: If a flag is unknown or a value does not fit; one line.
    """
    import sys

    parser = ArgumentParser(
        prog=prog, description=description, exit_on_error=False, allow_abbrev=False
    )
    parser.add_class_arguments(flags, as_group=False)
    parser.add_argument("--config", action="config", help="YAML file with any of these flags")
    arguments = sys.argv[1:] if argv is None else argv
    names = flag_types(flags)
    parsed = parse_with(parser, spell(arguments, names), [*names, "config"])
    return flags(**{name: parsed[name] for name in names})


def flag_types(settings: type, prefix: str = "") -> dict[str, Any]:
    """Return the type of every flag of a dataclass, nested ones by dotted names."""
    hints = typing.get_type_hints(settings)
    found: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            found |= flag_types(typing.cast(type, hint), f"{prefix}{field.name}.")
        else:
            found[f"{prefix}{field.name}"] = hint
    return found


def spell(arguments: Sequence[str], kinds: dict[str, Any]) -> list[str]:
    """Rewrite arguments into the one spelling that jsonargparse takes.

    Args:
        arguments: As the user wrote them.
        kinds: The type of each flag.

    Returns:
        Booleans as `--f=true`, lists as `--f=[2,3]`; everything else as it was.
    """
    result: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            result.append(word)
        elif kinds.get(name) is bool:
            if not equals:
                follows = bool(waiting) and waiting[0].lower() in ("true", "false")
                value = waiting.pop(0) if follows else "true"
            result.append(f"--{name}={value.lower()}")
        elif name.startswith("no_") and kinds.get(name.removeprefix("no_")) is bool:
            result.append(f"--{name.removeprefix('no_')}=false")
        elif name in kinds and _is_list(kinds[name]):
            if not equals:
                value = waiting.pop(0) if waiting else ""
            inner = value if value.startswith("[") or value in ("null", "None") else f"[{value}]"
            result.append(f"--{name}={inner}")
        else:
            result.append(word)
    return result


def _is_list(hint: Any) -> bool:
    """Whether a type is a tuple, or a tuple or None."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return any(_is_list(option) for option in typing.get_args(hint))
    return typing.get_origin(hint) is tuple


def parse_with(
    parser: ArgumentParser, arguments: list[str], names: Sequence[str], base: Any = None
) -> Namespace:
    """Parse arguments over a base config, with one line where something is wrong.

    Args:
        parser: The parser.
        arguments: In jsonargparse's spelling.
        names: All flags, for the guess at what was meant.
        base: Settings as nested dictionaries, under the arguments; None for none.

    Raises:
        ConfigError: If a key is unknown or a value does not fit.
    """
    try:
        config = None if base is None else parser.parse_object(base)
        parsed = parser.parse_args(arguments, namespace=config)
    except ArgumentError as error:
        raise ConfigError(one_line(str(error), names)) from error
    assert isinstance(parsed, Namespace)
    return parsed


def one_line(message: str, names: Sequence[str]) -> str:
    """Return a parser's message on one line, with a guess where a name was unknown."""
    text = " ".join(message.split())
    if text.startswith("unrecognized arguments:"):
        word = text.split(":", 1)[1].split()[0]
        name = word.removeprefix("--").partition("=")[0]
        return f"unknown flag --{name}; {did_you_mean(name, names)}"
    if "does not accept option" in text or "is not accepted" in text:
        parts = text.split("'")
        name = f"{parts[1]}.{parts[3]}" if len(parts) > 3 else parts[1]
        return f"unknown setting {name}; {did_you_mean(name, names)}"
    return text
