"""What a user asks of the data: source, rounds, sizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compositional.errors import ConfigError, check_at_least
from compositional.tasks.ranges import (
    RoundPlan,
    ToolRange,
    check_disjoint,
    parse_round,
    parse_training_rounds,
)
from compositional.tasks.sources.opening import SourceName

DEFAULT_SOURCE = "bfcl"
DEFAULT_TRAIN_SIZE = 400
DEFAULT_TEST_SIZE = 100
# What shapes the rounds that are built, and means nothing where a single one is read from files.
_OF_ROUNDS = (
    "data_dir",
    "adaptation_tools",
    "samples_per_tool",
    "train_size",
    "test_size",
    "train_max_function_calls",
    "test_max_function_calls",
    "train_max_function_calls_per_round",
    "test_max_function_calls_per_round",
    "train_multi_tool_ratios",
    "test_multi_tool_ratios",
    "num_unanswerable",
    "num_mixed",
)

PER_ROUND = ("train_max_function_calls_per_round", "test_max_function_calls_per_round")
"""Settings that hold a value a round."""


@dataclass(frozen=True)
class DataConfig:
    """What is taught and asked.

    A value left at None (or an empty list) takes what the files in a `data_dir` that is named say,
    else the default in brackets.

    Attributes:
        source: Where rows come from: `bfcl`, a `.json`, `.jsonl` or `.parquet` file in the xLAM
            row schema, or a Hub id (bfcl).
        revision: Commit or tag of a Hub data set (the newest).
        data_dir: Folder of the round files (data/<source>-seed<seed>).
        training_rounds: Ranges of ranks and epochs such as `1-10:3,11-20`, in the order taught.
            Without it, one round is read from `train_file` and `test_file`.
        adaptation_tools: Range and epochs such as `51-60:1`, taught before round 1 as no column.
        samples_per_tool: Training rows of each tool that are used (all).
        train_size: Training examples a round, one-call and composed (400).
        test_size: Test examples a round (100).
        train_max_function_calls: Calls of a training example at most.
        test_max_function_calls: Calls of a test example at most.
        train_max_function_calls_per_round: The same, a value a round; the last one repeats.
        test_max_function_calls_per_round: The same, a value a round; the last one repeats.
        train_multi_tool_ratios: Shares of 2, 3, ... calls among composed examples (equal).
        test_multi_tool_ratios: Shares of 2, 3, ... calls among composed examples (equal).
        test_one_call: Whether test sets hold one-call queries too.
        num_unanswerable: Queries that no tool answers, a column of their own.
        num_mixed: Test examples that join queries of different rounds, asked after the last one;
            0 for none (test_size where there are two rounds or more, and two calls a query).
        data_seed: Seed of the split and of composition (the run's seed).
        train_file: Training file of a single round (function_calling_train.json).
        test_file: Test file of a single round (function_calling_test.json).
        tool_descriptions: File of a single round's tools; without it no schema is known. With it
            and a test file alone, nothing is trained.
        epochs: Passes over the training rows of a single round.
    """

    source: str | None = None
    revision: str | None = None
    data_dir: Path | None = None
    training_rounds: str | None = None
    adaptation_tools: str | None = None
    samples_per_tool: int | None = None
    train_size: int | None = None
    test_size: int | None = None
    train_max_function_calls: int = 4
    test_max_function_calls: int = 4
    train_max_function_calls_per_round: tuple[int, ...] = ()
    test_max_function_calls_per_round: tuple[int, ...] = ()
    train_multi_tool_ratios: tuple[float, ...] = ()
    test_multi_tool_ratios: tuple[float, ...] = ()
    test_one_call: bool = True
    num_unanswerable: int = 0
    num_mixed: int | None = None
    data_seed: int | None = None
    train_file: Path | None = None
    test_file: Path | None = None
    tool_descriptions: Path | None = None
    epochs: int = 1

    def __post_init__(self) -> None:
        """Refuse values and combinations that no data can have.

        Raises:
            ConfigError: On the first of them.
        """
        for name in ("samples_per_tool", "train_size", "test_size", "epochs"):
            check_at_least(name, getattr(self, name), 1)
        for name in ("num_unanswerable", "num_mixed"):
            check_at_least(name, getattr(self, name), 0)
        for split in ("train", "test"):
            name = f"{split}_max_function_calls"
            for calls in (getattr(self, name), *getattr(self, f"{name}_per_round")):
                check_at_least(name, calls, 1)
            _check_ratios(f"{split}_multi_tool_ratios", getattr(self, f"{split}_multi_tool_ratios"))
        if self.source is not None:
            SourceName(self.source, self.revision)
        if self.training_rounds is None:
            self._check_single_round()
        elif self.train_file or self.test_file or self.tool_descriptions:
            raise ConfigError(
                "training_rounds names files by its ranges: leave out train_file, test_file and "
                "tool_descriptions, or leave out training_rounds"
            )
        check_disjoint([plan.tools for plan in (*self.plans, *self.adaptation_plans)])

    @property
    def plans(self) -> tuple[RoundPlan, ...]:
        """The rounds in the order taught; `()` where a single round is read from two files."""
        return (
            parse_training_rounds(self.training_rounds) if self.training_rounds is not None else ()
        )

    @property
    def adaptation_plans(self) -> tuple[RoundPlan, ...]:
        """The range taught before round 1, if there is one."""
        return (parse_round(self.adaptation_tools),) if self.adaptation_tools else ()

    @property
    def ranges(self) -> tuple[ToolRange, ...]:
        """The ranges of the rounds in the order taught, without the adaptation."""
        return tuple(plan.tools for plan in self.plans)

    def max_calls(self, split: str, round_index: int) -> int:
        """Return the largest number of calls of a round's examples.

        Args:
            split: `train` or `test`.
            round_index: Index of the round, from 1; 0 for the adaptation.
        """
        values: Sequence[int] = getattr(self, f"{split}_max_function_calls_per_round")
        if not values:
            return int(getattr(self, f"{split}_max_function_calls"))
        return values[min(max(round_index, 1), len(values)) - 1]

    def _check_single_round(self) -> None:
        for name in _OF_ROUNDS:
            if (value := getattr(self, name)) not in (getattr(DataConfig, name), 0):
                raise ConfigError(
                    f"{name} {value} needs training_rounds, such as 1-10:3,11-20:3: without them "
                    "the rows of train_file and test_file are taken as they are"
                )


def _check_ratios(name: str, ratios: Sequence[float]) -> None:
    if ratios and (min(ratios) < 0 or abs(sum(ratios) - 1) > 1e-6):
        listed = ",".join(str(ratio) for ratio in ratios)
        raise ConfigError(f"{name} {listed}: shares of 2, 3, ... calls must sum to 1")
