"""Across runs that differ in their seed or in the order of rounds alone."""

import re
from collections.abc import Iterable, Sequence

from compositional.files import canonical_json
from compositional.intervals import ENOUGH_SEEDS, Figure, paired_seed_figure, seed_figure
from compositional.report.figures import MethodFigures
from compositional.report.formats import Entry, Table, number
from compositional.report.labels import (
    FIGURES,
    NOT_MEASURED,
    NOT_SHOWN,
    SCORE_TITLES,
    capitalised,
)
from compositional.report.run_view import RunView
from compositional.tasks.data_config import PER_ROUND
from compositional.tasks.types import JsonObject

TOO_FEW_SEEDS = "too few seeds"
FIGURE_NAMES = ("average_accuracy", "backward_transfer", "forgetting", "diagonal_mean")
SEEDS_BRIEF = ("runs", "seeds", "average accuracy", "backward transfer", "spread over orders")
"""What of the table is printed."""

_OF_A_GRID = re.compile(r"(?P<name>.+?)(_order[\d-]+)?(_seed\d+)?$")
Group = dict[tuple[int, tuple[str, ...]], MethodFigures]
"""Runs of the same settings, by seed and order of rounds."""


def seed_groups(figures: Sequence[MethodFigures]) -> list[Group]:
    """Group runs of the same settings; those of one group differ in seed or order of rounds."""
    groups: dict[str, Group] = {}
    for method in figures:
        key = (method.run.seed, method.run.rounds)
        groups.setdefault(_settings(method.run), {})[key] = method
    return list(groups.values())


def groups_of_several(figures: Sequence[MethodFigures], score_name: str) -> list[Group]:
    """Return the groups of more than one run that have a score."""
    shown = [method for method in figures if score_name in method.summaries]
    return [group for group in seed_groups(shown) if len(group) > 1]


def _settings(run: RunView) -> str:
    ignored = ("data_dir", "training_rounds", *PER_ROUND)
    data = {key: value for key, value in run.settings["data"].items() if key not in ignored}
    rounds = sorted(_round_settings(run.settings["data"]))
    documents = {k: v for k, v in run.settings.get("documents", {}).items() if k != "order"}
    rest = [run.settings[section] for section in ("model", "training", "evaluation")]
    return canonical_json([run.settings["method"], rounds, data, documents, rest])


def _round_settings(data: JsonObject) -> list[str]:
    """Return what is said of each round, whatever its place in the order."""
    rounds = (data["training_rounds"] or "").split(",")
    lists = [data.get(name) or [None] for name in PER_ROUND]
    return [
        canonical_json([text, *(values[min(place, len(values) - 1)] for values in lists)])
        for place, text in enumerate(rounds)
    ]


def shared_keys(first: Group, second: Group) -> list[tuple[int, tuple[str, ...]]]:
    """Return the seeds and orders that both groups have run."""
    return sorted(first.keys() & second.keys())


def seeds_table(figures: Sequence[MethodFigures], score_name: str) -> Table | None:
    """Return means over seeds with t intervals; None where no method has several runs."""
    groups = groups_of_several(figures, score_name)
    if not groups:
        return None
    first = group_title(groups[0])
    heads = [FIGURES[name].title for name in FIGURE_NAMES]
    header = ["runs", "seeds", *heads, f"average accuracy minus {first}", "spread over orders"]
    notes = [
        "Means over seeds, each the mean of its orders of rounds; in brackets 95 % t intervals "
        f"over the seeds. The difference is paired with {first} by seed, over the seeds and orders "
        "that both have run. Spread: the largest minus the smallest mean of an order.",
    ]
    rows = [_row(group, groups[0], score_name) for group in groups]
    return Table(f"{capitalised(SCORE_TITLES[score_name])} across seeds", header, rows, notes)


