"""Ranking tools and splitting their rows, before anything is composed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from compositional.errors import DataError
from compositional.files import sha256_text
from compositional.tasks.rows import Row
from compositional.tasks.schema import union_schema
from compositional.tasks.types import Skill


@dataclass(frozen=True)
class RankedTool:
    """A tool with all its rows.

    Attributes:
        skill: The tool; its schema is the union over its rows, its description the first row's.
        rows: Its rows in the source's order.
        parameters_differ: Whether the names of its parameters differ between rows.
    """

    skill: Skill
    rows: tuple[Row, ...]
    parameters_differ: bool


@dataclass(frozen=True)
class ToolRows:
    """A tool's rows, split. A row stands in one part, whatever sizes are asked for."""

    train: tuple[Row, ...]
    validation: tuple[Row, ...]
    test: tuple[Row, ...]


def rank_tools(rows: Sequence[Row]) -> list[RankedTool]:
    """Return the tools of single-call rows, those with most rows first, ties by name."""
    by_tool: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_tool[row.calls[0].name].append(row)
    names = sorted(by_tool, key=lambda name: (-len(by_tool[name]), name))
    return [_ranked(by_tool[name]) for name in names]


def split_rows(tool: str, rows: Sequence[Row], data_seed: int) -> ToolRows:
    """Split a tool's rows: the first fifth is test, the next tenth validation, the rest training.

    The order is that of the SHA-256 of data seed, newline, and the row's query and calls. Fractions
    round down, but at least one row is test and one training.

    Raises:
        DataError: If the tool has fewer than two rows.
    """
    if len(rows) < 2:
        raise DataError(
            f"tool {tool!r} has {len(rows)} row; a split needs 2 or more: "
            "take ranges of lower ranks, or a source with more rows"
        )
    ordered = sorted(rows, key=lambda row: sha256_text(f"{data_seed}\n{row.content}"))
    test_end = max(1, len(rows) // 5)
    validation_end = test_end + len(rows) // 10
    parts = ordered[validation_end:], ordered[test_end:validation_end], ordered[:test_end]
    return ToolRows(*(tuple(part) for part in parts))


def _ranked(rows: list[Row]) -> RankedTool:
    tools = [row.tool for row in rows if row.tool is not None]
    schema = union_schema([tool.parameters for tool in tools])
    names = {frozenset(tool.parameters["properties"]) for tool in tools}
    skill = Skill(tools[0].name, tools[0].description, schema)
    return RankedTool(skill, tuple(rows), len(names) > 1)
