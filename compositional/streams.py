"""Named random streams: each consumer of randomness has its own, derived from the run's seed.

A stream depends on its name and keys alone, never on how often another one was drawn from. So
evaluating, logging or resuming changes no training step, and nothing has to be saved: whoever
resumes at round 3, step 40 derives the stream of that step again.
"""

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Streams:
    """The random streams of one seed.

    Attributes:
        seed: The run's seed.
    """

    seed: int

    def integer(self, name: str, *keys: int | str) -> int:
        """Return a seed of 63 bits for a library that takes one.

        Args:
            name: Who draws, for example `order` or `bootstrap`.
            *keys: What sets this draw apart, for example the round and the step.
        """
        text = "\n".join(str(part) for part in (self.seed, name, *keys))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def generator(self, name: str, *keys: int | str) -> np.random.Generator:
        """Return a fresh NumPy generator for a name and keys; the same ones give the same draws."""
        return np.random.Generator(np.random.PCG64(self.integer(name, *keys)))
