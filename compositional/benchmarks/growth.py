"""How cost grows: with memory rows, with the length of prompts, with rounds."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from compositional.benchmarks.bench import Bench
from compositional.benchmarks.throwaway import throwaway_config
from compositional.benchmarks.timing import Timing, alternate
from compositional.benchmarks.training import OwnTraining
from compositional.benchmarks.work import Work, rows_for_memory_tokens
from compositional.models.loading import load_model
from compositional.runner import run
from compositional.training.batching import TokenSequence

BATCH_SIZE = 4
NUM_SAMPLES = 2


@dataclass(frozen=True)
class Curve:
    """Seconds against a size.

    Attributes:
        title: What was timed.
        size: What grows.
        seconds: Of each size.
        per: What one value of seconds is of: a step, a sample, a run.
        most: The largest ratio allowed between two sizes, with these sizes; None where none is set.
    """

    title: str
    size: str
    seconds: dict[int, Timing]
    per: str
    most: tuple[int, int, float] | None = None

    @property
    def ratio(self) -> float | None:
        """How many times as long the larger of the two sizes takes."""
        if self.most is None:
            return None
        small, large, _ = self.most
        return self.seconds[large].median / self.seconds[small].median


def steps_by_rows(bench: Bench) -> Curve:
    """Time a training step with more and more memory rows, the same examples throughout."""
    sizes = (10, 50, 200, 1000, 10000)
    benchmark = bench.round("hwu64", "1-5:1", 2 * BATCH_SIZE, 4)
    work = rows_for_memory_tokens(load_model(bench.config.model), "hwu64", benchmark)
    first = work.initial
    assert first is not None
    generator = torch.Generator().manual_seed(1)

    def way(num_rows: int) -> Callable[[], float]:
        others = torch.randn(num_rows - len(first), first.shape[1], generator=generator)
        bigger = replace(work, initial=torch.cat([first, 0.05 * others.to(first)]))
        own = OwnTraining(load_model(bench.config.model), bigger, BATCH_SIZE)
        return lambda: own.go(1)[1] / (len(work.sequences) / BATCH_SIZE)

    ways = {str(size): way(size) for size in sizes}
    timings = alternate(ways, bench.config.repeats)
    seconds = {int(name): timing for name, timing in timings.items()}
    return Curve("A training step", "memory rows", seconds, "step", (10, 1000, 1.15))


def samples_by_prompt(bench: Bench) -> Curve:
    """Time a training sample with longer and longer prompts, three epochs, the same targets."""
    sizes = (32, 64, 128, 256, 512, 1024)
    benchmark = bench.round("hwu64", f"1-{BATCH_SIZE}:1", BATCH_SIZE, 4)  # a row a tool
    work = rows_for_memory_tokens(load_model(bench.config.model), "hwu64", benchmark)

    def way(length: int) -> Callable[[], float]:
        rows = [with_prompt(row, length) for row in work.sequences[:NUM_SAMPLES]]
        longer = Work(work.name, work.benchmark, rows, work.initial)
        own = OwnTraining(load_model(bench.config.model), longer, NUM_SAMPLES)
        return lambda: own.go(3)[1] / (3 * len(rows))

    timings = alternate({str(size): way(size) for size in sizes}, bench.config.repeats)
    seconds = {int(name): timing for name, timing in timings.items()}
    return Curve("Training, three epochs", "tokens of a prompt", seconds, "sample")


def with_prompt(row: TokenSequence, length: int) -> TokenSequence:
    """Return a row whose prompt is repeated or cut to a length; its first token stays."""
    repeated = row.prompt * (1 + length // len(row.prompt))
    number = row.target[0] % 50 + 100  # no two rows share a prompt
    return replace(row, prompt=(number, *repeated[: length - 1]))


def runs_by_rounds(bench: Bench) -> Curve:
    """Time whole runs over more and more rounds, all past rounds asked after each."""
    seconds: dict[int, Timing] = {}
    for num_rounds in (2, 5, 10):
        with TemporaryDirectory() as folder:
            config = throwaway_config(
                Path(folder),
                bench.path("hwu64"),
                num_rounds,
                2,
                model={"name": bench.config.model.name, "device": bench.device.type},
                data={"samples_per_tool": 2, "train_size": 4, "test_size": 2},
                evaluation={"max_new_tokens": 48},
            )
            started = time.perf_counter()
            run(config, progress=False)
            seconds[num_rounds] = Timing((time.perf_counter() - started,))
    return Curve("A whole run", "rounds", seconds, "run")


CURVES: dict[str, Callable[[Bench], Curve]] = {
    "steps_by_rows": steps_by_rows,
    "samples_by_prompt": samples_by_prompt,
    "runs_by_rounds": runs_by_rounds,
}
