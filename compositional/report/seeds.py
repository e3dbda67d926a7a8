"""Across runs that differ in their seed or in the order of rounds alone."""

from collections.abc import Sequence

from compositional.files import canonical_json
from compositional.intervals import ENOUGH_SEEDS, Figure, paired_seed_figure, seed_figure
from compositional.report.figures import MethodFigures
from compositional.report.formats import Entry, Table, number
from compositional.report.labels import FIGURES, NOT_MEASURED, SCORE_TITLES
from compositional.report.loading import RunView

_PER_SEED_DATA = ("data_dir", "data_seed", "training_rounds")

Key = tuple[int, tuple[str, ...]]
"""Seed and order of rounds."""


def seed_groups(figures: Sequence[MethodFigures]) -> list[dict[Key, MethodFigures]]:
    """Group runs of the same settings; those of one group differ in seed or order of rounds."""
    groups: dict[str, dict[Key, MethodFigures]] = {}
    for method in figures:
        key = (method.run.seed, method.run.rounds)
        groups.setdefault(_settings(method.run), {})[key] = method
    return list(groups.values())


def _settings(run: RunView) -> str:
    data = {k: v for k, v in run.config["data"].items() if k not in _PER_SEED_DATA}
    rounds = sorted(run.rounds)
    rest = [run.config[section] for section in ("model", "training", "evaluation")]
    return canonical_json([run.method, rounds, data, rest])


def seeds_table(figures: Sequence[MethodFigures], score_name: str) -> Table | None:
    """Return means over seeds with t intervals; None where no method has several runs."""
    shown = [method for method in figures if score_name in method.summaries]
    groups = [group for group in seed_groups(shown) if len(group) > 1]
    if not groups:
        return None
    reference = groups[0]
    rows = [_row(group, reference, score_name) for group in groups]
    title = f"{SCORE_TITLES[score_name].capitalize()} across seeds"
    first = _title(reference)
    header = [
        "runs", "runs in the mean", *(FIGURES[name].title for name in _NAMES),
        f"average accuracy minus {first}", "spread over orders",
    ]  # fmt: skip
    notes = [
        "Means over runs; in brackets 95 % t intervals over their figures. The difference is "
        f"paired with {first} by seed and order of rounds. Spread: largest minus smallest mean of "
        "an order of rounds."
    ]
    return Table(title, header, rows, notes)


_NAMES = ("average_accuracy", "backward_transfer", "forgetting", "diagonal_mean")


def _row(
    group: dict[Key, MethodFigures], reference: dict[Key, MethodFigures], score_name: str
) -> list[Entry]:
    words = f"{len(group)}, too few seeds" if len(_seeds(group)) < ENOUGH_SEEDS else len(group)
    over_seeds = [_mean([_value(m, score_name, name) for m in group.values()]) for name in _NAMES]
    shared = [key for key in group if key in reference]
    pairs = [
        [_value(side[key], score_name, "average_accuracy") for key in shared]
        for side in (group, reference)
    ]
    first, second = ([v for v in side if v is not None] for side in pairs)
    is_paired = group is not reference and len(first) == len(second) == len(shared)
    difference = paired_seed_figure(first, second) if is_paired else Figure(None, None)
    between: Entry = "–" if group is reference else difference
    return [_title(group), words, *over_seeds, between, _spread(group, score_name)]


def _seeds(group: dict[Key, MethodFigures]) -> set[int]:
    return {seed for seed, _ in group}


def _title(group: dict[Key, MethodFigures]) -> str:
    names = [method.run.name for method in group.values()]
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def _value(method: MethodFigures, score_name: str, figure_name: str) -> float | None:
    return method.summaries[score_name].figures[figure_name].value


def _mean(values: Sequence[float | None]) -> Figure:
    """Return the mean over runs; not measured where one of them lacks the figure."""
    measured = [value for value in values if value is not None]
    return seed_figure(measured) if len(measured) == len(values) else Figure(None, None)


def _spread(group: dict[Key, MethodFigures], score_name: str) -> str:
    """Return how far the means of the orders of rounds lie apart."""
    orders: dict[tuple[str, ...], list[float]] = {}
    for (_, order), method in group.items():
        value = _value(method, score_name, "average_accuracy")
        if value is None:
            return NOT_MEASURED
        orders.setdefault(order, []).append(value)
    means = [sum(values) / len(values) for values in orders.values()]
    return number(max(means) - min(means)) if len(means) > 1 else NOT_MEASURED
