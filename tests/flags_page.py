"""What docs/flags.md has to say of the entry points' flags, from their dataclasses."""

import dataclasses
import re
from pathlib import Path
from typing import Any

from compositional.cli.entry_points import CommonFlags
from compositional.icl_baseline import IclBaselineFlags
from compositional.lora_sequential import LoraSequentialFlags
from compositional.main_sequential import MainSequentialFlags
from compositional.xlam_datasets import XlamDatasetsFlags

PAGE = Path(__file__).parent.parent / "docs" / "flags.md"
COMMON = [field.name for field in dataclasses.fields(CommonFlags)]
SECTIONS: dict[str, type] = {
    "Flags of all three": CommonFlags,
    "`main_sequential`": MainSequentialFlags,
    "`lora_sequential`": LoraSequentialFlags,
    "`icl_baseline`": IclBaselineFlags,
    "`xlam_datasets`": XlamDatasetsFlags,
}


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of a table: a flag, its default here and in the seed, what it means."""

    flag: str
    ours: str
    seeds: str
    meaning: str


def own_flags(kind: type) -> list[dataclasses.Field[Any]]:
    """The flags that stand in a class's own table."""
    fields = dataclasses.fields(kind)
    is_further = kind is not CommonFlags and issubclass(kind, CommonFlags)
    return [f for f in fields if not (is_further and f.name in COMMON)]


def meanings(kind: type) -> dict[str, str]:
    """What the docstring says of each flag."""
    text = (kind.__doc__ or "").partition("Attributes:\n")[2]
    parts = re.split(r"^ {8}(\w+): ", text, flags=re.MULTILINE)[1:]
    return {name: " ".join(words.split()) for name, words in zip(parts[::2], parts[1::2])}  # noqa: B905


def shown(default: Any) -> str:
    """A default as a user writes it."""
    if default in (None, "", ()):
        return "none"
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"`{','.join(map(str, default))}`" if isinstance(default, tuple) else f"`{default}`"


def expected(kind: type) -> list[tuple[str, str, str]]:
    """Flag, default and meaning of each line of a class's table."""
    words = meanings(kind)
    return [(f.name, shown(f.default), words[f.name]) for f in own_flags(kind)]


def tables() -> dict[str, list[Row]]:
    """The tables of the page, by the heading that they stand under."""
    found: dict[str, list[Row]] = {}
    heading = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif line.startswith("| `--"):
            flag, *rest = (cell.strip() for cell in line.strip("|").split(" | "))
            found.setdefault(heading, []).append(Row(flag.strip("`-"), *rest))
    return found
