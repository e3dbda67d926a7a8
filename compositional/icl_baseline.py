"""The frozen model in context: every tool in the prompt, or those that a retriever finds.

`python -m compositional.icl_baseline`, or as a file. Flag names are the seed's; docs/flags.md
lists both defaults.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

if not __package__:  # run as a file: the package is found above this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from compositional.cli.entry_points import CommonFlags, run_config, run_flags
from compositional.cli.flags import parse_flags
from compositional.cli.main import guarded, noting
from compositional.errors import ConfigError


@dataclass(frozen=True)
class IclBaselineFlags(CommonFlags):
    """Flags of `icl_baseline`, beside the common ones.

    Attributes:
        test_data: Test file of a single round, with tool_descriptions; the seed's name of
            test_file.
        batch_size: Answers generated side by side; the seed's name of eval_batch_size.
        max_samples: Test examples at most, the first ones.
        use_rag: Whether a retriever chooses the tools in the prompt.
        retrieval_k: Tools that it chooses.
        retriever: `bm25`, `tfidf` or `dense`.
        demonstrations: Training rows of each tool in the prompt.
        tool_format: `compact` or `full`.
        instruction: What stands before the tools, in place of the usual words.
        output: File that takes the scores and all answers, as JSON.
    """

    test_data: Path | None = None
    batch_size: int | None = None
    max_samples: int | None = None
    use_rag: bool = False
    retrieval_k: int = 3
    retriever: str = "bm25"
    demonstrations: int = 0
    tool_format: str = "compact"
    instruction: str | None = None
    output: Path | None = None


def icl_baseline(flags: IclBaselineFlags) -> int:
    """Ask the frozen model with tools in its prompt, after every round."""
    refuse_contradictions(flags)
    method: dict[str, Any] = {
        "name": "icl",
        "demonstrations": flags.demonstrations,
        "tool_format": flags.tool_format,
    }
    if flags.instruction is not None:
        method["instruction"] = flags.instruction
    if flags.use_rag:
        method |= {"name": "rag", "retriever": flags.retriever, "k": flags.retrieval_k}
    data = {"test_file": str(flags.test_data)} if flags.test_data is not None else {}
    evaluation = {"max_examples": flags.max_samples}
    if flags.batch_size is not None:
        evaluation["batch_size"] = flags.batch_size
    config = run_config(flags, method, data=data, evaluation=evaluation)
    if flags.output is not None:
        check_writable(flags.output)
    code = run_flags(flags, config)
    if flags.output is not None and not flags.dry_run:
        from compositional.processes import processes
        from compositional.results import RunFolder

        if not processes().is_first:
            return code
        folder = RunFolder(config.results_folder)
        folder.export(flags.output)
    return code


def refuse_contradictions(flags: IclBaselineFlags) -> None:
    """Refuse flags that the method asked for does not take, and two names for one thing.

    Raises:
        ConfigError: With the first of them.
    """
    for name in ("retrieval_k", "retriever"):
        if not flags.use_rag and getattr(flags, name) != getattr(IclBaselineFlags, name):
            raise ConfigError(f"--{name} has no effect without --use_rag: leave it out")
    if None not in (flags.test_data, flags.test_file):
        raise ConfigError("--test_data and --test_file are one thing: give one of them")


def check_writable(path: Path) -> None:
    """Refuse a file that could not be written when the run is over.

    Raises:
        ConfigError: If its folder cannot be written, or a folder stands in its place.
    """
    try:
        standing = next(parent for parent in path.absolute().parents if parent.exists())
        with TemporaryFile(dir=standing):
            pass
    except OSError as error:
        raise ConfigError(f"cannot write the output {path}: {error.strerror}") from error
    if path.is_dir():
        raise ConfigError(f"cannot write the output {path}: it is a folder")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the flags and run."""
    with noting(argv):
        return guarded(
            lambda: icl_baseline(
                parse_flags(
                    IclBaselineFlags,
                    argv,
                    "icl_baseline",
                    "Ask the frozen model with tools in its prompt, after every round.",
                )
            )
        )


if __name__ == "__main__":
    raise SystemExit(main())
