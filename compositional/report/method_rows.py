"""Rows of tables with a row a method: the runs that each is of, over how many orders of rounds."""

from collections.abc import Sequence
from dataclasses import dataclass

from compositional.report.figures import MethodFigures
from compositional.report.run_view import RunView
from compositional.report.seeds import Group, group_title, name_in_grid, seed_groups
from compositional.report.terminal import TOLD


@dataclass(frozen=True)
class MethodRow:
    """The runs of one method, which differ in their seed or in the order of rounds alone.

    Attributes:
        title: What the row is called.
        group: The runs.
        num_known: Orders that any method has run of the same rounds.
    """

    title: str
    group: Group
    num_known: int

    @property
    def runs(self) -> list[RunView]:
        """The runs."""
        return [method.run for method in self.group.values()]

    @property
    def num_orders(self) -> int:
        """Orders of rounds that it has run."""
        return len({order for _, order in self.group})

    @property
    def orders(self) -> str:
        """How many orders it has run, of how many where others have more; its seeds if several."""
        is_whole = self.num_orders == self.num_known
        text = str(self.num_orders) if is_whole else f"{self.num_orders} of {self.num_known}"
        num_seeds = len({seed for seed, _ in self.group})
        if num_seeds == 1:
            return text
        is_whole = len(self.group) == num_seeds * self.num_orders
        return f"{text}, {num_seeds} seeds" + ("" if is_whole else f", {len(self.group)} runs")


def method_rows(figures: Sequence[MethodFigures]) -> list[MethodRow]:
    """Return a row a method, in the order of the runs."""
    groups = seed_groups(figures)
    names = [{name_in_grid(method.run.name) for method in group.values()} for group in groups]
    short = [own.pop() if len(own) == 1 else "" for own in names]
    titles = [
        name if name and short.count(name) == 1 else group_title(group)
        for name, group in zip(short, groups, strict=True)
    ]
    return [
        MethodRow(title, group, len(_known_orders(group, groups)))
        for title, group in zip(titles, groups, strict=True)
    ]


def _known_orders(group: Group, groups: Sequence[Group]) -> set[tuple[str, ...]]:
    """Return the orders in which any group has run a group's rounds."""
    rounds = {tuple(sorted(order)) for _, order in group}
    return {order for other in groups for _, order in other if tuple(sorted(order)) in rounds}


def notes_on_rows(rows: Sequence[MethodRow]) -> list[str]:
    """Return what must be said of some rows: which have fewer orders, and which are told more."""
    notes = []
    if fewer := [row.title for row in rows if row.num_orders < row.num_known]:
        notes.append(f"Of fewer orders than others, over which means may differ: {_listed(fewer)}.")
    for part in TOLD:
        if told := [row.title for row in rows if part in row.runs[0].sees]:
            notes.append(f"Told the {part} of each question: {_listed(told)}.")
    return notes


def _listed(titles: Sequence[str]) -> str:
    return ", ".join(titles)
