"""Rows: what a source holds, one query with the calls that answer it, and which tool they name."""

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from compositional.files import canonical_json
from compositional.tasks.schema import tool_schema
from compositional.tasks.types import JsonObject, Skill

_LETTERS = re.compile(r"[^\W\d_]+")
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^A-Z]+|[A-Z]+")


@dataclass(frozen=True)
class RowCall:
    """One call that a row expects.

    Attributes:
        name: The tool.
        arguments: The arguments to train on.
        acceptable: For each argument the list of values that count as right, `""` where it may be
            left out; None where only `arguments` is right.
    """

    name: str
    arguments: JsonObject
    acceptable: JsonObject | None = None


@dataclass(frozen=True)
class Row:
    """A query and its calls.

    Attributes:
        id: Unique within the source.
        query: What the user asks.
        calls: The calls that answer it.
        tool: The called tool as this row defines it; None where the row has not exactly one call.
    """

    id: str
    query: str
    calls: tuple[RowCall, ...]
    tool: Skill | None

    @property
    def content(self) -> str:
        """The query and calls as JSON with sorted keys, by which rows are told apart and split."""
        calls = [{"name": call.name, "arguments": call.arguments} for call in self.calls]
        return canonical_json({"query": self.query, "calls": calls})

    @property
    def query_key(self) -> str:
        """The query in NFC and lower case, runs of blanks as one: the same key, the same query."""
        return " ".join(unicodedata.normalize("NFC", self.query).lower().split())

    @property
    def gold_key(self) -> str:
        """The calls and what is accepted for them, without the order of alternatives."""
        return canonical_json([_gold(call) for call in self.calls])


@dataclass(frozen=True)
class Source:
    """All rows of a source, with what a manifest says about it.

    Attributes:
        name: `bfcl`, a Hub id, or the name of a local file.
        revision: Commit or tag of a Hub data set; None elsewhere.
        sha256: Hash of the content read.
        licence: Name of the licence, or `not stated`.
        rows: The rows in the source's order.
        dropped: Why rows were left out while reading, and how many.
    """

    name: str
    revision: str | None
    sha256: str
    licence: str
    rows: tuple[Row, ...]
    dropped: dict[str, int]


def xlam_row(record: Any, row_id: str) -> Row:
    """Return the row that a record in the xLAM row schema holds.

    Args:
        record: An object with `query`, `answers` and `tools`; the last two are lists or JSON.
        row_id: Its id.

    Raises:
        ValueError: If it is malformed; says what is wrong with it.
    """
    if not isinstance(record, dict):
        raise ValueError(f"a row must be an object, not {record!r:.60}")
    query = record.get("query")
    if not isinstance(query, str) or not query.strip():
        raise ValueError(f"query must be a text that is not empty, not {query!r:.60}")
    calls = tuple(_row_call(answer) for answer in _objects(record, "answers"))
    tools = _objects(record, "tools")
    tool = _called_tool(tools, calls[0].name) if len(calls) == 1 else None
    row = Row(row_id, query, calls, tool)
    row.content.encode()  # text that is no Unicode is refused here, not when it is written
    return row


def name_words(name: str) -> list[str]:
    """Split a tool's name at `_`, `.`, digits and capitals into words in lower case."""
    runs = _LETTERS.findall(name)
    return [word.lower() for run in runs for word in _WORDS.findall(run)]


def _called_tool(tools: list[JsonObject], name: str) -> Skill:
    for tool in tools:
        if tool.get("name") == name:
            description = tool.get("description") or ""
            if not isinstance(description, str):
                raise ValueError(f"the description of tool {name!r} must be a text")
            return Skill(name, description, tool_schema(tool.get("parameters") or {}))
    offered = ", ".join(str(tool.get("name")) for tool in tools)
    raise ValueError(f"answers call {name!r}, which is not among its tools ({offered:.200})")


def _row_call(answer: JsonObject) -> RowCall:
    name, arguments = answer.get("name"), answer.get("arguments")
    if not isinstance(name, str) or not name:
        raise ValueError(f"a call's name must be a text that is not empty, not {name!r:.60}")
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of {name!r} must be an object, not {arguments!r:.60}")
    json.dumps(arguments, allow_nan=False)  # NaN and infinity are no JSON
    return RowCall(name, arguments)


def _objects(record: JsonObject, key: str) -> list[JsonObject]:
    """Return a field that is a list of objects, or JSON text of one."""
    value = record.get(key)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"{key} is not JSON: {error.msg} at {error.pos}") from error
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(f"{key} must be a list of objects, or JSON of one, not {value!r:.60}")
    return value


def _gold(call: RowCall) -> JsonObject:
    if call.acceptable is None:
        return {"name": call.name, "arguments": call.arguments}
    values = {
        argument: sorted({canonical_json(value) for value in allowed})
        for argument, allowed in call.acceptable.items()
    }
    return {"name": call.name, "acceptable": values}
