"""Ranges of ranks such as `11-20`, and the rounds that a run makes of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from compositional.errors import ConfigError

_RANGE = re.compile(r"(\d+)-(\d+)")


@dataclass(frozen=True)
class ToolRange:
    """Tools by their rank in the source, both ends included.

    Attributes:
        first: Rank of the first tool, from 1.
        last: Rank of the last tool.
    """

    first: int
    last: int

    def __str__(self) -> str:
        """Return the range as it stands in file names."""
        return f"{self.first}-{self.last}"

    @property
    def num_tools(self) -> int:
        """Number of tools in it."""
        return self.last - self.first + 1

    def overlaps(self, other: "ToolRange") -> bool:
        """Return whether a tool stands in both."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class RoundPlan:
    """One entry of `training_rounds`.

    Attributes:
        tools: Which tools the round teaches.
        epochs: Passes over its training rows.
    """

    tools: ToolRange
    epochs: int


def parse_range(text: str) -> ToolRange:
    """Read a range such as `11-20`.

    Raises:
        ConfigError: If it has another form, begins before 1 or ends before it begins.
    """
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"range {text!r} is malformed: write ranks from 1 such as 11-20")
    tools = ToolRange(int(found[1]), int(found[2]))
    if not 1 <= tools.first <= tools.last:
        raise ConfigError(f"range {text!r} is empty: ranks begin at 1, the lower one comes first")
    return tools


def parse_round(text: str) -> RoundPlan:
    """Read a range with optional epochs, such as `11-20:3`; without them it is 1.

    Raises:
        ConfigError: If it has another form or fewer than one epoch.
    """
    ranks, colon, epochs = text.strip().partition(":")
    if colon and not (epochs.strip().isdecimal() and int(epochs) >= 1):
        raise ConfigError(f"round {text!r} is malformed: the epochs after ':' must be 1 or more")
    return RoundPlan(parse_range(ranks), int(epochs) if colon else 1)


def parse_training_rounds(text: str) -> tuple[RoundPlan, ...]:
    """Read rounds such as `1-10:3,11-20`, in the order taught.

    Raises:
        ConfigError: If one is malformed or two overlap.
    """
    plans = tuple(parse_round(part) for part in text.split(","))
    check_disjoint([plan.tools for plan in plans])
    return plans


def parse_top_k(text: str) -> ToolRange:
    """Read the seed's `top_k`: a number of tools, or a range.

    Raises:
        ConfigError: If it is neither.
    """
    return parse_range(f"1-{text.strip()}" if text.strip().isdecimal() else text)


def check_disjoint(ranges: Sequence[ToolRange]) -> None:
    """Refuse ranges that share a tool.

    Raises:
        ConfigError: If two do; both are named.
    """
    for index, one in enumerate(ranges):
        for other in ranges[:index]:
            if one.overlaps(other):
                raise ConfigError(
                    f"ranges {other} and {one} overlap: each tool belongs to one round"
                )
