"""docs/settings.md, from the dataclasses: `python -m tests.settings_page` writes it."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from compositional.config import SECTIONS
from compositional.hypernetworks.data import HypernetworkData
from compositional.hypernetworks.settings import HypernetworkTraining
from compositional.meta_train import MetaTraining
from compositional.methods.registry import METHODS
from tests.flags_page import meanings, shown

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"
HEAD = """# Settings

Every setting of an experiment file, which `compositional run` takes as a flag as well:
`data: {test_size: 20}` in the file is `--data.test_size 20` on the command line. Beside the
sections below stand `experiment` (the folder of the results), `seed` (42) and `runs`: a mapping of
each run's name to what differs there. What a run was started with stands whole in
`results/<experiment>/<run>/config.yaml`.
"""
METHOD = """
## method

`method.name` says which; its other settings are those of that method and no others.
"""

HYPERNETWORK = """
## train-hypernetwork

Flags of `compositional train-hypernetwork FILE`, which takes the settings of `model` and `training`
as well (`training.batch_size` is 16 here), `--device`, and `--resume` to go on with a training that
was stopped.
"""

META_TRAIN = """
## meta-train

Flags of `compositional meta-train FILE`, which takes the settings of `model` and `method`, that of
dual_mlp, as well.
"""


def lines(kind: type, prefix: str) -> Iterator[str]:
    """A table's lines: setting, default, meaning; settings of settings by their dotted names."""
    words = meanings(kind)
    for field in dataclasses.fields(kind):
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if dataclasses.is_dataclass(default):
            yield from lines(type(default), f"{prefix}{field.name}.")
            continue
        value = "`lora`" if default is dataclasses.MISSING else shown(default)  # of a bound
        yield f"| `{prefix}{field.name}` | {value} | {words[field.name]} |"


def table(kind: type, prefix: str) -> str:
    """The table of one section or method."""
    head = ["| Setting | Default | Meaning |", "| --- | --- | --- |"]
    return "\n".join([*head, *lines(kind, prefix)])


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    parts += [f"\n## {name}\n\n{table(kind, f'{name}.')}\n" for name, kind in SECTIONS.items()]
    parts.append(METHOD)
    parts += [f"\n### {name}\n\n{_method(kind)}\n" for name, kind in METHODS.items()]
    parts.append(HYPERNETWORK)
    parts += [f"\n{table(kind, '--')}\n" for kind in (HypernetworkData, HypernetworkTraining)]
    parts += [META_TRAIN, f"\n{table(MetaTraining, '--')}\n"]
    return "".join(parts)


def _method(kind: type) -> str:
    return table(kind, "method.") if dataclasses.fields(kind) else "It has none of its own."


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
