"""Command-line flags from frozen dataclasses, by jsonargparse, and the ways people spell them.

A dataclass is the command: its fields are the flags, its docstring the help, its defaults the
config. Booleans work bare, as `--f=true` and `--f=True`, and as `--no_f`; lists as `2,3`.
"""

import dataclasses
import sys
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from compositional.cli.kinds import allows_null, check_settings, describe_kind, is_list
from compositional.errors import ConfigError, did_you_mean
from compositional.yaml_files import read_settings

T = TypeVar("T")

CONFIG = "--config"


def parse_flags(flags: type[T], argv: Sequence[str] | None, prog: str, description: str) -> T:
    """Parse the flags of an entry point; `--config FILE` gives further ones, under the flags.

    Args:
        flags: A flat frozen dataclass.
        argv: The arguments; None for those of the process.
        prog: Name of the command in the help.
        description: First line of the help.

    Raises:
        ConfigError: If a flag is unknown or a value does not fit; one line.
    """
    parser = ArgumentParser(
        prog=prog, description=description, exit_on_error=False, allow_abbrev=False
    )
    parser.add_class_arguments(flags, as_group=False)
    parser.add_argument(CONFIG, help="YAML file with any of these flags; flags go before it")
    kinds = flag_types(flags)
    arguments, files = _take_config(sys.argv[1:] if argv is None else argv)
    base: dict[str, Any] = {}
    for file in files:
        base |= check_settings(read_settings(file), kinds)
    with_config = kinds | {"config": Path | None}
    parsed = parse_with(parser, spell(arguments, kinds), with_config, base)
    return flags(**{name: parsed[name] for name in kinds})


def _take_config(argv: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Return the arguments without `--config`, and the files that it names, in order."""
    arguments: list[str] = []
    files: list[Path] = []
    waiting = list(argv)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.partition("=")
        if name != CONFIG:
            arguments.append(word)
            continue
        if not equals:
            value = waiting.pop(0) if waiting else ""
        if not value:
            raise ConfigError(f"{CONFIG} needs a YAML file")
        files.append(Path(value))
    return arguments, files


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


def spell(arguments: Sequence[str], kinds: Mapping[str, Any]) -> list[str]:
    """Rewrite arguments into the one spelling that jsonargparse takes.

    Args:
        arguments: As the user wrote them.
        kinds: The type of each flag.

    Returns:
        Booleans as `--f=true`, lists as `--f=[2,3]`; everything else as it was.

    Raises:
        ConfigError: If a boolean has another value, or a list has none.
    """
    result: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        negated = name.removeprefix("no_")
        if not word.startswith("--"):
            result.append(word)
        elif kinds.get(name) is bool:
            if not equals:
                follows = bool(waiting) and waiting[0].lower() in ("true", "false")
                value = waiting.pop(0) if follows else "true"
            if value.lower() not in ("true", "false"):
                raise ConfigError(f"--{name} is {value!r}; it must be true or false")
            result.append(f"--{name}={value.lower()}")
        elif name != negated and kinds.get(negated) is bool:
            if equals:
                raise ConfigError(f"--{name} takes no value; write --{negated}={value}")
            result.append(f"--{negated}=false")
        elif name in kinds and is_list(kinds[name]):
            if not equals:
                value = _following(waiting)
                if not value:
                    raise ConfigError(f"--{name} needs {describe_kind(kinds[name])}")
            inner = value if value.startswith("[") or value in ("null", "None") else f"[{value}]"
            result.append(f"--{name}={inner}")
        else:
            result.append(word)
    return result


def _following(waiting: list[str]) -> str:
    """Take the next argument unless it is a flag; empty where there is none."""
    return waiting.pop(0) if waiting and not waiting[0].startswith("--") else ""


def parse_with(
    parser: ArgumentParser,
    arguments: list[str],
    kinds: Mapping[str, Any],
    base: Mapping[str, Any],
) -> Namespace:
    """Parse arguments over a base config, with one line where something is wrong.

    Args:
        parser: The parser.
        arguments: In jsonargparse's spelling.
        kinds: The type of every flag.
        base: Settings as nested dictionaries that `check_settings` returned, under the arguments.

    Raises:
        ConfigError: If a flag is unknown or a value does not fit.
    """
    try:
        parsed = parser.parse_args(arguments, namespace=parser.parse_object(dict(base)))
    except ArgumentError as error:
        raise ConfigError(one_line(str(error), kinds)) from error
    assert isinstance(parsed, Namespace)
    for name, kind in kinds.items():
        if parsed[name] is None and not allows_null(kind):
            raise ConfigError(f"{name} is null; it must be {describe_kind(kind)}")
    return parsed


def one_line(message: str, kinds: Mapping[str, Any]) -> str:
    """Return a parser's message on one line: what was meant, or what the value must be."""
    text = " ".join(message.split())
    start, _, rest = text.partition(":")
    if start == "unrecognized arguments":
        word = rest.split()[0]
        name = word.removeprefix("--").partition("=")[0]
        if not word.startswith("--"):
            return f"unexpected argument {word!r}; every value follows a flag that takes one"
        return f"unknown flag --{name}; {did_you_mean(name, kinds)}"
    name = start.removeprefix('Parser key "').removesuffix('"')
    if name in kinds and " value: " in text:
        value = text.rpartition(" value: ")[2].replace("None", "null")
        return f"{name} is {value}; it must be {describe_kind(kinds[name])}"
    return text
