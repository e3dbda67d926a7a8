"""The frozen model in context: every tool in the prompt, or those that a retriever finds.

`python -m compositional.icl_baseline`, or as a file. Flag names are the seed's; docs/flags.md
lists both defaults.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compositional.cli.entry_points import CommonFlags, run_config, run_flags
from compositional.cli.flags import parse_flags
from compositional.cli.main import guarded
from compositional.results import RunFolder


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
        retriever: `bm25` or `dense`.
        demonstrations: Training rows of each tool in the prompt (ICL only).
        tool_format: `compact` or `full`.
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
    output: Path | None = None


def icl_baseline(flags: IclBaselineFlags) -> int:
    """Ask the frozen model with tools in its prompt, after every round."""
    if flags.use_rag:
        method = {"name": "rag", "retriever": flags.retriever, "k": flags.retrieval_k}
    else:
        method = {"name": "icl", "demonstrations": flags.demonstrations}
    method["tool_format"] = flags.tool_format
    data = {"test_file": str(flags.test_data)} if flags.test_data is not None else {}
    evaluation = {"max_examples": flags.max_samples}
    if flags.batch_size is not None:
        evaluation["batch_size"] = flags.batch_size
    config = run_config(flags, method, data=data, evaluation=evaluation)
    code = run_flags(flags, config)
    if flags.output is not None and not flags.dry_run:
        folder = RunFolder(config.output.results_dir / config.experiment / config.run)
        folder.export(flags.output)
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the flags and run."""
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
