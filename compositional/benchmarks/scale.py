"""`compositional scale`: measure a long sequence and a cost model, and say what large ones cost."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compositional.benchmarks.bench import Bench, SpeedConfig
from compositional.benchmarks.cost_model import CostModel, MeasuredRun, fit, measure, num_answers
from compositional.benchmarks.long_sequence import LongSequence, long_sequence
from compositional.benchmarks.machine import describe
from compositional.benchmarks.roofline import Sizes
from compositional.files import write_json, write_text
from compositional.models.model_config import ModelConfig
from compositional.report.formats import Entry, Table, markdown

FITTED_ON = (2, 3)
CHECKED_ON = 6
NUM_TESTS = 6
SHOWN_ROUNDS = (1, 10, 25, 50, 75, 100)
MIB = 2**20


@dataclass(frozen=True)
class LongPlan:
    """A sequence of 100 rounds with 10,000 tools, in tokens.

    Attributes:
        num_rounds: Rounds.
        rows: Training rows of each.
        epochs: Passes over them.
        row_tokens: Tokens of a row.
        num_tests: Test examples of each.
        prompt_tokens: Tokens of a prompt.
        answer_tokens: Tokens of an answer.
    """

    num_rounds: int = 100
    rows: int = 1000
    epochs: int = 2
    row_tokens: int = 80
    num_tests: int = 100
    prompt_tokens: int = 45
    answer_tokens: int = 30

    @property
    def trained_tokens(self) -> int:
        """Tokens trained on in all."""
        return self.num_rounds * self.rows * self.epochs * self.row_tokens

    @property
    def num_answers(self) -> int:
        """Answers in all."""
        return num_answers(self.num_rounds, self.num_tests)


@dataclass(frozen=True)
class Accelerator:
    """What one accelerator sustains, on paper.

    Attributes:
        name: What it is.
        product_rate: Floating-point operations a second that training sustains.
        read_rate: Bytes a second that decoding sustains.
        batch_size: Answers side by side.
    """

    name: str
    product_rate: float
    read_rate: float
    batch_size: int


# NVIDIA's data sheet names 989 TFLOP/s in bf16 and 3.35 TB/s; 40 % and 60 % of them are sustained.
H100 = Accelerator("H100", 0.4 * 989e12, 0.6 * 3.35e12, 256)


def paper_hours(sizes: Sizes, wanted: LongPlan, device: Accelerator, num_devices: int) -> float:
    """Return the hours of a sequence on some accelerators: weights in bf16, work shared evenly.

    Args:
        sizes: The model's.
        wanted: The sequence.
        device: Each accelerator.
        num_devices: How many.
    """
    weights = sizes.body + sizes.head
    training = 4 * weights * wanted.trained_tokens / device.product_rate
    prompts = 2 * sizes.body * wanted.num_answers * wanted.prompt_tokens / device.product_rate
    reading = 2 * weights / device.read_rate / device.batch_size
    computing = 2 * weights / device.product_rate
    answers = wanted.num_answers * wanted.answer_tokens * max(reading, computing)
    return (training + prompts + answers) / num_devices / 3600


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
        "hours_here": _hours_here(fitted),
        "hours_on_paper": _hours_on_paper(bench.sizes),
    }
    write_json(path.with_suffix(".json"), kept)
    tables = [_check_table(fitted, measured), _long_table(long), _hours_table(kept)]
    write_text(path, f"# Scale, measured\n\n{markdown(tables)}\n{kept['machine']}.\n")
    return path


def _predicted(fitted: CostModel, run: MeasuredRun) -> float:
    return fitted.seconds(run.trained_tokens, run.num_answers)


def _hours_here(fitted: CostModel) -> float:
    wanted = LongPlan()
    length = wanted.answer_tokens
    return fitted.seconds(wanted.trained_tokens, wanted.num_answers, length) / 3600


def _hours_on_paper(sizes: Sizes) -> dict[str, float]:
    """Return hours on one and eight H100 for this model, and for one of 8 billion weights."""
    large = Sizes(body=7_500_000_000, head=525_000_000, bytes=16_000_000_000)
    return {
        f"{name}, {count} x {H100.name}": paper_hours(kind, LongPlan(), H100, count)
        for name, kind in (("this model", sizes), ("8 billion weights", large))
        for count in (1, 8)
    }


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
                f"{run.seconds:.1f}",
                f"{seconds:.1f}",
                f"{100 * (seconds / run.seconds - 1):+.0f} %",
            ]
        )
    header = ["rounds", "role", "tokens trained on", "answers", "seconds", "model", "off by"]
    note = (
        f"seconds = {fitted.start:.1f} + {1000 * fitted.trained_token:.2f} ms x tokens trained on "
        f"+ {1000 * fitted.answer:.0f} ms x answers + {1000 * fitted.answer_token:.1f} ms x tokens "
        f"answered, {fitted.tokens_an_answer:.0f} of them an answer."
    )
    return Table("The cost model", header, rows, [note])


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
    total = sum(cost.result_bytes for cost in long.rounds) / MIB
    note = (
        f"{long.num_tools:,} memory rows, a random model of two layers of 32: "
        f"{long.seconds:.0f} s in all, {total:.0f} MiB and "
        f"{sum(cost.num_files for cost in long.rounds):,} files of results."
    )
    return Table(f"{len(long.rounds)} rounds", header, rows, [note])


def _hours_table(kept: dict[str, Any]) -> Table:
    wanted = LongPlan()
    rows: list[list[Entry]] = [
        ["this machine, this model, by the cost model", _h(kept["hours_here"])]
    ]
    rows += [[f"{name}, on paper", _h(hours)] for name, hours in kept["hours_on_paper"].items()]
    note = (
        f"{wanted.num_rounds} rounds of {wanted.rows:,} rows, {wanted.epochs} epochs, "
        f"{wanted.row_tokens} tokens a row; {wanted.num_answers:,} answers of "
        f"{wanted.answer_tokens} tokens to prompts of {wanted.prompt_tokens}. On paper: "
        f"{H100.product_rate / 1e12:.0f} TFLOP/s and {H100.read_rate / 1e12:.1f} TB/s sustained, "
        f"{H100.batch_size} answers side by side, work shared evenly."
    )
    return Table("100 rounds, 10,000 tools", ["where", "hours"], rows, [note])


def _h(hours: float) -> str:
    return f"{hours:.2g}" if hours < 10 else f"{hours:.0f}"
