"""Where the time goes: the operators that take most of a training step and of an answering pass."""

from collections.abc import Callable
from dataclasses import dataclass

from torch.profiler import ProfilerActivity, profile

from compositional.benchmarks.bench import Bench
from compositional.benchmarks.decoding import teach
from compositional.benchmarks.training import OwnTraining
from compositional.benchmarks.work import SEED, rows_for_memory_tokens, rows_of_text
from compositional.generation.generate import generate
from compositional.models.loading import load_model
from compositional.run_context import RunContext
from compositional.settings import EvaluationConfig
from compositional.streams import Streams

SHOWN = 6


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
    """Profile training steps of memory rows and of LoRA, and a pass of answers."""
    benchmark = bench.round("hwu64", "1-5:1", 48, 16)
    loaded = load_model(bench.config.model)
    rows = OwnTraining(loaded, rows_for_memory_tokens(loaded, "hwu64", benchmark), 4)
    loaded = load_model(bench.config.model)
    text = rows_of_text(loaded, "hwu64", benchmark)
    lora = OwnTraining(loaded, text, 4)
    model = bench.fresh_model()
    teach(model, text.sequences)
    prompts = [model.chat.prompt_ids(example.query) for example in benchmark.rounds[0].test]
    run = RunContext(Streams(SEED), evaluation=EvaluationConfig(batch_size=16, max_new_tokens=64))
    return [
        _profile("training memory rows, batch 4", lambda: rows.go(1)),
        _profile("training LoRA, batch 4", lambda: lora.go(1)),
        _profile("answering, batch 16", lambda: generate(model, prompts, run, "profile")),
    ]


def _profile(what: str, action: Callable[[], object]) -> Profile:
    """Return the operators that took the most time of their own."""
    with profile(activities=[ProfilerActivity.CPU]) as measured:
        action()
    events = measured.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    ordered = sorted(events, key=lambda event: -event.self_cpu_time_total)
    return Profile(what, {e.key: e.self_cpu_time_total / total for e in ordered[:SHOWN]})
