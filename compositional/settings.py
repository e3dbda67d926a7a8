"""Settings that every method shares: how a training steps and how test examples are asked."""

from dataclasses import dataclass

from compositional.errors import ConfigError, check_at_least, check_choice

SPLITS = ("test", "validation")
SCHEDULERS = ("linear", "constant")
LIGER = "liger"
CROSS_ENTROPIES = ("torch", LIGER)


@dataclass(frozen=True)
class TrainingConfig:
    """What all trained methods share, so that their budgets are equal.

    Attributes:
        batch_size: New rows an optimiser step.
        warmup_ratio: Share of a round's steps in which the rate rises linearly from 0.
        scheduler: After the warm-up, `linear` falls to 0 and `constant` stays.
        max_grad_norm: Gradients are scaled down to this norm; 0 for never.
        curriculum_learning: Whether every epoch takes rows by their number of calls, fewest
            first, in place of a shuffle.
        checkpoint_seconds: How often the state inside a round is saved.
        prompt_cache_mib: MiB that keys and values of prompts may take which no training reaches;
            what does not fit is computed anew in each step.
        cross_entropy: What computes the loss of target tokens: `torch`, or `liger`, a kernel for
            GPUs that takes less memory (pip install -r requirements-gpu.txt).
    """

    batch_size: int = 4
    warmup_ratio: float = 0.1
    scheduler: str = "linear"
    max_grad_norm: float = 1.0
    curriculum_learning: bool = False
    checkpoint_seconds: float = 60.0
    prompt_cache_mib: int = 1024
    cross_entropy: str = "torch"

    def __post_init__(self) -> None:
        """Refuse values that no training can have."""
        check_at_least("training.batch_size", self.batch_size, 1)
        if not 0 <= self.warmup_ratio <= 1:
            raise ConfigError(f"warmup_ratio is {self.warmup_ratio}; it must be from 0 to 1")
        for name in ("max_grad_norm", "checkpoint_seconds", "prompt_cache_mib"):
            check_at_least(name, getattr(self, name), 0)
        check_choice("scheduler", self.scheduler, SCHEDULERS)
        check_choice("training.cross_entropy", self.cross_entropy, CROSS_ENTROPIES)


@dataclass(frozen=True)
class EvaluationConfig:
    """How test examples are asked and which cells are scored.

    Attributes:
        max_new_tokens: The longest answer, the same for every method.
        batch_size: Answers generated side by side.
        split: `test`, or `validation` for choosing settings.
        max_examples: Examples of each test set that are asked, the first ones; None for all.
        first_row: Whether the model is scored before any training (row 0).
        every_round: Whether columns are scored after every round, or after the last one only.
        past_rounds: Whether the columns of earlier rounds are scored again after each round.
        next_round: Whether the column after each round's own is scored as well.
        future_rounds: Whether all later columns are scored as well.
        drift: Whether the drift from the base model, and in rounds of documents the loss on plain
            texts, are measured after every round.
    """

    max_new_tokens: int = 128
    batch_size: int = 16
    split: str = "test"
    max_examples: int | None = None
    first_row: bool = True
    every_round: bool = True
    past_rounds: bool = True
    next_round: bool = True
    future_rounds: bool = False
    drift: bool = True

    def __post_init__(self) -> None:
        """Refuse values that no evaluation can have."""
        check_choice("split", self.split, SPLITS)
        for name in ("max_new_tokens", "batch_size", "max_examples"):
            check_at_least(f"evaluation.{name}", getattr(self, name), 1)
