"""How many processes were started together; this module imports nothing of what they need."""

import os
from datetime import timedelta

from compositional.errors import ConfigError

# How often a job of Slurm may be requeued when its run is stopped; not at all without it.
MAX_REQUEUES = "COMPOSITIONAL_MAX_REQUEUES"
# One process may wait for another's answers for long.
PATIENCE = timedelta(hours=24)


def launched_processes() -> int:
    """Return how many processes `accelerate launch`, torchrun or a scheduler started as one.

    Raises:
        ConfigError: If WORLD_SIZE, in which they say so, is no number.
    """
    text = os.environ.get("WORLD_SIZE", "1")
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"WORLD_SIZE is {text!r}; it must be a whole number from 1")
    return int(text)
