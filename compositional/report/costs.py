"""What each method cost: counted alike for all, in a file apart from the scores."""

from collections.abc import Sequence
from dataclasses import dataclass

from compositional.report.formats import Entry, Table, csv_text, number
from compositional.report.labels import NOT_MEASURED
from compositional.report.run_view import RunView

COUNTERS = {
    "trained_parameters": "trained parameters",
    "steps": "steps",
    "rows": "rows",
    "replayed_rows": "replayed rows",
    "input_tokens": "input tokens",
    "target_tokens": "target tokens",
    "buffer_bytes": "buffer bytes",
}
_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Cost:
    """What a run cost.

    Attributes:
        run: Its name.
        counters: The budget by name.
        learning_seconds: In all lessons; None where no time was kept.
        answering_seconds: In all cells; None where no time was kept.
        peak_memory_bytes: The most that the process held during the run; None where
            it was not kept.
        num_cells: Cells with a time.
        reused: Names of the cells in which no answer was generated anew.
        num_answers: Answers in all cells.
        num_answers_reused: Those of them that were not generated anew.
        num_cut_off: Those of them that the limit of new tokens cut off; None where not kept.
    """

    run: str
    counters: dict[str, int]
    learning_seconds: float | None
    answering_seconds: float | None
    peak_memory_bytes: int | None
    num_cells: int
    reused: tuple[str, ...]
    num_answers: int
    num_answers_reused: int
    num_cut_off: int | None

    @property
    def seconds(self) -> float | None:
        """Of learning and answering together."""
        if self.learning_seconds is None or self.answering_seconds is None:
            return None
        return self.learning_seconds + self.answering_seconds


def cost_of(run: RunView) -> Cost:
    """Return what a finished run cost."""
    lessons = [timing for name, timing in run.timings.items() if name.startswith("lesson_")]
    cells = {name: timing for name, timing in run.timings.items() if name.startswith("row")}
    reused = [name for name, t in cells.items() if 0 < t["num_examples"] == t["num_reused"]]
    learning = sum(timing["seconds"] for timing in lessons)
    answering = sum(timing["seconds"] for timing in cells.values())
    peaks = [timing["peak_memory_bytes"] for timing in run.timings.values()]
    return Cost(
        run=run.name,
        counters={name: run.result["budget"][name] for name in COUNTERS},
        learning_seconds=learning if lessons else None,
        answering_seconds=answering if cells else None,
        peak_memory_bytes=max(peaks, default=None),
        num_cells=len(cells),
        reused=tuple(reused),
        num_answers=sum(timing["num_examples"] for timing in cells.values()),
        num_answers_reused=sum(timing["num_reused"] for timing in cells.values()),
        num_cut_off=sum(timing["num_cut_off"] for timing in cells.values())
        if cells and all("num_cut_off" in timing for timing in cells.values())
        else None,
    )


def costs_table(costs: Sequence[Cost]) -> Table:
    """Return the cost table."""
    rows: list[list[Entry]] = [
        [
            cost.run,
            *cost.counters.values(),
            _seconds(cost.learning_seconds),
            _seconds(cost.answering_seconds),
            NOT_MEASURED if (peak := cost.peak_memory_bytes) is None else peak // _MEBIBYTE,
            NOT_MEASURED
            if cost.num_cut_off is None
            else f"{cost.num_cut_off} of {cost.num_answers}",
            f"{cost.num_answers_reused} of {cost.num_answers}",
            f"{len(cost.reused)} of {cost.num_cells}",
        ]
        for cost in costs
    ]
    header = [
        "run",
        *COUNTERS.values(),
        "seconds learning",
        "seconds answering",
        "peak memory (MiB)",
        "answers cut off",
        "answers reused",
        "cells reused",
    ]
    return Table("What it cost", header, rows, _notes(costs))


def _notes(costs: Sequence[Cost]) -> list[str]:
    notes = [
        "Rows: training rows seen, replayed ones included. Target tokens: those with a loss. "
        "Peak memory: the most that the process held during the run, what earlier runs of the "
        "same process left included. Answers cut off: those that reached the limit of new tokens."
    ]
    reused = [cost for cost in costs if cost.reused]
    if reused:
        num_cells = sum(len(cost.reused) for cost in reused)
        names = ", ".join(f"{cost.run} ({len(cost.reused)})" for cost in reused)
        notes.append(
            f"{num_cells} cells were computed once and reused, since model, prompts and decoding "
            f"equal another cell's: {names}. Single answers are reused likewise. Their time stands "
            "where they were first computed."
        )
    return notes


def _seconds(seconds: float | None) -> str:
    return NOT_MEASURED if seconds is None else number(seconds, 1)


def costs_csv(costs: Sequence[Cost]) -> str:
    """Return the costs as CSV, a line a run; a field that was not measured is empty."""
    header = [
        "run", *COUNTERS, "learning_seconds", "answering_seconds", "peak_memory_bytes",
        "num_cells", "num_cells_reused", "num_answers", "num_answers_reused", "num_cut_off",
    ]  # fmt: skip
    rows = [
        [
            cost.run, *cost.counters.values(), cost.learning_seconds, cost.answering_seconds,
            cost.peak_memory_bytes, cost.num_cells, len(cost.reused), cost.num_answers,
            cost.num_answers_reused, cost.num_cut_off,
        ]
        for cost in costs
    ]  # fmt: skip
    return csv_text(header, rows)
