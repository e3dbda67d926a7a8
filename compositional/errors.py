"""Errors that a user can act on, and the helper that names what was probably meant.

Every error here is shown as one line on standard error, and the command exits with
`exit_code`. Anything else is a defect of the program and keeps its traceback.
"""

import difflib
import math
from collections.abc import Iterable

MOST_LISTED = 20


class CompositionalError(Exception):
    """Base of all errors that are the user's to mend: shown as one line, without a traceback."""

    exit_code = 2


class ConfigError(CompositionalError):
    """A flag, a config key or a combination of settings is wrong."""


class DataError(CompositionalError):
    """A data file is missing, malformed, or does not hold what the run asks for."""


class ModelError(CompositionalError):
    """A model or tokenizer cannot be found, or cannot do what the run asks of it."""


class ResultsError(CompositionalError):
    """A run folder, checkpoint or predictions file is in the way, incomplete or of another run."""


class BackendError(CompositionalError):
    """A chat back end cannot be reached, or does not answer as one."""


def check_choice(what: str, value: str, choices: Iterable[str]) -> None:
    """Refuse a name that is not among the choices.

    Args:
        what: What the name is of, for example `scheduler`.
        value: What the user wrote.
        choices: What is allowed.

    Raises:
        ConfigError: With the nearest choice and all of them.
    """
    allowed = list(choices)
    if value not in allowed:
        raise ConfigError(f"unknown {what} {value!r}; {did_you_mean(value, allowed)}")


def check_at_least(what: str, value: float | None, least: int) -> None:
    """Refuse a number that is too small, or not finite; None passes.

    Args:
        what: The number's name.
        value: What the user wrote.
        least: The smallest that is allowed.

    Raises:
        ConfigError: With the number and what is allowed.
    """
    if value is not None and not least <= value < math.inf:
        raise ConfigError(f"{what} is {value}; it must be {least} or more")


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return the tail of an error on an unknown name: the nearest choice, then all if not many.

    Args:
        name: What the user wrote.
        choices: What is allowed.

    Returns:
        For example `did you mean 'lora'? Choices: icl, lora, rag`.
    """
    ordered = sorted(choices)
    close = difflib.get_close_matches(name, ordered, n=4, cutoff=0.5)
    guess = f"did you mean '{close[0]}'? " if close else ""
    if close and len(ordered) > MOST_LISTED:
        return f"{guess}Choices near it: {', '.join(close)} (of {len(ordered)})"
    return f"{guess}Choices: {', '.join(ordered)}"
