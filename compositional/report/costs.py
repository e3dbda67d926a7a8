"""What each method cost: counted alike for all, in a file apart from the scores."""

from collections.abc import Mapping, Sequence
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
ANSWERING = {
    "prompt_tokens": "prompt tokens answering",
    "choice_tokens": "choice tokens answering",
    "generated_tokens": "generated tokens answering",
}
_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Cost:
    """What a run cost.

    Attributes:
        run: Its name.
        counters: The budget by name.
        state_bytes: Of the state after the last lesson; None where not counted.
        answering: Tokens computed in all rows to answer, by name; None where not counted.
        learning_seconds: In all lessons; None where no time was kept.
        answering_seconds: In all cells; None where no time was kept.
        peak_memory_bytes: The most that the process held during the run; None where
            it was not kept.
        num_cells: Cells with a time.
        reused: Names of the cells for which nothing was computed anew.
        num_answers: Generated answers in all cells.
        num_answers_reused: Those of them that were not generated anew.
        num_cut_off: Those of them that the limit of new tokens cut off; None where not kept.
    """

    run: str
    counters: dict[str, int]
    state_bytes: int | None
    answering: dict[str, int] | None
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
    rows = {name.partition("_")[0] for name in cells}
    answered = [run.timings.get(f"answers_{row}") for row in sorted(rows)]
    counted = [timing for timing in answered if timing is not None]
    reused = [name for name, timing in cells.items() if not _num_computed(timing)]
    learning = sum(timing["seconds"] for timing in lessons)
    answering = sum(timing["seconds"] for timing in cells.values())
    peaks = [timing["peak_memory_bytes"] for timing in (*lessons, *cells.values())]
    return Cost(
        run=run.name,
        counters={name: run.result["budget"][name] for name in COUNTERS},
        state_bytes=run.result["budget"].get("state_bytes"),
        answering={name: sum(timing[name] for timing in counted) for name in ANSWERING}
        if rows and len(counted) == len(rows)
        else None,
        learning_seconds=learning if lessons else None,
        answering_seconds=answering if cells else None,
        peak_memory_bytes=max(peaks, default=None),
        num_cells=len(cells),
        reused=tuple(reused),
        num_answers=sum(map(_num_answered, cells.values())),
        num_answers_reused=sum(timing["num_reused"] for timing in cells.values()),
        num_cut_off=sum(timing["num_cut_off"] for timing in cells.values())
        if cells and all("num_cut_off" in timing for timing in cells.values())
        else None,
    )


def _num_answered(timing: Mapping[str, int]) -> int:
    """Return how many answers of a cell were generated, now or before."""
    return timing.get("num_answered", timing["num_examples"])


def _num_computed(timing: Mapping[str, int]) -> int:
    """Return for how many examples of a cell something was computed anew."""
    return timing.get("num_computed", timing["num_examples"] - timing["num_reused"])


def costs_table(costs: Sequence[Cost]) -> Table:
    """Return the cost table."""
    rows: list[list[Entry]] = [
        [
            cost.run,
            *cost.counters.values(),
            _count(cost.state_bytes),
            _seconds(cost.learning_seconds),
            _seconds(cost.answering_seconds),
            *(_count(None if cost.answering is None else cost.answering[n]) for n in ANSWERING),
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
        "state bytes",
        "seconds learning",
        "seconds answering",
        *ANSWERING.values(),
        "peak memory (MiB)",
        "answers cut off",
        "answers reused",
        "cells reused",
    ]
    return Table("What it cost", header, rows, _notes(costs))


def _notes(costs: Sequence[Cost]) -> list[str]:
    notes = [
        "Rows: training rows seen, replayed ones included. Input tokens: read while learning. "
        "Target tokens: those with a loss. Buffer bytes: of examples or vectors kept for later. "
        "State bytes: of what was learned, after the last lesson: tensors, and the rest as JSON.",
        "Prompt, choice and generated tokens: computed anew to answer; a prompt counts each time "
        "that it is read. Peak memory: the most that the process held during the run, what earlier "
        "runs of the same process left included. Answers cut off: those that reached the limit of "
        "new tokens.",
    ]
    reused = [cost for cost in costs if cost.reused]
    if reused:
        num_cells = sum(len(cost.reused) for cost in reused)
        names = ", ".join(f"{cost.run} ({len(cost.reused)})" for cost in reused)
        notes.append(
            f"{num_cells} cells were computed once and reused, since model, prompts and decoding "
            f"equal another cell's: {names}. Their time stands where they were first computed."
        )
    if any(cost.num_answers_reused > 0 for cost in costs):
        notes.append(
            "Answers that were reused took neither time nor tokens: those stand where they were "
            "first generated. Likelihoods of choices are computed anew in every cell."
        )
    if any(cost.num_cells and cost.answering is None for cost in costs):
        notes.append(
            "Where tokens of answering were not measured, seconds of answering lack the rows in "
            "which no answer was generated anew."
        )
    return notes


def _count(number_of: int | None) -> Entry:
    return NOT_MEASURED if number_of is None else number_of


def _seconds(seconds: float | None) -> str:
    return NOT_MEASURED if seconds is None else number(seconds, 1)


def costs_csv(costs: Sequence[Cost]) -> str:
    """Return the costs as CSV, a line a run; a field that was not measured is empty."""
    header = [
        "run", *COUNTERS, "state_bytes", "learning_seconds", "answering_seconds",
        *ANSWERING, "peak_memory_bytes", "num_cells", "num_cells_reused", "num_answers",
        "num_answers_reused", "num_cut_off",
    ]  # fmt: skip
    rows = [
        [
            cost.run, *cost.counters.values(), cost.state_bytes, cost.learning_seconds,
            cost.answering_seconds, *((cost.answering or {}).get(name) for name in ANSWERING),
            cost.peak_memory_bytes, cost.num_cells, len(cost.reused), cost.num_answers,
            cost.num_answers_reused, cost.num_cut_off,
        ]
        for cost in costs
    ]  # fmt: skip
    return csv_text(header, rows)
