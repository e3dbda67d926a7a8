"""The tables that stand our way beside another: what each times, at which size."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from compositional.benchmarks.bench import Bench, Line
from compositional.benchmarks.decoding import (
    Comparison,
    Prompts,
    compare,
    in_continuous_batches,
    teach,
)
from compositional.benchmarks.roofline import decoding_seconds, lora_operations, rows_operations
from compositional.benchmarks.training import LORA, Race, race
from compositional.benchmarks.work import Work, rows_for_memory_tokens, rows_of_text
from compositional.generation.answers import Answer
from compositional.generation.padded import decode_padded
from compositional.generation.shared_prefix import shared_prefix
from compositional.generation.uncached import greedy
from compositional.methods.icl import IclConfig
from compositional.models.language_model import LanguageModel
from compositional.models.loading import load_model
from compositional.settings import EvaluationConfig

# Data, rows a step, rows, and how many times as fast as the peer it has to be.
MEMORY_ROWS = (
    ("hwu64", 4, 8, 1.7),
    ("hwu64", 16, 16, 2.5),
    ("sgd", 4, 8, 2.5),
    ("sgd", 16, 16, 3.5),
)
# Of which rows are taken at even distances: the lengths of the first few are not the data's.
ROWS_OF = 200
EPOCHS = 3
SAME_LOSS = 1e-4
TAUGHT_STEPS = 60
# Fewer would show little of the slots' refill: most of them would be the last to end.
NUM_ANSWERS = 64
NUM_CONTINUOUS = 24
SHORT = 512  # tokens of a prompt that only warms up
ICL_SETTINGS = EvaluationConfig(batch_size=8, max_new_tokens=32)
FORCED_SETTINGS = EvaluationConfig(batch_size=8, max_new_tokens=48)
GENERATE = "generate, padded batches in file order"
CONTINUOUS = "generate_batch, transformers' continuous batching"


def memory_rows(bench: Bench) -> list[Line]:
    """Memory rows over a frozen model, beside peft's trainable tokens under Trainer."""
    lines = []
    for name, batch_size, num_rows, least in MEMORY_ROWS:
        benchmark = bench.round(name, "1-5:1", ROWS_OF, 4)
        drawn = rows_for_memory_tokens(load_model(bench.config.model), name, benchmark)
        work = _at_even_distances(drawn, num_rows)
        config = bench.config
        found = race(config.model, bench.peers, work, batch_size, EPOCHS, config.repeats)
        what = f"memory rows, {name}, batch {batch_size}, {EPOCHS} epochs of {num_rows} rows"
        operations = rows_operations(bench.sizes, work, EPOCHS)
        lines.append(_training_line(bench, what, "peft TrainableTokens", found, least, operations))
    return lines


def lora(bench: Bench) -> list[Line]:
    """LoRA, beside trl's SFTTrainer."""
    lines = []
    for name, batch_size, num_rows in (("hwu64", 4, 16), ("sgd", 4, 8)):
        benchmark = bench.round(name, "1-5:1", ROWS_OF, 4)
        drawn = rows_of_text(load_model(bench.config.model), name, benchmark)
        work = _at_even_distances(drawn, num_rows)
        found = race(bench.config.model, bench.peers, work, batch_size, 1, bench.config.repeats)
        what = f"LoRA, {name}, batch {batch_size}, {num_rows} rows"
        operations = lora_operations(bench.sizes, work, 1)
        lines.append(_training_line(bench, what, "trl SFTTrainer", found, 1.3, operations))
    return lines


