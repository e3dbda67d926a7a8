"""JSON Schema of a tool's parameters: from the types that sources write, and over many rows."""

import re
from collections.abc import Sequence
from typing import Any

from compositional.files import canonical_json
from compositional.tasks.types import JsonObject

_JSON_TYPES = {
    "object": ("dict", "hashmap", "map", "object"),
    "number": ("float", "double", "number"),
    "integer": ("int", "long", "integer"),
    "string": ("str", "string"),
    "boolean": ("bool", "boolean"),
    "array": ("list", "tuple", "array", "arraylist"),
}
_JSON_TYPE = {written: name for name, all_ in _JSON_TYPES.items() for written in all_}
_GENERIC = re.compile(r"(?P<outer>\w+)\s*\[(?P<inner>.*)\]")
_KEPT = (
    "description",
    "enum",
    "default",
    "format",
    "maximum",
    "minimum",
    "maxItems",
    "minItems",
    "anyOf",
    "oneOf",
    "prefixItems",
    "additionalProperties",
)


def type_schema(written: str) -> JsonObject:
    """Return the JSON Schema of a type as a source writes it; empty where it is unchecked.

    Args:
        written: For example `str`, `HashMap`, `List[int]` or `Optional[float]`; case is ignored.
            `any`, unions and unknown names are unchecked.
    """
    text = written.strip()
    if (generic := _GENERIC.fullmatch(text)) is None:
        name = _JSON_TYPE.get(text.lower())
        return {"type": name} if name else {}
    outer, inner = generic["outer"].lower(), generic["inner"]
    if outer == "optional":
        return type_schema(inner)
    name = _JSON_TYPE.get(outer)
    items = type_schema(inner) if name == "array" else {}
    return {"type": name} | ({"items": items} if items else {}) if name else {}


def parameter_schema(definition: Any) -> JsonObject:
    """Return the JSON Schema of one parameter.

    Args:
        definition: An object with `type` and more, nested `properties` and `items` included.

    Raises:
        ValueError: If it is no object, or its parts have the wrong JSON type.
    """
    if not isinstance(definition, dict):
        raise ValueError(f"a parameter's definition must be an object, not {definition!r:.60}")
    written = definition.get("type", "any")
    if isinstance(written, list) and all(isinstance(name, str) for name in written):
        schema: JsonObject = {"type": [type_schema(name).get("type", name) for name in written]}
    elif isinstance(written, str):
        schema = type_schema(_without_optional(written))
    else:
        raise ValueError(f"a parameter's type must be a text, not {written!r:.60}")
    schema |= {key: definition[key] for key in _KEPT if key in definition}
    if isinstance(definition.get("properties"), dict):
        schema |= _object_members(definition)
    if isinstance(definition.get("items"), dict):
        schema["items"] = parameter_schema(definition["items"])
    return schema


def tool_schema(parameters: Any) -> JsonObject:
    """Return the JSON Schema of all parameters of a tool.

    Args:
        parameters: Either JSON Schema (`{"type": "dict", "properties": {...}, "required": [...]}`)
            or the xLAM form, parameter name to definition, where each is required unless its type
            ends in `, optional`.

    Returns:
        `{"type": "object", "properties": {...}, "required": [...]}`.

    Raises:
        ValueError: If it has neither form.
    """
    if not isinstance(parameters, dict):
        raise ValueError(f"a tool's parameters must be an object, not {parameters!r:.60}")
    if isinstance(parameters.get("type"), str):
        if not isinstance(parameters.get("properties", {}), dict):
            raise ValueError("a tool's properties must be an object")
        return {"type": "object"} | _object_members(parameters)
    properties = {name: parameter_schema(value) for name, value in parameters.items()}
    required = [name for name, value in parameters.items() if not _is_optional(value)]
    return {"type": "object", "properties": properties, "required": required}


def union_schema(schemas: Sequence[JsonObject]) -> JsonObject:
    """Return the schema that admits what any of some schemas admits, for the rows of one tool.

    Properties are united and required where every schema requires them. Types that differ become
    number (of integer and number) or unchecked; lists of allowed values are united, or dropped
    where one schema has none. Descriptions and defaults are those of the first.
    """
    distinct = list({canonical_json(schema): schema for schema in schemas}.values())
    first = distinct[0]
    if len(distinct) == 1:
        return first
    types = {canonical_json(schema.get("type")) for schema in distinct}
    if types == {'"integer"', '"number"'}:
        united = first | {"type": "number"}
    elif len(types) > 1:
        return {key: first[key] for key in ("description",) if key in first}
    else:
        united = dict(first)
    united.pop("enum", None)
    if all("enum" in schema for schema in distinct):
        values = [value for schema in distinct for value in schema["enum"]]
        united["enum"] = list({canonical_json(value): value for value in values}.values())
    if any("properties" in schema for schema in distinct):
        united |= _union_members(distinct)
    if items := [schema["items"] for schema in distinct if "items" in schema]:
        united["items"] = union_schema(items)
    return united


def _union_members(schemas: Sequence[JsonObject]) -> JsonObject:
    names = dict.fromkeys(name for schema in schemas for name in schema.get("properties", {}))
    properties = {
        name: union_schema([s["properties"][name] for s in schemas if name in s["properties"]])
        for name in names
    }
    required = [name for name in names if all(name in s.get("required", ()) for s in schemas)]
    return {"properties": properties, "required": required}


def _object_members(definition: JsonObject) -> JsonObject:
    properties = {
        name: parameter_schema(value) for name, value in definition.get("properties", {}).items()
    }
    required = definition.get("required", [])
    if not isinstance(required, list):
        raise ValueError(f"required must be a list of names, not {required!r:.60}")
    return {"properties": properties, "required": [n for n in properties if n in required]}


def _is_optional(definition: JsonObject) -> bool:
    written = str(definition.get("type", "")).strip().lower()
    return written != _without_optional(written) or written.startswith("optional[")


def _without_optional(written: str) -> str:
    """Return a type as written less `, optional` and what follows it."""
    return re.split(r",\s*optional\b", written, maxsplit=1, flags=re.IGNORECASE)[0].strip()
