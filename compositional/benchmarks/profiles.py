"""Where the time goes: the operators that take most of a training step and of an answering pass."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch.profiler import ProfilerActivity, profile

from compositional.benchmarks.bench import Bench
from compositional.benchmarks.comparisons import (
    FORCED_SETTINGS,
    ICL_SETTINGS,
    forced_prompts,
    icl_prompts,
)
from compositional.benchmarks.decoding import teach
from compositional.benchmarks.machine import synchronise
from compositional.benchmarks.training import OwnTraining
from compositional.benchmarks.work import SEED, Work, rows_for_memory_tokens, rows_of_text
from compositional.generation.generate import generate
from compositional.generation.shared_prefix import shared_prefix
from compositional.models.loading import LoadedModel, load_model
from compositional.run_context import RunContext
from compositional.settings import EvaluationConfig
from compositional.streams import Streams
from compositional.tasks.benchmark import Benchmark

SHOWN = 8
BATCH_SIZE = 4
PLAIN_NAMES = {
    "aten::_scaled_dot_product_flash_attention_for_cpu": "attention",
    "aten::_scaled_dot_product_flash_attention_for_cpu_backward": "attention, backward",
    "aten::_log_softmax": "softmax of the loss",
    "aten::_log_softmax_backward_data": "softmax of the loss, backward",
}


@dataclass(frozen=True)
class Profile:
    """Shares of time.

    Attributes:
        what: What ran.
        shares: Share of the processors' time by operator, the largest first.
    """

    what: str
    shares: dict[str, float]


def profiles(bench: Bench) -> list[Profile]:
    """Profile training steps of memory rows and of LoRA, and passes of answers."""
    hwu64 = bench.round("hwu64", "1-5:1", 48, 16)
    return [*_of_training(bench, hwu64), *_of_answering(bench, hwu64)]


def _of_training(bench: Bench, hwu64: Benchmark) -> list[Profile]:
    """Profile one step of each kind of training."""
    sgd = bench.round("sgd", "1-5:1", 16, 4)
    found = []
    for what, rows_for, name, benchmark in (
        ("memory rows", rows_for_memory_tokens, "hwu64", hwu64),
        ("memory rows", rows_for_memory_tokens, "sgd", sgd),
        ("LoRA", rows_of_text, "hwu64", hwu64),
    ):
        loaded = load_model(bench.config.model)
        training = _one_step(loaded, rows_for(loaded, name, benchmark))
        title = f"one training step of {what}, {name}, batch {BATCH_SIZE}"
        found.append(_profile(bench.device, title, partial(training.go, 1)))
    return found


def _of_answering(bench: Bench, hwu64: Benchmark) -> list[Profile]:
    """Profile answers of a taught model, with ground-truth tools, and behind many tools."""
    taught, with_rows, untaught = (bench.fresh_model() for _ in range(3))
    teach(taught, rows_of_text(load_model(bench.config.model), "hwu64", hwu64).sequences)
    queries = [taught.chat.prompt_ids(example.query) for example in hwu64.rounds[0].test]
    settings = EvaluationConfig(batch_size=16, max_new_tokens=64)
    asked, tools = forced_prompts(bench, [with_rows])
    long = icl_prompts(bench, untaught)
    passes = {
        f"answering {len(queries)} queries in 16 slots": (taught, queries, settings, None),
        f"answering {len(asked)} queries with ground-truth tools in 8 slots": (
            with_rows, asked, FORCED_SETTINGS, tools,
        ),
        f"ICL: answering {len(long)} queries behind {len(shared_prefix(long))} shared tokens": (
            untaught, long, ICL_SETTINGS, None,
        ),
    }  # fmt: skip
    return [
        _profile(
            bench.device,
            title,
            partial(generate, model, prompts, _run(chosen), "profile", forced),
        )
        for title, (model, prompts, chosen, forced) in passes.items()
    ]


def _run(settings: EvaluationConfig) -> RunContext:
    return RunContext(Streams(SEED), evaluation=settings)


def _one_step(loaded: LoadedModel, work: Work) -> OwnTraining:
    """Prepare a training of one step, warmed up by one."""
    step = replace(work, sequences=work.sequences[:BATCH_SIZE])
    training = OwnTraining(loaded, step, BATCH_SIZE)
    training.go(1)
    return training


def _profile(device: torch.device, what: str, action: Callable[[], object]) -> Profile:
    """Return the operators that took the most time of their own, on a GPU the most of its time."""
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities, record_shapes=True) as measured:
        action()
        synchronise(device)
    times: Counter[str] = Counter()
    for event in measured.key_averages(group_by_input_shape=True):
        spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        times[operator_name(event.key, event.input_shapes)] += spent
    total = times.total()
    return Profile(what, {name: time / total for name, time in times.most_common(SHOWN)})


def operator_name(operator: str, shapes: Sequence[Sequence[int]]) -> str:
    """Call an operator by what it does, and a product by its second matrix."""
    if operator in ("aten::mm", "aten::addmm"):
        num_rows, num_columns = shapes[-1] if operator == "aten::mm" else shapes[2]
        return f"products with {num_rows} x {num_columns} matrices"
    return PLAIN_NAMES.get(operator, operator)
