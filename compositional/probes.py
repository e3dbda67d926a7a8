"""What is measured of the model itself after every round, beside its answers."""

from typing import Protocol

from compositional.models.language_model import LanguageModel

DRIFT, HELD_OUT = "drift", "held_out"
"""Names of the probes, and of their folders among a run's files."""


class Probe(Protocol):
    """A measure of the model.

    Attributes:
        name: `drift` or `held_out`.
        has_first_row: Whether it says something of the untrained model.
    """

    name: str
    has_first_row: bool

    def measure(self, model: LanguageModel) -> list[float]:
        """Return a value a prompt or a text, in nats."""
        ...
