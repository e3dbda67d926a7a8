"""What a converter gives: rows in the xLAM schema, and the count of what it left out."""

import json
from dataclasses import dataclass
from typing import Any

from compositional.tasks.types import JsonObject


@dataclass(frozen=True)
class Conversion:
    """Rows in the xLAM schema, as written to a file.

    Attributes:
        rows: Each has `id`, `query`, `answers` and `tools`, the last two as JSON strings.
        left_out: Number of calls or utterances of the source that gave no row, by reason.
    """

    rows: list[JsonObject]
    left_out: dict[str, int]

    def summary(self) -> str:
        """Return one line: how many rows of how many tools, and what was left out and why."""
        tools = {row["tools"] for row in self.rows}
        reasons = [f"{count} {reason}" for reason, count in self.left_out.items() if count]
        left_out = f"; left out: {', '.join(reasons)}" if reasons else ""
        return f"{len(self.rows)} rows of {len(tools)} tools{left_out}"


def xlam_row(query: str, call: JsonObject, tool: JsonObject, **more: Any) -> JsonObject:
    """Return a row of one call, without its `id`.

    Args:
        query: What the user says.
        call: `{"name": ..., "arguments": {...}}`.
        tool: `{"name": ..., "description": ..., "parameters": {name: {"description", "type"}}}`.
        **more: Further keys, between the answers and the tools.
    """
    return {"query": query, "answers": json.dumps([call]), **more, "tools": json.dumps([tool])}


def numbered(rows: list[JsonObject]) -> list[JsonObject]:
    """Return the rows with their position as `id`, from 0, as the first key."""
    return [{"id": index, **row} for index, row in enumerate(rows)]
