"""What a curator may do to a playbook: ADD, UPDATE, MERGE, DELETE, by schema and by rule.

The operations come from a model. A reply is taken whole or not at all by its schema; each operation
of it is then applied in order by fixed rules, and one that breaks a rule is refused and counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from compositional.playbooks.playbook import SECTIONS, Entry, Playbook, one_line
from compositional.tasks.types import JsonObject

ADD, UPDATE, MERGE, DELETE = "ADD", "UPDATE", "MERGE", "DELETE"
KINDS = (ADD, UPDATE, MERGE, DELETE)
MOST_OPERATIONS = 4
MOST_MERGED = 4


@dataclass(frozen=True)
class Applied:
    """What became of a reply's operations.

    Attributes:
        playbook: The playbook after them.
        counts: How many of each kind were applied.
        refused: How many broke a rule and did nothing.
    """

    playbook: Playbook
    counts: dict[str, int]
    refused: int


def operations_schema(playbook: Playbook, max_chars: int) -> JsonObject:
    """Return the schema of a list of operations on a playbook.

    Only ids that stand in it can be named, and only entries that harmed more often than they helped
    can be deleted.

    Args:
        playbook: What the operations are on.
        max_chars: The longest text of an entry.
    """
    text = {"type": "string", "minLength": 1, "maxLength": max_chars}
    ids = list(playbook.ids)
    kinds = [_object(ADD, {"section": {"enum": list(SECTIONS)}, "text": text})]
    if ids:
        kinds.append(_object(UPDATE, {"id": {"enum": ids}, "text": text}))
    if len(ids) > 1:
        several = {
            "type": "array", "items": {"enum": ids}, "minItems": 2, "maxItems": MOST_MERGED,
        }  # fmt: skip
        kinds.append(_object(MERGE, {"ids": several, "text": text}))
    harmful = [entry.id for entry in playbook.entries if entry.score < 0]
    if harmful:
        kinds.append(_object(DELETE, {"id": {"enum": harmful}}))
    return {"type": "array", "items": {"anyOf": kinds}, "maxItems": MOST_OPERATIONS}


def apply_operations(
    playbook: Playbook, operations: Sequence[dict[str, Any]], source: str
) -> Applied:
    """Apply operations in order; the same ones give the same playbook.

    Args:
        playbook: What they are on.
        operations: Each of a kind and shape that `operations_schema` allows.
        source: The document that they come from.
    """
    counts = dict.fromkeys(KINDS, 0)
    refused = 0
    for operation in operations:
        changed = _apply(playbook, operation, source)
        if changed is None:
            refused += 1
        else:
            playbook = changed
            counts[operation["type"]] += 1
    return Applied(playbook, counts, refused)


def _apply(playbook: Playbook, operation: dict[str, Any], source: str) -> Playbook | None:
    """Return the playbook after one operation; None where it breaks a rule."""
    kind = operation["type"]
    text = one_line(operation.get("text", ""))
    if kind != DELETE and not text:
        return None
    if kind == ADD:
        return playbook.add(operation["section"], text, [source])
    if kind == MERGE:
        return _merge(playbook, operation["ids"], text, source)
    entry = playbook.get(operation["id"])
    if entry is None:
        return None
    if kind == UPDATE:
        return playbook.put(replace(entry, text=text, sources=joined([entry], [source])))
    return playbook.without([entry.id]) if entry.score < 0 else None


def _merge(playbook: Playbook, ids: Sequence[str], text: str, source: str) -> Playbook | None:
    """Put one text in the oldest entry's place, with the counters and sources of all."""
    found = [playbook.get(entry_id) for entry_id in dict.fromkeys(ids)]
    entries = sorted((e for e in found if e is not None), key=lambda entry: entry.number)
    if len(entries) < 2 or len(entries) < len(found):
        return None
    first, *others = entries
    merged = replace(
        first,
        text=text,
        sources=joined(entries, [source]),
        helpful=sum(entry.helpful for entry in entries),
        harmful=sum(entry.harmful for entry in entries),
    )
    return playbook.without(entry.id for entry in others).put(merged)


def joined(entries: Sequence[Entry], sources: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the sources of some entries and further ones, each once, in order."""
    return tuple(dict.fromkeys([*(s for entry in entries for s in entry.sources), *sources]))


def _object(kind: str, properties: JsonObject) -> JsonObject:
    named = {"type": {"const": kind}, **properties}
    return {
        "type": "object",
        "properties": named,
        "required": list(named),
        "additionalProperties": False,
    }
