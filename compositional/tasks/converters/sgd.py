"""SGD, the Schema-Guided Dialogue data of Rastogi et al. 2020 (AAAI): service calls become rows.

Read are the files `dialogues_*.json`, each with the `schema.json` beside it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compositional.errors import DataError
from compositional.files import canonical_json, read_json
from compositional.tasks.converters.conversion import Conversion, numbered, xlam_row
from compositional.tasks.types import JsonObject

_MAX_USER_TURNS = 4
_NEVER_SPOKEN = ("True", "False", "dontcare")
_TOO_LONG = f"with more than {_MAX_USER_TURNS} user turns"
_NO_PARAMETERS = "without parameters"
_UNSAID = "with a value that the query does not hold"
_DUPLICATE = "that stand twice"


def convert_sgd(folder: Path) -> Conversion:
    """Convert the dialogues below a folder: one row a service call, in the order of tools.

    Turns are gathered from the start of a dialogue, or from the turn after the previous call, up
    to the system turn that calls. The query is what the user said in them. Each value is replaced
    by how it was said. Kept are calls with at most four user turns, at least one parameter, and
    every value within the query, case aside; a row that stands twice is kept once.

    Raises:
        DataError: If no such files are there, or one is not laid out so.
    """
    files = sorted(folder.rglob("dialogues_*.json"))
    if not files:
        raise DataError(
            f"{folder}: no dialogues_*.json below it; give the folder of a clone of "
            "dstc8-schema-guided-dialogue, or one of its splits"
        )
    left_out = dict.fromkeys([_TOO_LONG, _NO_PARAMETERS, _UNSAID, _DUPLICATE], 0)
    rows: dict[str, tuple[str, JsonObject]] = {}
    for path in files:
        for name, row, reason in _calls(path):
            key = canonical_json(row)
            if reason is not None or key in rows:
                left_out[reason or _DUPLICATE] += 1
            else:
                rows[key] = (name, row)
    ordered = [row for _, row in sorted(rows.values(), key=lambda pair: pair[0])]
    return Conversion(numbered(ordered), left_out)


def _calls(path: Path) -> Iterator[tuple[str, JsonObject, str | None]]:
    """Yield for each call of a file the tool's name, the row, and why it is left out if it is."""
    tools = _tools(path.with_name("schema.json"))
    dialogues: Any = read_json(path)
    try:
        for dialogue in dialogues:
            for service, call, turns, spoken in _moments(dialogue["turns"]):
                name = f"{service}_{call['method']}"
                said = " ".join(turn["utterance"] for turn in turns)
                queries = [turn["utterance"] for turn in turns if turn["speaker"] == "USER"]
                query = " ".join(queries)
                arguments = {
                    slot: _as_said(value, spoken[slot], said)
                    for slot, value in call["parameters"].items()
                }
                row = xlam_row(
                    query, {"name": name, "arguments": arguments}, tools[name], service=service
                )
                yield name, row, _reason(len(queries), query, arguments)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: not dialogues as SGD lays them out, or of another schema.json ({error!r})"
        ) from error


def _reason(num_user_turns: int, query: str, arguments: dict[str, str]) -> str | None:
    if num_user_turns > _MAX_USER_TURNS:
        return _TOO_LONG
    if not arguments:
        return _NO_PARAMETERS
    if any(value.lower() not in query.lower() for value in arguments.values()):
        return _UNSAID
    return None


# What was said for a slot: the call's value in the schema's spelling (None: whichever), and how.
_Spoken = dict[str, list[tuple[str | None, str]]]


def _moments(
    turns: list[JsonObject],
) -> Iterator[tuple[str, JsonObject, list[JsonObject], _Spoken]]:
    """Yield each call's service, the call, the turns gathered for it, and what was said so far."""
    spoken: dict[str, _Spoken] = defaultdict(lambda: defaultdict(list))
    start = 0
    for index, turn in enumerate(turns):
        for frame in turn["frames"]:
            slots = spoken[frame["service"]]
            for action in frame["actions"]:
                pairs = zip(action["canonical_values"], action["values"], strict=False)
                slots[action["slot"]].extend(pairs)
            for slot, values in frame.get("state", {}).get("slot_values", {}).items():
                slots[slot].extend((None, value) for value in values)
        calling = [frame for frame in turn["frames"] if "service_call" in frame]
        for frame in calling:
            service = frame["service"]
            yield service, frame["service_call"], turns[start:index], spoken[service]
        if calling:
            start = index + 1


def _as_said(value: str, spoken: list[tuple[str | None, str]], said: str) -> str:
    """Return the longest way in which a value was said, or the value where none stands in `said`.

    Of spellings that differ in case alone, the last one counts, beside the value itself; between
    ways of one length it is the last by sorting.
    """
    if value in _NEVER_SPOKEN:
        return value
    ways = {way.lower(): way for canonical, way in spoken if canonical in (None, value)}
    standing = [
        way
        for way in (value, *ways.values())
        if re.search(rf"(?<!\w){re.escape(way)}(?!\w)", said, re.IGNORECASE)
    ]
    return max(standing, key=lambda way: (len(way), way), default=value)


def _tools(path: Path) -> dict[str, JsonObject]:
    """Return the tools of a schema file by name: each service's intents, their slots as strings."""
    services: Any = read_json(path)
    tools: dict[str, JsonObject] = {}
    try:
        for service in services:
            descriptions = {slot["name"]: slot["description"] for slot in service["slots"]}
            for intent in service["intents"]:
                name = f"{service['service_name']}_{intent['name']}"
                types = dict.fromkeys(intent["required_slots"], "str")
                types |= dict.fromkeys(intent["optional_slots"], "str, optional")
                parameters = {
                    slot: {"description": descriptions[slot], "type": type_}
                    for slot, type_ in types.items()
                }
                tools[name] = {
                    "name": name,
                    "description": intent["description"],
                    "parameters": parameters,
                }
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: not a schema as SGD lays it out ({error!r})") from error
    return tools
