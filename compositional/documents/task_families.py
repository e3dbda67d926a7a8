"""Tasks that a description sets: what a hypernetwork in text mode is trained and asked on.

Six families, each a rule with one or two label words in it, so that there are thousands of tasks
and none can be done without its description. Label words and wordings of training and test are
apart.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from compositional.documents.names import SPLITS, split_of
from compositional.documents.types import Question, QuestionedDocument
from compositional.errors import ConfigError, check_at_least, check_choice
from compositional.streams import Streams
from compositional.tasks.types import Document

FAMILIES = ("reply", "kind", "parity", "append", "prepend", "size")
LARGEST = 100
MOST_INPUTS = 40


def described_tasks(
    count: int, inputs: int, seed: int, split: str, wordings: str | None = None
) -> list[QuestionedDocument]:
    """Return tasks: a document is a description, its questions are inputs with what is right.

    Args:
        count: How many tasks, the families in turn.
        inputs: Inputs of each, none of them twice; 40 at the most.
        seed: Of labels, wordings and inputs.
        split: `train` or `test`: whose label words.
        wordings: `train` or `test`: whose wordings; None for those of the split.

    Raises:
        ConfigError: If a number cannot be, or a split is unknown.
    """
    check_at_least("count", count, 1)
    if not 1 <= inputs <= MOST_INPUTS:
        raise ConfigError(f"inputs is {inputs}; it must be from 1 to {MOST_INPUTS}")
    for part in (split, wordings or split):
        check_choice("split", part, SPLITS)
    rng = Streams(seed).generator("described tasks", split)
    labels = [word for word in _words()["labels"] if split_of(word) == split]
    found = []
    for number in range(count):
        family = FAMILIES[number % len(FAMILIES)]
        texts = _words()[wordings or split][family]
        first, second = (labels[place] for place in rng.permutation(len(labels))[:2])
        text = texts[int(rng.integers(len(texts)))].format(a=first, b=second)
        name = f"task-{split}-{seed}-{number + 1}"
        asked = [
            Question(f"{name}-{place}", given, (_answer(family, given, first, second),))
            for place, given in enumerate(_inputs(family, inputs, rng), start=1)
        ]
        found.append(QuestionedDocument(Document(name, text), tuple(asked)))
    return found


def _inputs(family: str, count: int, rng: np.random.Generator) -> list[str]:
    """Draw inputs of a family: numbers, or animals and tools in turn."""
    words = _words()
    if family in ("parity", "size"):
        return [str(int(number)) for number in rng.permutation(LARGEST)[:count]]
    either = [rng.permutation(words[kind]).tolist() for kind in ("animals", "tools")]
    return [str(either[place % 2][place // 2]) for place in range(count)]


def _answer(family: str, given: str, first: str, second: str) -> str:
    """Return what is right."""
    if family == "append":
        return f"{given} {first}"
    if family == "prepend":
        return f"{first} {given}"
    if family == "kind":
        return first if given in _words()["animals"] else second
    if family == "parity":
        return first if int(given) % 2 == 0 else second
    if family == "size":
        return first if int(given) < LARGEST // 2 else second
    return first


@cache
def _words() -> Any:
    """Return wordings by part and family, and the words."""
    resource = files("compositional.documents").joinpath("task_templates.json")
    return json.loads(resource.read_text(encoding="utf-8"))
