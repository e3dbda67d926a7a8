"""The page of what sparse memory keeps by selection: figures from kept losses alone."""

from collections.abc import Callable
from statistics import fmean
from typing import Any

from compositional.intervals import Figure, paired_seed_figure, seed_figure
from compositional.methods.slot_selection import SELECTIONS, TF_IDF
from compositional.report.formats import Entry, Table, markdown

Sequenced = dict[str, Any]


def kept_share(sequence: Sequenced) -> float:
    """Return what is kept of what was learned, the mean over all documents but the last.

    Of a document (untouched - now) / (untouched - learned), all mean losses a token: 1 where
    nothing was lost since its lesson, 0 where all was.
    """
    losses = zip(sequence["untouched"], sequence["learned"], sequence["now"], strict=True)
    return fmean([(before - now) / (before - learned) for before, learned, now in losses][:-1])


def plain_cost(sequence: Sequenced) -> float:
    """Return by how many nats a token plain texts have become less likely."""
    return float(sequence["plain_after"] - sequence["plain_before"])


def page(kept: dict[str, Any]) -> str:
    """Return the page in Markdown.

    Args:
        kept: What `measure_retention` keeps.
    """
    kinds = list(dict.fromkeys(name.split()[0] for name in kept["rates"]))
    tables = [_table(kind, kept) for kind in kinds]
    plan = kept["plan"]
    return (
        "# What sparse memory keeps, by how its slots are selected\n\n"
        f"{plan['num_documents']} synthetic documents of {plan['num_facts']} facts are learned one "
        f"after another, each until its loss is {plan['loss_share']:g} of the untouched model's. "
        f"Each may move {plan['config']['num_slots']} slots; `all` may move all.\n\n"
        f"{markdown(tables)}\n{kept['machine']}.\n"
    )


def _table(kind: str, kept: dict[str, Any]) -> Table:
    chosen = [s for s in kept["sequences"] if s["slots"] == kind]
    by_selection = {
        name: {s["seed"]: s for s in chosen if s["selection"] == name} for name in SELECTIONS
    }
    rows: list[list[Entry]] = []
    for name, own in by_selection.items():
        rate = kept["rates"].get(f"{kind} {name}")
        if own:
            rows.append([name, *_cells(rate, own, by_selection[TF_IDF])])
    header = [
        "selection", "rate", "steps", "learned to", "kept", "TF-IDF keeps more by",
        "plain texts, nats lost", "more than by TF-IDF", "slots shared", "seeds",
    ]  # fmt: skip
    missing = [name for name in SELECTIONS if kept["rates"].get(f"{kind} {name}", 0) is None]
    notes = [
        "Learned to: the loss right after the lesson by the untouched model's, the mean over "
        "documents. Kept: of what a document's loss had fallen by, how much is left after all "
        "documents, the mean over all but the last. Plain texts: the rise of the loss a token on "
        "texts of the project. Slots shared: of a document's, those that an earlier one may move.",
        "In brackets: 95 % t intervals over seeds; differences are paired by seed.",
        *(f"No rate of the ladder learns as much by {name}." for name in missing),
    ]
    return Table(kind, header, rows, notes)


def _cells(rate: float, own: dict[int, Sequenced], reference: dict[int, Sequenced]) -> list[Entry]:
    """Return the figures of one selection, its sequences and those of TF-IDF given by seed."""
    sequences = list(own.values())
    ratios = [
        learned / before
        for s in sequences
        for learned, before in zip(s["learned"], s["untouched"], strict=True)
    ]
    steps = [float(step) for s in sequences for step in s["steps"]]
    missed = sum(not reached for s in sequences for reached in s["reached"])
    learned = f"{fmean(ratios):.3f}" + (f" ({missed} not reached)" if missed else "")
    return [
        f"{rate:g}",
        f"{fmean(steps):.1f}",
        learned,
        _text(seed_figure([kept_share(s) for s in sequences])),
        _difference(kept_share, reference, own),
        _text(seed_figure([plain_cost(s) for s in sequences])),
        _difference(plain_cost, own, reference),
        f"{fmean(s['shared_slots'] for s in sequences):.0%}",
        str(len(sequences)),
    ]


def _difference(
    figure: Callable[[Sequenced], float],
    first: dict[int, Sequenced],
    second: dict[int, Sequenced],
) -> str:
    """Return the mean of a figure of the first minus that of the second over shared seeds."""
    seeds = sorted(first.keys() & second.keys())
    if first is second or not seeds:
        return "-"
    values = [[figure(part[seed]) for seed in seeds] for part in (first, second)]
    return _text(paired_seed_figure(values[0], values[1]))


def _text(figure: Figure) -> str:
    """Return a figure with its interval, three decimals."""
    if figure.value is None:
        return "not measured"
    interval = figure.interval
    bounds = "" if interval is None else f" [{interval.low:.3f}, {interval.high:.3f}]"
    return f"{figure.value:.3f}{bounds}"
