"""Tiny sources in the xLAM row schema, made up."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compositional.tasks.rows import Row, xlam_row

WORDS = (
    "alpha",
    "bravo",
    "charlie",
    "delta",
    "echo",
    "foxtrot",
    "golf",
    "hotel",
    "india",
    "juliet",
)
NUMBER = {"number": {"type": "int", "description": "Which one"}}


def record(
    query: str,
    name: str,
    arguments: dict[str, Any] | None = None,
    parameters: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A single-call record; its tool takes `number`."""
    tool = {"name": name, "description": f"Does {name}.", "parameters": parameters or NUMBER}
    return {
        "query": query,
        "answers": [{"name": name, "arguments": arguments or {}}],
        "tools": [tool],
    }


def row(query: str, name: str, arguments: dict[str, Any] | None = None, row_id: str = "1") -> Row:
    """The row of such a record."""
    return xlam_row(record(query, name, arguments), row_id)


def records(rows_per_tool: Sequence[int]) -> list[dict[str, Any]]:
    """Records of tools `alpha`, ...: query `Ask ALPHA for 7`, arguments `{"number": 7}`."""
    return [
        record(f"Ask {word.upper()} for {i}", word, {"number": i})
        for word, n in zip(WORDS, rows_per_tool, strict=False)
        for i in range(n)
    ]


def source_file(folder: Path, rows_per_tool: Sequence[int]) -> Path:
    """A JSON Lines file of such records."""
    path = folder / "toy.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records(rows_per_tool)))
    return path
