"""What a run would do: its rounds, steps and cells, with an estimate of the time.

The estimate comes from this machine: one training step and one short batch of answers are timed
on the model that the run would use, then multiplied by the tokens that it would see. Answers are
taken to be as long as they may be, which most are not; what is not estimated is named.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from compositional.config import RunConfig
from compositional.drift import MAX_ANSWER_TOKENS, plain_prompts
from compositional.generation.generate import generate
from compositional.methods.constant import ConstantConfig
from compositional.methods.prompts import text_sequence
from compositional.models.language_model import LanguageModel
from compositional.models.lending import Lender
from compositional.planned_answers import planned_answers, tokens_read
from compositional.planned_training import is_estimated, planned_lesson
from compositional.rounds import lessons
from compositional.run_context import RunContext
from compositional.runner import Prepared, prepare_run
from compositional.shards import check_whole
from compositional.streams import Streams
from compositional.tasks.resolving import data_folder
from compositional.training.targets import target_loss

TIMED_NEW_TOKENS = 8


@dataclass(frozen=True)
class Rates:
    """How fast this machine works.

    Attributes:
        training_tokens_per_second: Tokens of rows, forward and backward.
        prompt_tokens_per_second: Tokens of prompts, forward.
        seconds_per_batch_token: Seconds to decode one more token of a full batch.
        reads_prefix_once: Whether what all prompts begin with is computed once.
    """

    training_tokens_per_second: float
    prompt_tokens_per_second: float
    seconds_per_batch_token: float
    reads_prefix_once: bool = True


@dataclass(frozen=True)
class Plan:
    """What one run would do.

    Attributes:
        lines: In words.
        seconds: The estimate.
        not_estimated: What comes on top of it, in words.
    """

    lines: Sequence[str]
    seconds: float
    not_estimated: Sequence[str]

    @property
    def time(self) -> str:
        """The estimate in words, with what it leaves out."""
        return "; ".join([f"about {minutes(self.seconds)}", *self.not_estimated])


def print_plan(configs: Sequence[RunConfig]) -> None:
    """Print the plan of runs; everything is checked on the way, and nothing is left behind."""
    rates: Rates | None = None
    total = 0.0
    data: set[str] = set()
    models = Lender()
    for config in configs:
        check_whole(config.model.shards, "a plan")
    with TemporaryDirectory() as folder:
        for config in configs:
            prepared = prepare_run(without_traces(config, Path(folder)), models.lend)
            rates = rates or measure_rates(prepared, config)
            plan = plan_of(prepared, config, rates)
            total += plan.seconds
            if prepared.benchmark.manifest_sha256 not in data:
                data.add(prepared.benchmark.manifest_sha256)
                print("\n".join(prepared.benchmark.summary()))
            print("\n".join(plan.lines))
    print(f"{len(configs)} runs, about {minutes(total)} on this machine, one after the other")


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
    reads_once = bool(model.decodes_in_slots)
    return Rates(
        training_tokens_per_second=num_tokens / step,
        prompt_tokens_per_second=tokens_read(prompts, once=reads_once) / first,
        seconds_per_batch_token=max(0.0, more - first) / TIMED_NEW_TOKENS,
        reads_prefix_once=reads_once,
    )


def _seconds(action: Callable[[], None]) -> float:
    """Return the time of the second of two calls: the first one warms up."""
    action()
    started = time.monotonic()
    action()
    return time.monotonic() - started


def plan_of(prepared: Prepared, config: RunConfig, rates: Rates) -> Plan:
    """Return the plan of one run."""
    benchmark, method = prepared.benchmark, prepared.method
    lines = [f"{config.experiment}/{config.run}: method {config.method_name}"]
    seconds = 0.0
    for lesson in lessons(method, benchmark):
        size = f"{len(lesson.documents)} documents" if lesson.documents else ""
        line = f"  round {lesson.index} ({lesson.name}): {size or f'{len(lesson.skills)} tools'}"
        if (planned := planned_lesson(prepared, config, lesson)) is not None:
            seconds += planned.num_tokens / rates.training_tokens_per_second
            line += f", {planned}"
        lines.append(line)
    asked = planned_answers(prepared, config, reads_prefix_once=rates.reads_prefix_once)
    lines.append(f"  {asked.num_cells} cells, {asked.num_answers} answers")
    not_estimated = []
    if not is_estimated(config.method):
        what = "documents" if benchmark.rounds[0].documents else "tools as documents"
        not_estimated.append(f"learning {what} is not estimated")
    if not isinstance(config.method, ConstantConfig):
        decoding = config.evaluation.max_new_tokens * rates.seconds_per_batch_token
        seconds += asked.prompt_tokens / rates.prompt_tokens_per_second
        seconds += asked.num_batches * decoding
        if not asked.knows_prompts:
            not_estimated.append(f"what {config.method_name} puts before a question is not counted")
        if config.evaluation.drift and method.model is not None:
            seconds += _drift_seconds(prepared.model, len(benchmark.rounds), rates, config)
    plan = Plan(lines, seconds, not_estimated)
    return replace(plan, lines=[*lines, f"  {plan.time}"])


def _drift_seconds(model: LanguageModel, num_rounds: int, rates: Rates, config: RunConfig) -> float:
    """Return the time of answering the plain prompts once and reading the answers every round."""
    prompts = [model.chat.prompt_ids(prompt) for prompt in plain_prompts()]
    num_batches = -(-len(prompts) // config.evaluation.batch_size)
    answering = num_batches * MAX_ANSWER_TOKENS * rates.seconds_per_batch_token
    num_first = tokens_read(prompts, once=rates.reads_prefix_once)
    num_each = sum(len(prompt) + MAX_ANSWER_TOKENS for prompt in prompts)
    tokens = num_first + (1 + num_rounds) * num_each
    return answering + tokens / rates.prompt_tokens_per_second


def minutes(seconds: float) -> str:
    """Return a time in words."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
