"""Folders of their own for the processes that only help to compute a run."""

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from compositional.config import RunConfig
from compositional.logs import LOGGER
from compositional.processes import Processes


@contextmanager
def in_own_folders(
    configs: Sequence[RunConfig], together: Processes
) -> Iterator[Sequence[RunConfig]]:
    """Let every process but the first work on copies of the runs' folders, and be silent.

    The first one goes on when the others have theirs. All must see the same folders.

    Args:
        configs: The runs of one experiment.
        together: The processes.
    """
    with ExitStack() as stack:
        if not together.is_first:
            temporary = Path(stack.enter_context(TemporaryDirectory()))
            configs = [_copied(config, temporary) for config in configs]
            LOGGER.setLevel(logging.ERROR)
            nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(redirect_stdout(nowhere))
        together.exchange(None)
        yield configs


def _copied(config: RunConfig, folder: Path) -> RunConfig:
    """Copy what stands of a run; return its config with the copies for folders."""
    output = config.output
    own = replace(
        output,
        results_dir=folder / "results",
        checkpoint_dir=folder / "checkpoints",
        tracker="none",
    )
    for source, target in (
        (output.results_dir, own.results_dir),
        (output.checkpoint_dir, own.checkpoint_dir),
    ):
        place = Path(config.experiment) / config.run
        if (source / place).exists():
            shutil.copytree(source / place, target / place, dirs_exist_ok=True)
    return replace(config, output=own)
