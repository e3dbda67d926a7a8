"""`compositional scale`: measure a long sequence and a cost model, and say what large ones cost."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compositional.benchmarks.bench import Bench, SpeedConfig
from compositional.benchmarks.cost_model import (
    BATCH_SIZE,
    CostModel,
    MeasuredRun,
    fit,
    measure,
    num_passes,
)
from compositional.benchmarks.long_sequence import LongSequence, long_sequence
from compositional.benchmarks.machine import describe
from compositional.benchmarks.paper_hours import H100, Hours, LongPlan, hours_on_paper
from compositional.files import write_json, write_text
from compositional.models.model_config import ModelConfig
from compositional.report.formats import Entry, Table, markdown

FITTED_ON = (2, 3)
CHECKED_ON = 6
NUM_TESTS = 6
SHOWN_ROUNDS = (1, 10, 25, 50, 75, 100)
MIB = 2**20


def measure_scale(model: ModelConfig, source: str, num_rounds: int, path: Path) -> Path:
    """Measure, fit, check, extrapolate; write `path` and a JSON file beside it.

    Args:
        model: The model of the cost model's runs, whose tokenizer the long sequence takes.
        source: Rows of the cost model's runs.
        num_rounds: Rounds of the long sequence, of 100 tools each.
        path: The page.
    """
    print(f"scale: {num_rounds} rounds of 100 tools, tiny model", file=sys.stderr, flush=True)
    long = long_sequence(model, num_rounds, 100, 10)  # first: memory that was held stays counted
    measured = []
    for size in (*FITTED_ON, CHECKED_ON):
        print(f"scale: a run of {size} rounds", file=sys.stderr, flush=True)
        measured.append(measure(model, source, size, NUM_TESTS))
    fitted = fit(measured[:-1])
    bench = Bench(SpeedConfig(model=model))
    kept = {
        "machine": describe(bench.fresh_model().device),
        "runs": [asdict(run) for run in measured],
        "model": asdict(fitted),
        "predicted_seconds": _predicted(fitted, measured[-1]),
        "long_sequence": asdict(long),
        "hours_here": asdict(_hours_here(fitted)),
        "hours_on_paper": {
            name: asdict(hours) for name, hours in hours_on_paper(bench.sizes).items()
        },
    }
    write_json(path.with_suffix(".json"), kept)
    tables = [
        _check_table(fitted, measured),
        _rows_table(fitted, measured[-1]),
        _long_table(long),
        _hours_table(kept),
    ]
    write_text(path, f"# Scale, measured\n\n{markdown(tables)}\n{kept['machine']}.\n")
    return path


def _predicted(fitted: CostModel, run: MeasuredRun) -> float:
    return fitted.seconds(run.trained_tokens, run.answers_by_row)


def _hours_here(fitted: CostModel) -> Hours:
    """Return the hours on the machine of the fitted runs, answers as long as theirs."""
    wanted = LongPlan()
    answering = fitted.seconds_answering(wanted.answers_by_row)
    return Hours(fitted.trained_token * wanted.trained_tokens / 3600, answering / 3600)


def _check_table(fitted: CostModel, measured: Sequence[MeasuredRun]) -> Table:
    rows: list[list[Entry]] = []
    for run in measured:
        seconds = _predicted(fitted, run)
        role = "not seen" if run is measured[-1] else "fitted on"
        rows.append(
            [
                f"{run.num_rounds}",
                role,
                f"{run.trained_tokens:,}",
                f"{run.num_answers}",
                f"{num_passes(run.answers_by_row)}",
                f"{run.seconds:.1f}",
                f"{seconds:.1f}",
                f"{100 * (seconds / run.seconds - 1):+.0f} %",
            ]
        )
    header = [
        "rounds", "role", "tokens trained on", "answers", "passes", "seconds", "model", "off by",
    ]  # fmt: skip
    note = (
        f"seconds = {fitted.start:.1f} + {1000 * fitted.trained_token:.2f} ms x tokens trained on "
        f"+ {1000 * fitted.batch:.0f} ms x passes + {1000 * fitted.answer:.0f} ms x answers "
        f"+ {1000 * fitted.answer_token:.1f} ms x tokens answered, "
        f"{fitted.tokens_an_answer:.0f} of them an answer. A pass: up to {BATCH_SIZE} side by side."
    )
    return Table("The cost model", header, rows, [note])


def _rows_table(fitted: CostModel, unseen: MeasuredRun) -> Table:
    rows: list[list[Entry]] = [
        [
            f"{answers}",
            f"{num_passes([answers])}",
            f"{seconds:.1f}",
            f"{fitted.seconds_answering([answers]):.1f}",
            f"{seconds / answers:.2f}",
        ]
        for seconds, answers, _ in unseen.rows
    ]
    header = ["answers", "passes", "seconds", "model", "s an answer"]
    return Table("Answers after each round of the run not seen", header, rows, [])


def _long_table(long: LongSequence) -> Table:
    rows: list[list[Entry]] = [
        [
            f"{cost.round}",
            f"{cost.seconds_learning:.2f}",
            f"{cost.num_answers}",
            f"{cost.seconds_answering:.2f}",
            f"{1000 * cost.seconds_answering / cost.num_answers:.1f}",
            f"{cost.peak_memory_bytes / MIB:,.0f}",
            f"{cost.state_bytes / MIB:.2f}",
            f"{cost.result_bytes / MIB:.2f}",
            f"{cost.num_files}",
        ]
        for cost in long.rounds
        if cost.round in SHOWN_ROUNDS
    ]
    header = [
        "round", "s learning", "answers", "s answering", "ms an answer", "peak memory (MiB)",
        "state (MiB)", "results (MiB)", "files",
    ]  # fmt: skip
    note = (
        f"{long.num_tools:,} memory rows, a random model of two layers of 32: "
        f"{long.seconds:.0f} s in all, {long.result_bytes / MIB:.0f} MiB and "
        f"{long.num_files:,} files of results."
    )
    return Table(f"{len(long.rounds)} rounds", header, rows, [note])


def _hours_table(kept: dict[str, Any]) -> Table:
    wanted = LongPlan()
    kinds = {"this machine, this model, by the cost model": kept["hours_here"]}
    kinds |= {f"{name}, on paper": hours for name, hours in kept["hours_on_paper"].items()}
    rows: list[list[Entry]] = []
    for name, parts in kinds.items():
        hours = Hours(**parts)
        rows.append([name, _h(hours.total), _h(hours.training), _h(hours.answering)])
    note = (
        f"{wanted.num_rounds} rounds of {wanted.rows:,} rows, {wanted.epochs} epochs, "
        f"{wanted.row_tokens} tokens a row; {wanted.num_answers:,} answers, on this machine as "
        f"long as those of the fitted runs. On paper, where nothing is fitted: answers of "
        f"{wanted.answer_tokens} tokens to prompts of {wanted.prompt_tokens}, "
        f"{H100.product_rate / 1e12:.0f} TFLOP/s and {H100.read_rate / 1e12:.1f} TB/s sustained, "
        f"{H100.batch_size} answers side by side, work shared evenly."
    )
    header = ["where", "hours", "training", "answering"]
    return Table("100 rounds, 10,000 tools", header, rows, [note])


def _h(hours: float) -> str:
    return f"{hours:.2g}" if hours < 10 else f"{hours:.0f}"
