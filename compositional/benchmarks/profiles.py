"""Where the time goes: the operators that take most of a training step and of an answering pass."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch.profiler import ProfilerActivity, profile

from compositional.benchmarks.bench import Bench
from compositional.benchmarks.comparisons import ICL_SETTINGS, icl_prompts
from compositional.benchmarks.decoding import teach
from compositional.benchmarks.training import OwnTraining
from compositional.benchmarks.work import SEED, Work, rows_for_memory_tokens, rows_of_text
from compositional.generation.generate import generate
from compositional.generation.shared_prefix import shared_prefix
from compositional.models.loading import LoadedModel, load_model
from compositional.run_context import RunContext
from compositional.settings import EvaluationConfig
from compositional.streams import Streams

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
    """Profile one training step of memory rows and of LoRA, and passes of answers."""
    benchmark = bench.round("hwu64", "1-5:1", 48, 16)
    loaded = load_model(bench.config.model)
    rows = _one_step(loaded, rows_for_memory_tokens(loaded, "hwu64", benchmark))
    loaded = load_model(bench.config.model)
    text = rows_of_text(loaded, "hwu64", benchmark)
    lora = _one_step(loaded, text)
    model = bench.fresh_model()
    teach(model, text.sequences)
    prompts = [model.chat.prompt_ids(example.query) for example in benchmark.rounds[0].test]
    run = RunContext(Streams(SEED), evaluation=EvaluationConfig(batch_size=16, max_new_tokens=64))
    untaught = bench.fresh_model()
    long = icl_prompts(bench, untaught)
    run_of_icl = RunContext(Streams(SEED), evaluation=ICL_SETTINGS)
    return [
        _profile(f"one training step of memory rows, batch {BATCH_SIZE}", lambda: rows.go(1)),
        _profile(f"one training step of LoRA, batch {BATCH_SIZE}", lambda: lora.go(1)),
        _profile(
            f"answering {len(prompts)} queries in 16 slots",
            lambda: generate(model, prompts, run, "profile"),
        ),
        _profile(
            f"ICL: answering {len(long)} queries behind {len(shared_prefix(long))} shared tokens",
            lambda: generate(untaught, long, run_of_icl, "profile"),
        ),
    ]


def _one_step(loaded: LoadedModel, work: Work) -> OwnTraining:
    """Prepare a training of one step, warmed up by one."""
    step = replace(work, sequences=work.sequences[:BATCH_SIZE])
    training = OwnTraining(loaded, step, BATCH_SIZE)
    training.go(1)
    return training


def _profile(what: str, action: Callable[[], object]) -> Profile:
    """Return the operators that took the most time of their own."""
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as measured:
        action()
    times: Counter[str] = Counter()
    for event in measured.key_averages(group_by_input_shape=True):
        times[operator_name(event.key, event.input_shapes)] += event.self_cpu_time_total
    total = times.total()
    return Profile(what, {name: time / total for name, time in times.most_common(SHOWN)})


def operator_name(operator: str, shapes: Sequence[Sequence[int]]) -> str:
    """Call an operator by what it does, and a product by its second matrix."""
    if operator in ("aten::mm", "aten::addmm"):
        num_rows, num_columns = shapes[-1] if operator == "aten::mm" else shapes[2]
        return f"products with {num_rows} x {num_columns} matrices"
    return PLAIN_NAMES.get(operator, operator)
