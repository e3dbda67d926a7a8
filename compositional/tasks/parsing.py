"""From a model's text to calls, by rules that are the same for every method.

A text answer holds one JSON object a call and line; code fences and an enclosing list are taken
off. A line that begins with `{` is a call and must be whole; other lines are ignored. If one call
does not parse, the whole example counts as unparsed. An answer of memory tokens is cut at its
rows by the caller; what follows a row goes through `parse_arguments`.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from compositional.tasks.types import Call, JsonObject

MAX_DEPTH = 64
"""Deepest nesting of arrays and objects that is read; what lies deeper does not parse."""

_FENCE_START = re.compile(r"^[ \t]*(?:```|~~~)[\w+-]*[ \t]*", re.MULTILINE)
_FENCE_END = re.compile(r"[ \t]*(?:```|~~~)[ \t]*$", re.MULTILINE)
_LIST_START = re.compile(r"\[\s*(?=\{)")
_ELEMENT_END = re.compile(r"\s*(?:,|\]|$)")
_MEMBER = re.compile(r'\s*[{,]\s*("(?:[^"\\]|\\.)*")\s*:\s*')
_BLANKS = " \t\r\n"


@dataclass(frozen=True)
class ParsedCalls:
    """What a text answer says.

    Attributes:
        calls: Its calls in order; `()` where it makes none, None where one does not parse.
        tools: The names that could be read, also of calls whose arguments do not parse.
        parts: Where `calls` is None: each call that was begun, None for one that does not parse.
    """

    calls: tuple[Call, ...] | None
    tools: tuple[str, ...]
    parts: tuple[Call | None, ...]


def parse_text_calls(text: str) -> ParsedCalls:
    """Read the calls in a text answer.

    Numbers that are not finite, a key that stands twice in an object, and escapes that are no
    Unicode make a call unparsed; so does the token limit where it cuts a call off.

    Args:
        text: The answer, without its end token.
    """
    texts = _call_texts(text)
    parts = tuple(_parse_call(call_text) for call_text in texts)
    names = [
        part.name if part is not None else _readable_name(call_text)
        for part, call_text in zip(parts, texts, strict=True)
    ]
    whole = tuple(part for part in parts if part is not None)
    is_unparsed = len(whole) < len(parts)
    return ParsedCalls(
        calls=None if is_unparsed else whole,
        tools=tuple(name for name in names if name is not None),
        parts=parts if is_unparsed else (),
    )


def parse_arguments(text: str) -> JsonObject | None:
    """Read one JSON object, outer blanks aside; None where the text is anything else."""
    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            object_pairs_hook=_object_of_distinct_keys,
        )
        text.encode()
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _is_shallow(value) else None


def _parse_call(text: str) -> Call | None:
    value = parse_arguments(text)
    if value is None:
        return None
    name, arguments = value.get("name"), value.get("arguments")
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    return Call(name, arguments)


def _call_texts(text: str) -> list[str]:
    """Split an answer into the texts of its calls, each beginning with `{`."""
    rest = _FENCE_END.sub("", _FENCE_START.sub("", text))
    texts: list[str] = []
    in_list = False
    while rest := rest.lstrip(_BLANKS + "," if in_list else _BLANKS):
        if not in_list and (start := _LIST_START.match(rest)):
            in_list, rest = True, rest[start.end() :]
        elif in_list and rest.startswith("]"):
            in_list, rest = False, rest[1:]
        elif in_list and (end := _element_end(rest)):
            texts.append(rest[:end])
            rest = rest[end:]
        else:
            line, _, rest = rest.partition("\n")
            if line.startswith("{"):
                texts.append(line.strip())
    return texts


def _element_end(text: str) -> int | None:
    """Return where the object at the start of a text ends, if a list could go on after it."""
    if not text.startswith("{"):
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return end if _ELEMENT_END.match(text, end) else None


def _readable_name(text: str) -> str | None:
    """Return the first `name` among an object's members before the place where it breaks."""
    decoder = json.JSONDecoder()
    position = 0
    while found := _MEMBER.match(text, position):
        try:
            key = json.loads(found[1])
            value, position = decoder.raw_decode(text, found.end())
        except (ValueError, RecursionError):
            return None
        if key == "name":
            return value if isinstance(value, str) and _is_unicode(value) else None
    return None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def _object_of_distinct_keys(pairs: list[tuple[str, Any]]) -> JsonObject:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands twice")
    return value


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            member
            for item in level
            for member in (item.values() if isinstance(item, dict) else item)
            if isinstance(member, dict | list)
        ]
        if not level:
            return True
    return False
