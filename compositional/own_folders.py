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
    output = replace(
        config.output,
        results_dir=folder / "results",
        checkpoint_dir=folder / "checkpoints",
        tracker="none",
    )
    own = replace(config, output=output)
    for source, target in (
        (config.results_folder, own.results_folder),
        (config.states_folder, own.states_folder),
    ):
        if source.exists():
            shutil.copytree(source, target)
    return own