def _row(group: Group, reference: Group, score_name: str) -> list[Entry]:
    seeds = _by_seed(group, score_name, "average_accuracy")
    orders = {order for _, order in group}
    num_wanted = len(seeds) * len(orders)
    lacking = [f"{len(group)} of {num_wanted} runs"] if len(group) < num_wanted else []
    difference: Entry = NOT_SHOWN
    if group is not reference:
        difference = paired_difference_over_seeds(group, reference, score_name)
    return [
        group_title(group),
        seeds_text(len(seeds), lacking),
        *(_over_seeds(_by_seed(group, score_name, name)) for name in FIGURE_NAMES),
        difference,
        _spread(group, score_name),
    ]


def seeds_text(num_seeds: int, further: Sequence[str]) -> str:
    """Return how many seeds a figure is the mean of, and whether they are too few.

    Args:
        num_seeds: Their number.
        further: What else is to be said of them.
    """
    few = [TOO_FEW_SEEDS] if num_seeds < ENOUGH_SEEDS else []
    return ", ".join([str(num_seeds), *further, *few])


def few_seeds_notes(numbers: Iterable[int], so: str) -> list[str]:
    """Return a note on too few seeds where a row of a table has so few.

    Args:
        numbers: How many seeds each row is of, one or more.
        so: What follows from it.
    """
    if min(numbers) >= ENOUGH_SEEDS:
        return []
    return [f"{capitalised(TOO_FEW_SEEDS)} (under {ENOUGH_SEEDS}): {so}"]


def paired_difference_over_seeds(first: Group, second: Group, score_name: str) -> Figure:
    """Return the mean difference over seeds with its t interval, from runs that both have."""
    shared = shared_keys(first, second)
    one, other = (
        _by_seed({key: group[key] for key in shared}, score_name, "average_accuracy")
        for group in (first, second)
    )
    pairs = [(a, other[seed]) for seed, a in one.items()]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return paired_seed_figure([a for a, _ in known], [b for _, b in known])


def name_in_grid(run: str) -> str:
    """Return what a grid calls the settings of a run: its name less order and seed."""
    match = _OF_A_GRID.match(run)
    return run if match is None else match["name"]


def group_title(group: Group) -> str:
    """Return what a group's runs are called: as a grid names them, less seed and order."""
    names = [method.run.name for method in group.values()]
    found = {name_in_grid(name) for name in names}
    if len(names) > 1 and len(found) == 1:
        return found.pop()
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def _value(method: MethodFigures, score_name: str, figure_name: str) -> float | None:
    return method.summaries[score_name].figures[figure_name].value


def _means(values: dict[int, list[float | None]]) -> dict[int, float | None]:
    means: dict[int, float | None] = {}
    for key, listed in values.items():
        known = [value for value in listed if value is not None]
        means[key] = sum(known) / len(known) if len(known) == len(listed) else None
    return means


def _by_seed(group: Group, score_name: str, figure_name: str) -> dict[int, float | None]:
    """Return a figure of each seed, the mean over its orders; None where one lacks it."""
    values: dict[int, list[float | None]] = {}
    for (seed, _), method in group.items():
        values.setdefault(seed, []).append(_value(method, score_name, figure_name))
    return _means(values)


def _over_seeds(values: dict[int, float | None]) -> Figure:
    """Return the mean over seeds; not measured where one of them lacks the figure."""
    known = [value for value in values.values() if value is not None]
    return seed_figure(known) if len(known) == len(values) else Figure(None, None)


def _spread(group: Group, score_name: str) -> str:
    """Return how far the means of the orders of rounds lie apart."""
    orders = sorted({order for _, order in group})
    values: dict[int, list[float | None]] = {}
    for (_, order), method in group.items():
        value = _value(method, score_name, "average_accuracy")
        values.setdefault(orders.index(order), []).append(value)
    means = [value for value in _means(values).values() if value is not None]
    return number(max(means) - min(means)) if len(means) == len(orders) > 1 else NOT_MEASURED
