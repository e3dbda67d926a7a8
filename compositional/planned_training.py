"""What a run would train on: the rows of each lesson, those that are replayed, their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from compositional.config import RunConfig
from compositional.methods.base import MethodConfig
from compositional.methods.bounds import JointConfig
from compositional.methods.constant import ConstantConfig
from compositional.methods.icl import IclConfig
from compositional.methods.lora import LoraConfig
from compositional.methods.memory_tokens import MemoryTokensConfig
from compositional.methods.own_document import OwnDocumentConfig
from compositional.methods.prompts import text_sequence
from compositional.methods.rag import RagConfig
from compositional.methods.text_rag import TextRagConfig
from compositional.methods.zero_shot import ZeroShotConfig
from compositional.models.language_model import LanguageModel
from compositional.runner import Prepared
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Example, Round
from compositional.training.replay import exact_ratio, num_replayed

TRAIN_ON_ROWS = (LoraConfig, MemoryTokensConfig)
LEARN_AT_ONCE = (
    ConstantConfig, IclConfig, OwnDocumentConfig, RagConfig, TextRagConfig, ZeroShotConfig,
)  # fmt: skip


@dataclass(frozen=True)
class PlannedLesson:
    """The work of one training on rows.

    Attributes:
        num_rows: New rows.
        epochs: Passes over them.
        num_steps: Optimiser steps.
        num_replayed: Past rows that are added to the steps, over all epochs.
        num_tokens: Tokens of all rows that are seen, prompt and target.
    """

    num_rows: int
    epochs: int
    num_steps: int
    num_replayed: int
    num_tokens: int

    def __str__(self) -> str:
        """Return it in words."""
        replayed = f", {self.num_replayed} replayed rows" if self.num_replayed else ""
        return (
            f"{self.num_rows} rows x {self.epochs} epochs, {self.num_steps} steps{replayed}, "
            f"{self.num_tokens} tokens"
        )


def is_estimated(method: MethodConfig) -> bool:
    """Whether it is known how long a method learns: it trains on rows, or learns at once."""
    return isinstance(_inner(method), TRAIN_ON_ROWS + LEARN_AT_ONCE)


def planned_lesson(prepared: Prepared, config: RunConfig, lesson: Round) -> PlannedLesson | None:
    """Count what a lesson trains on; None where it trains on no rows.

    Replayed rows are taken to be as long as past rows are on average.

    Args:
        prepared: Its rounds and its model.
        config: The run.
        lesson: One of the run's lessons.
    """
    if not _trains_on_rows(config.method, lesson):
        return None
    model, rounds = prepared.model, prepared.benchmark.rounds
    rows = _rows_of(config.method, lesson, prepared.benchmark)
    num_steps = -(-len(rows) // config.training.batch_size) * lesson.epochs
    num_tokens = _row_tokens(model, rows) * lesson.epochs
    replayed = 0
    past = [example for round_ in rounds[: max(0, lesson.index - 1)] for example in round_.train]
    if past:
        replayed = num_replayed(len(rows) * lesson.epochs, _replay_ratio(config.method))
        num_tokens += round(replayed * _row_tokens(model, past) / len(past))
    return PlannedLesson(len(rows), lesson.epochs, num_steps, replayed, num_tokens)


def _inner(method: MethodConfig) -> MethodConfig:
    """Return what a bound wraps, or the method itself."""
    inner: MethodConfig = getattr(method, "of", method)
    return inner


def _trains_on_rows(method: MethodConfig, lesson: Round) -> bool:
    """Whether a method takes gradient steps on a lesson's rows; a bound does where its own does."""
    inner = _inner(method)
    is_frozen = getattr(inner, "between_rounds", None) == "freeze" and lesson.index > 1
    return isinstance(inner, TRAIN_ON_ROWS) and (not is_frozen or inner is not method)


def _replay_ratio(method: MethodConfig) -> Fraction:
    """Return the share of replayed rows among all rows; a bound starts afresh and replays none."""
    if isinstance(method, LoraConfig) and method.use_replay_buffer:
        return exact_ratio(method.replay_ratio)
    return Fraction(0)


def _rows_of(method: MethodConfig, lesson: Round, benchmark: Benchmark) -> Sequence[Example]:
    """Return the rows that a lesson trains on: the round's own, for joint training all so far."""
    if isinstance(method, JointConfig) and lesson.index > 0:
        rounds = benchmark.rounds[: lesson.index]
        return [example for round_ in rounds for example in round_.train]
    return lesson.train


def _row_tokens(model: LanguageModel, examples: Sequence[Example]) -> int:
    rows = [text_sequence(model, example) for example in examples]
    return sum(len(row.prompt) + len(row.target) for row in rows)
