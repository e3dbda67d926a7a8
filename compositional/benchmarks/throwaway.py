"""Configs of whole runs that a benchmark times in a folder that is thrown away."""

from pathlib import Path
from typing import Any

from compositional.config import RunConfig, resolve
from compositional.selection import merge


def throwaway_config(
    folder: Path, source: Path | str, num_rounds: int, tools_a_round: int, /, **over: Any
) -> RunConfig:
    """Return the config of memory tokens over rounds of one epoch, all of it in a folder.

    Args:
        folder: Takes the data, results and states.
        source: Where the rows come from.
        num_rounds: Rounds, of the most frequent tools on.
        tools_a_round: Tools of each.
        **over: Sections laid over the rest.
    """
    starts = range(1, num_rounds * tools_a_round + 1, tools_a_round)
    base = {
        "experiment": "throwaway",
        "data": {
            "source": str(source),
            "data_dir": str(folder / "data"),
            "training_rounds": ",".join(f"{n}-{n + tools_a_round - 1}:1" for n in starts),
            "test_max_function_calls": 1,
        },
        "evaluation": {"drift": False},
        "output": {
            "results_dir": str(folder / "results"),
            "checkpoint_dir": str(folder / "checkpoints"),
        },
        "method": {"name": "memory_tokens"},
    }
    return resolve(merge(base, over))