def _at_even_distances(drawn: Work, num_rows: int) -> Work:
    """Return as many of `ROWS_OF` rows."""
    return replace(drawn, sequences=drawn.sequences[:: ROWS_OF // num_rows][:num_rows])


def _training_line(
    bench: Bench, what: str, against: str, found: Race, least: float, operations: float
) -> Line:
    return Line(
        work=what,
        against=against,
        ours=found.ours,
        other=found.peer,
        unit="samples",
        count=found.num_samples,
        least=least,
        same=f"losses within {found.largest_gap:.1e}",
        is_same=found.largest_gap <= SAME_LOSS,
        roofline=operations / bench.machine.product_rate,
    )


def evaluation(bench: Bench) -> list[Line]:
    """Answers of a model that has learned the round, beside padded batches in file order."""
    benchmark = bench.round("hwu64", "1-5:1", 4 * TAUGHT_STEPS, NUM_ANSWERS)
    model, plain = bench.fresh_model(), bench.plain_model()
    teach(model, rows_of_text(load_model(bench.config.model), "hwu64", benchmark).sequences)
    assert model.lora is not None
    plain.add_lora(LORA).load_state_dict(model.lora.state_dict())
    prompts = [model.chat.prompt_ids(example.query) for example in benchmark.rounds[0].test]
    settings = EvaluationConfig(batch_size=16, max_new_tokens=128)
    padded = compare(model, plain, prompts, settings, bench.config.repeats, warm=prompts[:16])
    some = prompts[:NUM_CONTINUOUS]
    continuous = compare(
        model,
        plain,
        some,
        settings,
        bench.config.repeats,
        other=lambda chosen: in_continuous_batches(plain, chosen, settings),
        warm=some[:1],
    )
    return [
        _decoding_line(bench, _answers(prompts), GENERATE, padded, 2.0, prompts, 16),
        _decoding_line(bench, _answers(some), CONTINUOUS, continuous, None, some, 16),
    ]


def _answers(prompts: Prompts) -> str:
    return f"{len(prompts)} answers, hwu64, batch 16"


def icl(bench: Bench) -> list[Line]:
    """ICL with many tools in the prompt, beside each prompt whole.

    The other way answers one prompt at a time: without padding its attention needs no mask, so that
    it is faster than in batches of such long prompts.
    """
    model = bench.fresh_model()
    prompts, settings = icl_prompts(bench, model), ICL_SETTINGS
    plain, alone = bench.plain_model(), replace(settings, batch_size=1)

    def one_at_a_time(chosen: Prompts) -> list[Answer]:
        return decode_padded(plain, chosen, alone, None, lambda _count: None)

    repeats = min(3, bench.config.repeats)
    warm = [prompt[:SHORT] for prompt in prompts[:1]]
    found = compare(model, plain, prompts, settings, repeats, other=one_at_a_time, warm=warm)
    num_shared = len(shared_prefix(prompts))
    what = f"ICL, sgd, 50 tools, {len(prompts)} queries behind {num_shared} shared tokens"
    against = "generate, each prompt whole, one at a time"
    return [_decoding_line(bench, what, against, found, 8.0, prompts, 8, num_shared)]


def icl_prompts(bench: Bench, model: LanguageModel) -> Prompts:
    """Return eight queries, each behind the same 50 tools of sgd."""
    benchmark = bench.round("sgd", "1-50:1", 100, 8)
    method = IclConfig(tool_format="full").build(model, benchmark)
    method.toolbox.take(benchmark.rounds[0])
    return [method.prompt(example) for example in benchmark.rounds[0].test]


def forced(bench: Bench) -> list[Line]:
    """Decoding with ground-truth tools, beside one at a time without a cache."""
    model, plain = bench.fresh_model(), bench.plain_model()
    prompts, rows = forced_prompts(bench, [model, plain])

    def one_at_a_time(chosen: Prompts) -> list[Answer]:
        return [
            greedy(plain, prompt, FORCED_SETTINGS.max_new_tokens, expected)
            for prompt, expected in zip(chosen, rows, strict=False)
        ]

    repeats = bench.config.repeats
    warm = prompts[:1]
    found = compare(model, plain, prompts, FORCED_SETTINGS, repeats, rows, one_at_a_time, warm)
    what = f"{len(prompts)} answers with ground-truth tools, hwu64"
    return [_decoding_line(bench, what, "uncached, one at a time", found, 10.0, prompts, 8)]


def forced_prompts(bench: Bench, models: Sequence[LanguageModel]) -> tuple[Prompts, Prompts]:
    """Return eight queries and the ids of their right tools, which models get as memory rows."""
    benchmark = bench.round("hwu64", "1-5:1", 16, 8)
    work = rows_for_memory_tokens(load_model(bench.config.model), "hwu64", benchmark)
    assert work.initial is not None
    names = [skill.name for skill in benchmark.rounds[0].skills]
    for each in models:
        each.add_rows(decoupled=False).load(names, work.initial, work.initial)
    ids = {name: models[0].num_text_ids + place for place, name in enumerate(names)}
    test = benchmark.rounds[0].test
    prompts = [models[0].chat.prompt_ids(example.query) for example in test]
    return prompts, [[ids[str(step.skill)] for step in example.steps or ()] for example in test]


def _decoding_line(
    bench: Bench,
    what: str,
    against: str,
    found: Comparison,
    least: float | None,
    prompts: Prompts,
    batch_size: int,
    num_shared: int = 0,
) -> Line:
    same = "the same answers"
    if found.num_different:
        near = found.num_different - found.num_unexplained
        same = f"{found.num_different} answers differ, {near} of them at a near tie"
    return Line(
        work=what,
        against=against,
        ours=found.ours,
        other=found.other,
        unit="answers",
        count=len(found.answers),
        least=least,
        same=same,
        is_same=found.num_unexplained == 0,
        roofline=decoding_seconds(
            bench.sizes,
            bench.machine,
            [len(prompt) for prompt in prompts],
            num_shared,
            found.answers,
            batch_size,
        ),
    )


COMPARISONS: dict[str, Callable[[Bench], list[Line]]] = {
    "memory_rows": memory_rows,
    "lora": lora,
    "evaluation": evaluation,
    "icl": icl,
    "forced": forced,
}
