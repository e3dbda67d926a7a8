"""Answering, ours beside `model.generate` on padded batches in file order."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig

from compositional.benchmarks.machine import synchronise
from compositional.benchmarks.timing import Timing, alternate
from compositional.benchmarks.training import LORA
from compositional.benchmarks.work import SEED
from compositional.generation.answers import Answer
from compositional.generation.generate import generate
from compositional.generation.padded import decode_padded
from compositional.models.language_model import LanguageModel
from compositional.models.parts import MAX_PACK_TOKENS
from compositional.run_context import RunContext
from compositional.settings import EvaluationConfig, TrainingConfig
from compositional.streams import Streams
from compositional.training.batching import TokenSequence
from compositional.training.fit import ParameterGroup
from compositional.training.lesson import Lesson

Prompts = Sequence[Sequence[int]]
NEAR_TIE = 1e-3


@dataclass(frozen=True)
class Comparison:
    """Prompts answered in two ways.

    Attributes:
        answers: Ours.
        ours: Our seconds.
        other: Seconds of the other way.
        num_different: Prompts whose answers differ in a run of both.
        num_unexplained: Those of them whose answers differ by more than a near tie.
    """

    answers: Sequence[Answer]
    ours: Timing
    other: Timing
    num_different: int
    num_unexplained: int


def teach(model: LanguageModel, sequences: Sequence[TokenSequence]) -> None:
    """Train a LoRA adapter on rows once and merge it, so that answers are such as users see."""
    stack = model.add_lora(LORA)
    stack.attach(SEED)
    stack.train()
    run = RunContext(Streams(SEED), training=TrainingConfig(batch_size=4, checkpoint_seconds=1e9))
    lesson = Lesson("teach", model, sequences, 1, run)
    lesson.fit([ParameterGroup(stack.named_parameters(), lr=4e-3)])
    stack.freeze()
    stack.merge()


def compare(
    model: LanguageModel,
    plain: LanguageModel,
    prompts: Prompts,
    settings: EvaluationConfig,
    repeats: int,
    forced: Prompts | None = None,
    other: Callable[[Prompts], Sequence[Answer]] | None = None,
    warm: Prompts | None = None,
) -> Comparison:
    """Answer prompts in both ways in turn.

    Args:
        model: The model.
        plain: The same model as transformers has it, for the other way.
        prompts: In the order of their file.
        settings: Slots, or the batch of the other way, and the longest answer.
        repeats: Timed runs of each, after a warm-up.
        forced: Rows that replace chosen rows, for each prompt.
        other: The other way; padded batches in file order without it.
        warm: What the warm-up answers, where all would take long: first prompts, or shorter ones.
    """
    found: dict[str, list[Sequence[Answer]]] = {"ours": [], "other": []}

    def way(name: str, answer: Callable[[Prompts], Sequence[Answer]]) -> Callable[[], float]:
        def run() -> float:
            started = time.perf_counter()
            found[name].append(answer(prompts if found[name] or warm is None else warm))
            synchronise(model.device)
            return time.perf_counter() - started

        return run

    def ours(chosen: Prompts) -> Sequence[Answer]:
        fresh = RunContext(Streams(SEED), evaluation=settings)  # an empty store of answers
        return generate(model, chosen, fresh, "speed", forced and forced[: len(chosen)])

    def padded(chosen: Prompts) -> Sequence[Answer]:
        rows = forced and forced[: len(chosen)]
        return decode_padded(plain, chosen, settings, rows, lambda _count: None)

    theirs = other or padded
    timings = alternate({"ours": way("ours", ours), "other": way("other", theirs)}, repeats)
    gaps: dict[int, float] = {}
    for runs in zip(found["ours"][1:], found["other"][1:], strict=True):
        for place, (one, two) in enumerate(zip(*runs, strict=True)):
            if one != two:
                gap = first_gap(model, prompts[place], one, two)
                gaps[place] = max(gap, gaps.get(place, 0.0))
    unexplained = sum(gap > NEAR_TIE for gap in gaps.values())
    last = found["ours"][-1]
    return Comparison(last, timings["ours"], timings["other"], len(gaps), unexplained)


def in_continuous_batches(
    plain: LanguageModel, prompts: Prompts, settings: EvaluationConfig
) -> list[Answer]:
    """Answer prompts by transformers' own continuous batching, its memory bounded.

    Args:
        plain: The model as transformers has it.
        prompts: Each no longer than a page of 256 tokens less an answer.
        settings: How many answers side by side, and the longest answer.
    """
    chosen = GenerationConfig(
        max_new_tokens=settings.max_new_tokens,
        do_sample=False,
        eos_token_id=list(plain.stop_ids),
        pad_token_id=plain.chat.pad_id,
    )
    bounds = ContinuousBatchingConfig(
        num_blocks=2 * settings.batch_size,
        max_batch_tokens=MAX_PACK_TOKENS,
        max_requests_per_batch=settings.batch_size,
        use_cuda_graph=plain.device.type == "cuda",
    )
    backbone = cast(Any, plain.backbone)  # whose types do not know the mixin's method
    found = backbone.generate_batch(
        inputs=[list(prompt) for prompt in prompts],
        generation_config=chosen,
        continuous_batching_config=bounds,
    )
    answers = []
    for output in sorted(found.values(), key=lambda output: int(output.request_id.split("_")[-1])):
        ids = tuple(output.generated_tokens)
        ended = bool(ids) and ids[-1] in plain.stop_ids
        answers.append(Answer(ids[:-1] if ended else ids, ended))
    return answers


@torch.inference_mode()
def first_gap(model: LanguageModel, prompt: Sequence[int], one: Answer, two: Answer) -> float:
    """Return how far apart the two top logits lie where two answers first differ."""
    stop = model.stop_ids[0]
    ids = [[*answer.ids, *([stop] if answer.ended else [])] for answer in (one, two)]
    place = next(
        (n for n, (a, b) in enumerate(zip(*ids, strict=False)) if a != b), min(map(len, ids))
    )
    context = torch.tensor([[*prompt, *one.ids[:place]]], device=model.device)
    top = model.backbone(input_ids=context, use_cache=False).logits[0, -1].float().topk(2).values
    return float(top[0] - top[1])
