"""HWU64, the home-domain data of Liu et al. 2019 (IWSDS): intents become tools.

Read are the Rasa files of the cross-validation folds, `RasaNlu*.json` in folders `merged` and
`mergedTestset`. Each fold holds every utterance in one of the two, so one fold is enough and
ten give the same rows.
"""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from compositional.errors import DataError
from compositional.files import read_json
from compositional.tasks.converters.conversion import Conversion, numbered, xlam_row
from compositional.tasks.types import JsonObject

_FOLDERS = ("merged", "mergedTestset")
_SMALL_TALK = "general_"


def convert_hwu64(folder: Path) -> Conversion:
    """Convert the utterances below a folder.

    An intent is a tool, and each annotated entity an argument whose value is the span as it
    stands in the text; an entity that occurs more than once is a list, in order. There is one row
    for each intent and text, sorted by them; the `general_` intents (small talk) give none. A
    tool's parameters are the entities of its rows, the most frequent first, none required. The
    source has no descriptions: names with blanks for underscores stand in.

    Raises:
        DataError: If no such files are there, or one is not laid out so.
    """
    files = sorted(path for name in _FOLDERS for path in folder.rglob(f"{name}/RasaNlu*.json"))
    if not files:
        raise DataError(
            f"{folder}: no {' or '.join(f'{name}/RasaNlu*.json' for name in _FOLDERS)} below it; "
            "give the folder of a clone of NLU-Evaluation-Data"
        )
    utterances: dict[tuple[str, str], list[tuple[str, str]]] = {}
    small_talk, ambiguous = set(), set()
    for path in files:
        for intent, text, entities in _examples(path):
            key = (intent, text)
            if intent.startswith(_SMALL_TALK):
                small_talk.add(key)
            elif utterances.setdefault(key, entities) != entities:
                ambiguous.add(key)
    tools = _tools(utterances)
    rows = [
        xlam_row(text, {"name": intent, "arguments": _arguments(entities)}, tools[intent])
        for (intent, text), entities in sorted(utterances.items())
        if (intent, text) not in ambiguous
    ]
    return Conversion(
        numbered(rows),
        {"of small talk": len(small_talk), "annotated in two ways": len(ambiguous)},
    )


def _examples(path: Path) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return intent, text and (entity, span) pairs of each example of a file."""
    content: Any = read_json(path)
    try:
        return [
            (
                example["intent"],
                example["text"],
                [
                    (entity["entity"], example["text"][entity["start"] : entity["end"]])
                    for entity in example["entities"]
                ],
            )
            for example in content["rasa_nlu_data"]["common_examples"]
        ]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path}: not a Rasa file as NLU-Evaluation-Data lays it out ({error!r})"
        ) from error


def _tools(utterances: dict[tuple[str, str], list[tuple[str, str]]]) -> dict[str, JsonObject]:
    """Return the tool of each intent; parameters equally frequent stand as they first occur."""
    frequencies: dict[str, Counter[str]] = defaultdict(Counter)
    for (intent, _), entities in sorted(utterances.items()):
        frequencies[intent].update(entity for entity, _ in entities)
    return {
        intent: {
            "name": intent,
            "description": intent.replace("_", " "),
            "parameters": {
                entity: {"description": entity.replace("_", " "), "type": "str, optional"}
                for entity, _ in frequency.most_common()
            },
        }
        for intent, frequency in frequencies.items()
    }


def _arguments(entities: list[tuple[str, str]]) -> dict[str, str | list[str]]:
    spans: dict[str, list[str]] = {}
    for entity, span in entities:
        spans.setdefault(entity, []).append(span)
    return {entity: span[0] if len(span) == 1 else span for entity, span in spans.items()}
