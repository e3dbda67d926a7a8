"""Build the files of one round: `python -m compositional.xlam_datasets --top_k 11-20 ...`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if not __package__:  # run as a file: the package is found above this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from compositional.cli.flags import parse_flags
from compositional.cli.main import guarded
from compositional.tasks.benchmark import prepare
from compositional.tasks.data_config import (
    DEFAULT_SOURCE,
    DEFAULT_TEST_SIZE,
    DEFAULT_TRAIN_SIZE,
    DataConfig,
)
from compositional.tasks.ranges import parse_top_k
from compositional.tasks.resolving import data_folder


@dataclass(frozen=True)
class XlamDatasetsFlags:
    """What a round's files are to hold.

    Attributes:
        train_size: Training examples, one-call and composed.
        test_size: Test examples.
        top_k: Number of tools, those with most rows first, or a range of ranks such as 11-20.
        max_samples_per_tool: Training rows of each tool that are used; all without it.
        train_multi_tool_ratios: Shares of 2, 3, ... calls among composed training examples, such
            as 0.5,0.5; equal without it.
        test_multi_tool_ratios: The same for test examples.
        train_max_function_calls: Calls of a training example at most.
        test_max_function_calls: Calls of a test example at most.
        test_one_call: Whether the test set holds one-call queries too.
        num_unanswerable: Queries that no tool answers, in a file of their own.
        output_dir: Folder of the files; `data/<source>-seed<seed>` without it.
        source: Where rows come from: `bfcl`, a .json, .jsonl or .parquet file in the xLAM row
            schema, or a Hub id.
        revision: Commit or tag of a Hub data set.
        seed: Seed of the split and of composition.
        data_seed: The same; takes the place of seed where given.
    """

    train_size: int = DEFAULT_TRAIN_SIZE
    test_size: int = DEFAULT_TEST_SIZE
    top_k: int | str = 20
    max_samples_per_tool: int | None = None
    train_multi_tool_ratios: tuple[float, ...] = ()
    test_multi_tool_ratios: tuple[float, ...] = ()
    train_max_function_calls: int = 4
    test_max_function_calls: int = 4
    test_one_call: bool = True
    num_unanswerable: int = 0
    output_dir: Path | None = None
    source: str = DEFAULT_SOURCE
    revision: str | None = None
    seed: int = 42
    data_seed: int | None = None


def xlam_datasets(flags: XlamDatasetsFlags) -> None:
    """Build a round's files and print what they hold; files that are there already stay.

    Raises:
        CompositionalError: If they cannot be built, or other files stand in their place.
    """
    config = DataConfig(
        source=flags.source,
        revision=flags.revision,
        data_dir=flags.output_dir,
        training_rounds=str(parse_top_k(str(flags.top_k))),
        samples_per_tool=flags.max_samples_per_tool,
        train_size=flags.train_size,
        test_size=flags.test_size,
        train_max_function_calls=flags.train_max_function_calls,
        test_max_function_calls=flags.test_max_function_calls,
        train_multi_tool_ratios=flags.train_multi_tool_ratios,
        test_multi_tool_ratios=flags.test_multi_tool_ratios,
        test_one_call=flags.test_one_call,
        num_unanswerable=flags.num_unanswerable,
        data_seed=flags.data_seed,
    )
    benchmark = prepare(config, flags.seed, exact=True)
    for line in benchmark.summary():
        print(line)
    print(f"files in {data_folder(config, flags.seed)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the flags, build, and return the exit code."""
    description = "Build the training, validation and test files of one round."
    return guarded(
        lambda: xlam_datasets(parse_flags(XlamDatasetsFlags, argv, "xlam_datasets", description))
    )


if __name__ == "__main__":
    raise SystemExit(main())
