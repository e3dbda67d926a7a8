"""What the entry points share: the seed's flag names, turned into one run's config and run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compositional.errors import check_at_least

if TYPE_CHECKING:  # imported where a run begins: help and wrong flags need no model library
    from compositional.config import RunConfig


@dataclass(frozen=True)
class CommonFlags:
    """Flags that every entry point takes.

    Attributes:
        model_name: `smollm2`, a GGUF file, a local folder, or a Hub id.
        revision: Commit, tag or branch of a Hub model; the newest without it.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        dtype: `auto`, `float32`, `bfloat16` or `float16`.
        max_length: Longest sequence of prompt and answer, in tokens; a longer one is an error.
            Without it, the model's window.
        system_message: System message of every prompt.
        source: Where rows come from, if round files have to be built: `bfcl`, a file, a Hub id.
            Without it, what the files in a data_dir that is named were built from, else `bfcl`.
        data_dir: Folder of the round files; `data/<source>-seed<seed>` without it.
        data_seed: Seed of the split and of composition; the seed without it.
        training_rounds: Ranges of tools with their epochs, for example `1-10:3,11-20:3`. Without
            it, a single round is read from two files.
        train_file: Training file of a single round; `function_calling_train.json` without it.
        test_file: Test file of a single round; `function_calling_test.json` without it.
        tool_descriptions: Tools of a single round; without it, no schema is known.
        samples_per_tool: Training rows of each tool that are used; all without it.
        train_size: Training examples a round; without it those of a data_dir that is named, else
            400.
        test_size: Test examples a round; without it those of a data_dir that is named, else 100.
        train_max_function_calls: Calls of a training example at most.
        test_max_function_calls: Calls of a test example at most.
        train_max_function_calls_per_round: A value a round; the last one repeats.
        test_max_function_calls_per_round: A value a round; the last one repeats.
        num_unanswerable: Queries that no tool answers, a column of their own.
        num_mixed: Test examples that join queries of different rounds, asked after the last one;
            test_size without it, 0 for none.
        eval_after_each_round: Whether test sets are scored after every round, or at the end only.
        eval_all_previous: Whether all earlier rounds are scored after each round.
        eval_next_round: Whether the round to come is scored as well.
        eval_first_row: Whether the model is scored before any training.
        eval_batch_size: Answers generated side by side.
        max_new_tokens: Longest answer.
        drift: Whether the drift from the base model is measured.
        seed: Seed of everything.
        experiment: Folder of the results.
        run: Folder in it; the method's name without it, `auto` for the method and the id of its
            settings.
        results_dir: Folder of all experiments.
        checkpoint_dir: Folder of all states.
        save_checkpoints: Whether each round's trained tensors are kept.
        resume: Whether a run that was started goes on.
        tracker: `none` or `wandb`.
        log_file: File that the log is written to as well.
        demo: Examples of each round to print with their answers at the end.
        dry_run: Print the plan and stop.
    """

    model_name: str = "smollm2"
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    max_length: int | None = None
    system_message: str = ""
    source: str | None = None
    data_dir: Path | None = None
    data_seed: int | None = None
    training_rounds: str | None = None
    train_file: Path | None = None
    test_file: Path | None = None
    tool_descriptions: Path | None = None
    samples_per_tool: int | None = None
    train_size: int | None = None
    test_size: int | None = None
    train_max_function_calls: int = 4
    test_max_function_calls: int = 4
    train_max_function_calls_per_round: tuple[int, ...] = ()
    test_max_function_calls_per_round: tuple[int, ...] = ()
    num_unanswerable: int = 0
    num_mixed: int | None = None
    eval_after_each_round: bool = True
    eval_all_previous: bool = True
    eval_next_round: bool = True
    eval_first_row: bool = True
    eval_batch_size: int = 16
    max_new_tokens: int = 128
    drift: bool = True
    seed: int = 42
    experiment: str = "default"
    run: str | None = None
    results_dir: Path = Path("results")
    checkpoint_dir: Path = Path("checkpoints")
    save_checkpoints: bool = False
    resume: bool = False
    tracker: str = "none"
    log_file: Path | None = None
    demo: int = 0
    dry_run: bool = False


DATA_FLAGS = (
    "source",
    "data_dir",
    "data_seed",
    "training_rounds",
    "train_file",
    "test_file",
    "tool_descriptions",
    "samples_per_tool",
    "train_size",
    "test_size",
    "train_max_function_calls",
    "test_max_function_calls",
    "train_max_function_calls_per_round",
    "test_max_function_calls_per_round",
    "num_unanswerable",
    "num_mixed",
)
OUTPUT_FLAGS = ("results_dir", "checkpoint_dir", "save_checkpoints", "tracker")


def run_config(
    flags: CommonFlags,
    method: dict[str, Any],
    training: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    evaluation: dict[str, Any] | None = None,
) -> "RunConfig":
    """Turn an entry point's flags into the config of its run.

    Args:
        flags: What the user gave.
        method: The method's settings, its name among them.
        training: Settings of training; None for a method that does not train.
        data: Further settings of the data.
        evaluation: Further settings of evaluation.
    """
    from compositional.config import resolve

    return resolve(
        {
            "experiment": flags.experiment,
            "run": flags.run or method["name"],
            "seed": flags.seed,
            "model": {
                "name": flags.model_name,
                "revision": flags.revision,
                "dtype": flags.dtype,
                "device": flags.device,
                "system_message": flags.system_message,
                "max_length": flags.max_length,
            },
            "data": _picked(flags, DATA_FLAGS) | (data or {}),
            "training": training or {},
            "evaluation": {
                "max_new_tokens": flags.max_new_tokens,
                "batch_size": flags.eval_batch_size,
                "first_row": flags.eval_first_row,
                "every_round": flags.eval_after_each_round,
                "past_rounds": flags.eval_all_previous,
                "next_round": flags.eval_next_round,
                "drift": flags.drift,
                **(evaluation or {}),
            },
            "output": _picked(flags, OUTPUT_FLAGS),
            "method": method,
        }
    )


def _picked(flags: CommonFlags, names: Sequence[str]) -> dict[str, Any]:
    """Return some flags as plain values."""
    values = {name: getattr(flags, name) for name in names}
    return {
        name: str(value) if isinstance(value, Path) else value for name, value in values.items()
    }


def run_flags(flags: CommonFlags, config: "RunConfig") -> int:
    """Run an entry point's config; print its table, and examples where asked."""
    from compositional.demo import print_demo
    from compositional.experiment import run_all
    from compositional.logs import log_to
    from compositional.plan import print_plan
    from compositional.processes import processes

    check_at_least("--demo", flags.demo, 0)
    if flags.dry_run:
        print_plan([config])
        return 0
    with log_to(flags.log_file):
        run_all([config], resume=flags.resume)
    if flags.demo and processes().is_first:
        print_demo(config, flags.demo)
    return 0
