"""What a run would do: its rounds, steps and cells, with an estimate of the time.

The estimate comes from this machine: one training step and one short batch of answers are timed
on the model that the run would use, then multiplied by the tokens that it would see.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from compositional.columns import columns_of, due
from compositional.config import RunConfig
from compositional.drift import MAX_ANSWER_TOKENS, plain_prompts
from compositional.generation.generate import generate
from compositional.methods.base import MethodConfig
from compositional.methods.bounds import JointConfig
from compositional.methods.constant import ConstantConfig
from compositional.methods.prompts import text_sequence
from compositional.models.language_model import LanguageModel
from compositional.rounds import lessons
from compositional.run_context import RunContext
from compositional.runner import Prepared, prepare_run
from compositional.shards import check_whole
from compositional.streams import Streams
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.resolving import data_folder
from compositional.tasks.types import Example, Round
from compositional.training.targets import target_loss

TIMED_NEW_TOKENS = 8


@dataclass(frozen=True)
class Rates:
    """How fast this machine works.

    Attributes:
        training_tokens_per_second: Tokens of rows, forward and backward.
        seconds_per_prompts: Seconds to read the prompts of a full batch.
        seconds_per_batch_token: Seconds to decode one more token of a full batch.
    """

    training_tokens_per_second: float
    seconds_per_prompts: float
    seconds_per_batch_token: float


def print_plan(configs: Sequence[RunConfig]) -> None:
    """Print the plan of runs; everything is checked on the way, and nothing is left behind."""
    rates: Rates | None = None
    total = 0.0
    data: set[str] = set()
    for config in configs:
        check_whole(config.model.shards, "a plan")
    with TemporaryDirectory() as folder:
        for config in configs:
            prepared = prepare_run(without_traces(config, Path(folder)))
            rates = rates or measure_rates(prepared, config)
            lines, seconds = plan_lines(prepared, config, rates)
            total += seconds
            if prepared.benchmark.manifest_sha256 not in data:
                data.add(prepared.benchmark.manifest_sha256)
                print("\n".join(prepared.benchmark.summary()))
            print("\n".join(lines))
    print(f"{len(configs)} runs, about {minutes(total)} on this machine at the most")


def without_traces(config: RunConfig, folder: Path) -> RunConfig:
    """Let data that is not there yet be built in a folder that is thrown away."""
    target = data_folder(config.data, config.seed)
    if config.data.training_rounds is None or target.exists():
        return config
    return replace(config, data=replace(config.data, data_dir=folder / target.name))


def measure_rates(prepared: Prepared, config: RunConfig) -> Rates:
    """Time one training step and one short batch of answers."""
    model = prepared.model
    round_ = prepared.benchmark.rounds[0]
    rows = [text_sequence(model, e) for e in round_.train[: config.training.batch_size]]
    rows = rows or [text_sequence(model, round_.test[0])]
    last_block = list(model.backbone.parameters())[-1]
    embedding = next(iter(model.backbone.parameters()))
    for parameter in (last_block, embedding):
        parameter.requires_grad_(True)
    step = _seconds(lambda: torch.autograd.backward(target_loss(model, rows)))
    for parameter in (last_block, embedding):
        parameter.requires_grad_(False)
        parameter.grad = None
    size = config.evaluation.batch_size
    examples = (round_.test * size)[:size]
    # A prompt that stands twice would be answered once.
    prompts = [model.chat.prompt_ids(f"{n} {e.query}") for n, e in enumerate(examples)]

    def answer(max_new_tokens: int) -> None:
        limit = replace(config.evaluation, max_new_tokens=max_new_tokens)
        generate(model, prompts, RunContext(Streams(config.seed), evaluation=limit), "timing")

    first = _seconds(lambda: answer(1))
    more = _seconds(lambda: answer(1 + TIMED_NEW_TOKENS))
    num_tokens = sum(len(row.prompt) + len(row.target) for row in rows)
    return Rates(num_tokens / step, first, max(0.0, more - first) / TIMED_NEW_TOKENS)


def _seconds(action: Callable[[], None]) -> float:
    """Return the time of the second of two calls: the first one warms up."""
    action()
    started = time.monotonic()
    action()
    return time.monotonic() - started


def plan_lines(prepared: Prepared, config: RunConfig, rates: Rates) -> tuple[list[str], float]:
    """Return the plan of one run as lines, and its seconds."""
    benchmark, method = prepared.benchmark, prepared.method
    lines = [f"{config.experiment}/{config.run}: method {config.method_name}"]
    seconds = 0.0
    for lesson in lessons(method, benchmark):
        line = f"  round {lesson.index} ({lesson.name}): {len(lesson.skills)} tools"
        if trains(config.method, lesson):
            rows = rows_of(config.method, lesson, benchmark)
            steps = -(-len(rows) // config.training.batch_size) * lesson.epochs
            tokens = _row_tokens(prepared.model, rows) * lesson.epochs
            seconds += tokens / rates.training_tokens_per_second
            line += f", {len(rows)} rows x {lesson.epochs} epochs, {steps} steps, {tokens} tokens"
        lines.append(line)
    num_rounds = len(benchmark.rounds)
    columns = columns_of(benchmark, config.evaluation)
    first = 0 if method.traits.has_first_row else 1
    cells = [
        column
        for row in range(first, num_rounds + 1)
        for column in due(columns, row, num_rounds, config.evaluation)
    ]
    num_examples = sum(len(column.examples) for column in cells)
    lines.append(f"  {len(cells)} cells, {num_examples} answers")
    if not isinstance(config.method, ConstantConfig):
        batches = num_examples / config.evaluation.batch_size
        decoding = config.evaluation.max_new_tokens * rates.seconds_per_batch_token
        seconds += batches * (rates.seconds_per_prompts + decoding)
        if config.evaluation.drift:
            seconds += _drift_seconds(num_rounds, rates, config)
    lines.append(f"  about {minutes(seconds)} at the most")
    return lines, seconds


def _drift_seconds(num_rounds: int, rates: Rates, config: RunConfig) -> float:
    """Return the time of answering the plain prompts once and reading the answers every round."""
    num_prompts = len(plain_prompts())
    batches = num_prompts / config.evaluation.batch_size
    answering = rates.seconds_per_prompts + MAX_ANSWER_TOKENS * rates.seconds_per_batch_token
    tokens = num_prompts * 2 * MAX_ANSWER_TOKENS
    return batches * answering + (1 + num_rounds) * tokens / rates.training_tokens_per_second


def trains(method: MethodConfig, lesson: Round) -> bool:
    """Whether a method takes gradient steps in a lesson; a bound does where what it wraps does."""
    inner = getattr(method, "of", method)
    is_frozen = getattr(inner, "between_rounds", None) == "freeze" and lesson.index > 1
    return hasattr(inner, "lr") and (not is_frozen or inner is not method)


def rows_of(method: MethodConfig, lesson: Round, benchmark: Benchmark) -> Sequence[Example]:
    """Return the rows that a lesson trains on: the round's own, for joint training all so far."""
    if isinstance(method, JointConfig) and lesson.index > 0:
        rounds = benchmark.rounds[: lesson.index]
        return [example for round_ in rounds for example in round_.train]
    return lesson.train


def _row_tokens(model: LanguageModel, examples: Sequence[Example]) -> int:
    rows = [text_sequence(model, example) for example in examples]
    return sum(len(row.prompt) + len(row.target) for row in rows)


def minutes(seconds: float) -> str:
    """Return a time in words."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
