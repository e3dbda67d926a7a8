"""A playbook: entries with ids and counters, as its readers see it.

Zhang et al. 2025 (arXiv 2510.04618), section 3. A playbook is never changed in place: every step
returns another one, so that whoever fails has changed nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from jsonschema import Draft202012Validator

from compositional.errors import ResultsError

SECTIONS = ("facts", "strategies", "mistakes")
HELPFUL, HARMFUL, NEUTRAL = "helpful", "harmful", "neutral"
TAGS = (HELPFUL, HARMFUL, NEUTRAL)
ID_PATTERN = r"^str-[0-9]{5,}$"

_TEXT = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 0}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "next_number": {"type": "integer", "minimum": 1},
        "entries": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string", "pattern": ID_PATTERN},
                    "section": {"enum": list(SECTIONS)},
                    "text": _TEXT,
                    "sources": {"type": "array", "items": _TEXT, "minItems": 1},
                    HELPFUL: _COUNT,
                    HARMFUL: _COUNT,
                },
                "required": ["id", "section", "text", "sources", HELPFUL, HARMFUL],
                "additionalProperties": False,
            },
        },
    },
    "required": ["next_number", "entries"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Entry:
    """One strategy.

    Attributes:
        id: `str-00001` and so on; never given twice.
        section: One of `SECTIONS`.
        text: One line.
        sources: Names of the documents that it comes from, in order, one or more.
        helpful: How often it was said to help.
        harmful: How often it was said to harm.
    """

    id: str
    section: str
    text: str
    sources: tuple[str, ...]
    helpful: int = 0
    harmful: int = 0

    @property
    def score(self) -> int:
        """How much more often it helped than it harmed."""
        return self.helpful - self.harmful

    @property
    def number(self) -> int:
        """The number in its id; the lower, the older."""
        return int(self.id.rpartition("-")[2])

    @property
    def line(self) -> str:
        """The entry as its readers see it."""
        return f"[{self.id}] helpful={self.helpful} harmful={self.harmful} :: {self.text}"


@dataclass(frozen=True)
class Playbook:
    """Entries, oldest first.

    Attributes:
        entries: With ids of their own.
        next_number: Of the next entry's id.
    """

    entries: tuple[Entry, ...] = ()
    next_number: int = 1

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all entries, oldest first."""
        return tuple(entry.id for entry in self.entries)

    def render(self) -> str:
        """Return the playbook as text: ids, counters and texts by section; empty without any."""
        parts = []
        for section in SECTIONS:
            lines = [entry.line for entry in self.entries if entry.section == section]
            if lines:
                parts.append("\n".join([f"## {section}", *lines]))
        return "\n".join(parts)

    def get(self, entry_id: str) -> Entry | None:
        """Return the entry with an id, or None."""
        return next((entry for entry in self.entries if entry.id == entry_id), None)

    def add(self, section: str, text: str, sources: Iterable[str]) -> "Playbook":
        """Return the playbook with a further entry, under the next id."""
        entry = Entry(f"str-{self.next_number:05d}", section, text, tuple(sources))
        return Playbook((*self.entries, entry), self.next_number + 1)

    def put(self, entry: Entry) -> "Playbook":
        """Return the playbook with an entry in the place of the one that has its id."""
        return replace(self, entries=tuple(entry if e.id == entry.id else e for e in self.entries))

    def without(self, ids: Iterable[str]) -> "Playbook":
        """Return the playbook without some entries; their ids are not given again."""
        gone = set(ids)
        return replace(self, entries=tuple(e for e in self.entries if e.id not in gone))

    def count(self, tags: Iterable[tuple[str, str]]) -> "Playbook":
        """Return the playbook with tags counted.

        Args:
            tags: Pairs of an id and one of `TAGS`; unknown ids and `neutral` count nothing.
        """
        playbook = self
        for entry_id, tag in tags:
            entry = playbook.get(entry_id)
            if entry is not None and tag == HELPFUL:
                playbook = playbook.put(replace(entry, helpful=entry.helpful + 1))
            elif entry is not None and tag == HARMFUL:
                playbook = playbook.put(replace(entry, harmful=entry.harmful + 1))
        return playbook

    def to_json(self) -> dict[str, Any]:
        """Return the playbook as JSON values that `from_json` takes."""
        entries = [{**vars(entry), "sources": list(entry.sources)} for entry in self.entries]
        return {"next_number": self.next_number, "entries": entries}

    @classmethod
    def from_json(cls, value: Any) -> "Playbook":
        """Return the playbook that JSON values say.

        Raises:
            ResultsError: If they are no playbook, or two entries share an id.
        """
        wrong = next(Draft202012Validator(SCHEMA).iter_errors(value), None)
        if wrong is not None:
            raise ResultsError(f"no playbook: {wrong.json_path}: {wrong.message:.120}")
        entries = tuple(
            Entry(**{**entry, "sources": tuple(entry["sources"])}) for entry in value["entries"]
        )
        ids = [entry.id for entry in entries]
        if len(set(ids)) < len(ids):
            raise ResultsError("no playbook: two entries share an id")
        if any(entry.number >= value["next_number"] for entry in entries):
            raise ResultsError(
                f"no playbook: next_number {value['next_number']} is not above every entry's number"
            )
        return cls(entries, value["next_number"])


def one_line(text: str) -> str:
    """Return a text with every run of blanks and line breaks as one blank."""
    return " ".join(text.split())
