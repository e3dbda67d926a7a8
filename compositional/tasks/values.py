"""When two argument values are the same: coercion by JSON Schema, then one hashable form.

A model that writes `"5"` where an integer is due, or `5` where a string is due, has understood the
argument. So a value is first turned into the type that its schema asks for, where its JSON text
says exactly that, and then brought into a form in which equal values are equal in Python.
"""

import json
import math
import unicodedata
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from compositional.tasks.types import JsonObject


def canonical_value(
    value: Any, schema: JsonObject | None = None, *, nocase: bool = False
) -> Hashable:
    """Return a form of a JSON value in which values that count as the same are equal.

    Numbers compare by value (1 and 1.0), booleans never equal numbers, strings compare in Unicode
    form NFC without outer blanks, objects without order, arrays with.

    Args:
        value: A JSON value.
        schema: JSON Schema of the value, by which it is coerced first. Without one, or where it
            names no type, nothing is coerced.
        nocase: Whether strings compare in lower case. Keys of objects keep theirs.

    Returns:
        Nested tuples, each led by the name of its JSON type.
    """
    value, schema = _coerced(value, schema)
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, int | float):
        return ("number", value)
    if isinstance(value, str):
        text = unicodedata.normalize("NFC", value.lower() if nocase else value)
        return ("string", text.strip())
    if isinstance(value, list):
        items = _item_schemas(schema, len(value))
        return (
            "array",
            tuple(
                canonical_value(item, item_schema, nocase=nocase)
                for item, item_schema in zip(value, items, strict=True)
            ),
        )
    if isinstance(value, dict):
        members = (
            (key, canonical_value(member, property_schema(schema, key), nocase=nocase))
            for key, member in value.items()
        )
        return ("object", frozenset(members))
    return ("null", None)


def property_schema(schema: JsonObject | None, name: str) -> JsonObject | None:
    """Return the schema that an object's schema gives for one of its members, if any."""
    if schema is None:
        return None
    properties = schema.get("properties")
    if isinstance(properties, dict) and name in properties:
        found = properties[name]
    else:
        found = schema.get("additionalProperties")
    return found if isinstance(found, dict) else None


def _item_schemas(schema: JsonObject | None, num_items: int) -> list[JsonObject | None]:
    schema = schema or {}
    items = schema.get("items")
    rest = items if isinstance(items, dict) else None
    first = schema.get("prefixItems")
    leading = [s if isinstance(s, dict) else None for s in first] if first else []
    return [*leading, *[rest] * num_items][:num_items]


def _coerced(value: Any, schema: JsonObject | None) -> tuple[Any, JsonObject | None]:
    """Turn a value into the first type of its schema that it has, or that its JSON text says.

    Returns:
        The value, and the branch of the schema (of `anyOf`, `oneOf`) that took it.
    """
    branches = list(_branches(schema))
    for name, branch in branches:
        if _ADMITS[name](value):
            return value, branch
    for name, branch in branches:
        turned = _turned(value, name)
        if turned is not None:
            return turned, branch
    return value, schema


def _branches(schema: JsonObject | None) -> Iterator[tuple[str, JsonObject]]:
    """Yield the types that a schema allows, each with the schema that allows it."""
    if schema is None:
        return
    names = schema.get("type")
    for name in names if isinstance(names, list) else [names]:
        if isinstance(name, str) and name in _ADMITS:
            yield name, schema
    for key in ("anyOf", "oneOf"):
        for choice in schema.get(key) or ():
            if isinstance(choice, dict):
                yield from _branches(choice)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_ADMITS: dict[str, Callable[[Any], bool]] = {
    "integer": lambda value: _is_number(value) and value % 1 == 0,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def _turned(value: Any, type_name: str) -> Any | None:
    """Return a value as another JSON type, or None where its text does not say it."""
    if type_name == "string":
        return _as_text(value)
    if not isinstance(value, str) or type_name == "null":
        return None
    text = value.strip()
    try:
        read = json.loads(text.lower() if type_name == "boolean" else text)
    except (ValueError, RecursionError):
        return None
    if type_name in ("integer", "number"):
        return read if _is_number(read) and math.isfinite(read) else None
    return read if _ADMITS[type_name](read) else None


def _as_text(value: Any) -> str | None:
    """Return a number or boolean as JSON text; whole numbers without a fraction."""
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return json.dumps(int(value) if value % 1 == 0 else value)
    return None
