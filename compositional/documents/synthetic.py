"""The synthetic suite: documents of invented facts that no model has seen, graded in size.

A document states facts on people, companies and towns, each in one sentence of a few templates.
Questions are direct (worded like the statements), paraphrased, reversed (the other side is asked
for), in two hops, or unanswerable. Training and test share no name and no template; what is no name
(goods, trades, dishes, collections, years) comes from one list for both.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import count, islice
from typing import Any

import numpy as np

from compositional.documents.names import SPLITS, TEST, Names
from compositional.documents.types import (
    DIRECT,
    PARAPHRASED,
    REVERSED,
    TWO_HOP,
    UNANSWERABLE,
    Question,
    QuestionedDocument,
)
from compositional.errors import check_at_least, check_choice
from compositional.streams import Streams
from compositional.tasks.types import Document

# In this order a person, a company and its town take up facts, so that four facts hold two hops.
RELATIONS = (
    "works_for",
    "based_in",
    "born_in",
    "river",
    "makes",
    "profession",
    "founded",
    "dish",
    "collects",
)
FIRST_YEAR, LAST_YEAR = 1500, 1999


@dataclass(frozen=True)
class Fact:
    """What one sentence of a document states.

    Attributes:
        relation: One of `RELATIONS`.
        subject: Whom or what it is about.
        object: The answer to a question about it.
    """

    relation: str
    subject: str
    object: str


def synthetic_documents(
    num_documents: int, num_facts: int, seed: int, split: str = TEST
) -> list[QuestionedDocument]:
    """Make documents with all questions that can be asked of them.

    Args:
        num_documents: How many.
        num_facts: Facts in each, 4 or more.
        seed: Of names, facts and wordings.
        split: `train` or `test`; the two have no name and no template in common.

    Raises:
        ConfigError: If a number is too small, or the split is unknown.
    """
    check_at_least("num_documents", num_documents, 1)
    return list(islice(endless_documents(num_facts, seed, split), num_documents))


def endless_documents(num_facts: int, seed: int, split: str = TEST) -> Iterator[QuestionedDocument]:
    """Yield the documents of `synthetic_documents` one after another, without end."""
    check_at_least("num_facts", num_facts, 4)
    check_choice("split", split, SPLITS)
    rng = Streams(seed).generator("synthetic documents", split, num_facts)
    names = Names(split, rng)
    for number in count(1):
        name = f"{split}-{num_facts}-{seed}-{number}"
        yield _document(name, num_facts, split, names, rng)


def _document(
    name: str, num_facts: int, split: str, names: Names, rng: np.random.Generator
) -> QuestionedDocument:
    draw = _values(rng)
    facts: list[Fact] = []
    while len(facts) < num_facts:
        facts += _facts(names, draw)[: num_facts - len(facts)]
    templates = _templates()[split]
    sentences = [
        _filled(_one_of(templates[fact.relation]["statements"], rng), fact) for fact in facts
    ]
    text = " ".join(sentences[place] for place in rng.permutation(len(sentences)))
    asked = [*_of_facts(facts, templates, rng), *_of_pairs(facts, templates, rng)]
    asked += _of_nothing(facts, templates, rng)
    questions = [
        Question(f"{name}-{number}", text, answers, kind)
        for number, (kind, text, answers) in enumerate(asked, start=1)
    ]
    return QuestionedDocument(Document(name, text), tuple(questions))


def _facts(names: Names, draw: Callable[[str], str]) -> list[Fact]:
    """Return the facts on one person, the employer and the employer's town."""
    person, company, town = names.person(), names.company(), names.town()
    objects = {
        "works_for": (person, company),
        "based_in": (company, town),
        "born_in": (person, names.town()),
        "river": (town, names.river()),
        "makes": (company, draw("makes")),
        "profession": (person, draw("profession")),
        "founded": (company, draw("founded")),
        "dish": (town, draw("dish")),
        "collects": (person, draw("collects")),
    }
    return [Fact(relation, *objects[relation]) for relation in RELATIONS]


Asked = tuple[str, str, tuple[str, ...]]


def _of_facts(facts: Sequence[Fact], templates: Any, rng: np.random.Generator) -> list[Asked]:
    """Return direct, paraphrased and reversed questions."""
    asked: list[Asked] = []
    for fact in facts:
        own = templates[fact.relation]
        for kind in (DIRECT, PARAPHRASED):
            asked.append((kind, _filled(_one_of(own[kind], rng), fact), (fact.object,)))
        if REVERSED in own:
            asked.append((REVERSED, _filled(_one_of(own[REVERSED], rng), fact), (fact.subject,)))
    return asked


def _of_pairs(facts: Sequence[Fact], templates: Any, rng: np.random.Generator) -> list[Asked]:
    """Return the questions whose answer takes two facts."""
    by_subject = {(fact.relation, fact.subject): fact for fact in facts}
    asked: list[Asked] = []
    for fact in facts:
        for pair, wordings in templates[TWO_HOP].items():
            first, second = pair.split()
            if fact.relation == first and (second, fact.object) in by_subject:
                answer = by_subject[second, fact.object].object
                asked.append((TWO_HOP, _filled(_one_of(wordings, rng), fact), (answer,)))
    return asked


def _of_nothing(facts: Sequence[Fact], templates: Any, rng: np.random.Generator) -> list[Asked]:
    """Return questions on what no fact states, about each subject."""
    kinds = {"works_for": "person", "based_in": "company", "river": "town"}
    return [
        (UNANSWERABLE, _filled(_one_of(templates[UNANSWERABLE][kinds[f.relation]], rng), f), ())
        for f in facts
        if f.relation in kinds
    ]


def _values(rng: np.random.Generator) -> Callable[[str], str]:
    """Return a function that draws values of a relation, no value twice before all were drawn."""
    lists: dict[str, list[str]] = {
        **_templates()["values"],
        "founded": [str(year) for year in range(FIRST_YEAR, LAST_YEAR + 1)],
    }
    left: dict[str, list[str]] = {}

    def draw(relation: str) -> str:
        if not left.get(relation):
            values = lists[relation]
            left[relation] = [values[place] for place in rng.permutation(len(values))]
        return left[relation].pop()

    return draw


def _filled(template: str, fact: Fact) -> str:
    """Return a template with a fact's sides in it, beginning with a capital letter."""
    text = template.format(s=fact.subject, o=fact.object)
    return text[0].upper() + text[1:]


def _one_of(texts: Sequence[str], rng: np.random.Generator) -> str:
    return texts[int(rng.integers(len(texts)))]


@cache
def _templates() -> Any:
    """Return the wordings by split and relation, and the values that are no names."""
    resource = files("compositional.documents").joinpath("synthetic_templates.json")
    return json.loads(resource.read_text(encoding="utf-8"))
