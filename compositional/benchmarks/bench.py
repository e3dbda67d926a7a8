"""What several tables share: settings, data, model, the peers' process, the machine's limits."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch

from compositional.benchmarks.machine import product_rate, read_rate
from compositional.benchmarks.peers import Peers
from compositional.benchmarks.roofline import Machine, Sizes, sizes_of
from compositional.benchmarks.timing import Timing
from compositional.benchmarks.work import one_round
from compositional.errors import ConfigError, check_at_least
from compositional.models.language_model import LanguageModel
from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from compositional.tasks.benchmark import Benchmark


@dataclass(frozen=True)
class SpeedConfig:
    """What the tables are made with.

    Attributes:
        hwu64: Rows of HWU64 in the xLAM schema (`compositional convert hwu64`).
        sgd: Rows of SGD, likewise.
        model: Which model.
        repeats: Timed runs of each way, after a warm-up.
    """

    hwu64: Path | None = None
    sgd: Path | None = None
    model: ModelConfig = field(default_factory=ModelConfig)
    repeats: int = 5

    def __post_init__(self) -> None:
        """Refuse a median of nothing."""
        check_at_least("repeats", self.repeats, 1)


@dataclass(frozen=True)
class Line:
    """One comparison.

    Attributes:
        work: What was done.
        against: What it stands beside.
        ours: Our seconds.
        other: The other's seconds.
        unit: What is counted a second.
        count: How many of them one run holds.
        least: The ratio that has to be reached; None where none is set.
        same: How equality was checked, in words.
        is_same: Whether it held.
        roofline: The least seconds that the work takes on this machine; None where not computed.
    """

    work: str
    against: str
    ours: Timing
    other: Timing
    unit: str
    count: int
    least: float | None
    same: str
    is_same: bool
    roofline: float | None = None

    @property
    def ratio(self) -> float:
        """How many times as fast as the other, by medians."""
        return self.other.median / self.ours.median

    @property
    def fraction(self) -> float | None:
        """The share of the roofline that was reached."""
        return None if self.roofline is None else self.roofline / self.ours.median


class Bench:
    """What several tables need, made once.

    Args:
        config: Data, model, repeats.
    """

    def __init__(self, config: SpeedConfig) -> None:
        self.config = config
        self._peers: Peers | None = None

    @property
    def peers(self) -> Peers:
        """The peers' process."""
        if self._peers is None:
            self._peers = Peers()
        return self._peers

    def close(self) -> None:
        """End the peers' process, where one was started."""
        if self._peers is not None:
            self._peers.close()

    def round(self, name: str, training_rounds: str, num_train: int, num_test: int) -> Benchmark:
        """Build a round of `hwu64` or `sgd`; see `path`."""
        return one_round(self.path(name), training_rounds, num_train, num_test)

    def path(self, name: str) -> Path:
        """Return the file of `hwu64` or `sgd`.

        Raises:
            ConfigError: If it was not given.
        """
        path: Path | None = getattr(self.config, name)
        if path is None:
            raise ConfigError(
                f"the tables need --{name} FILE, rows as `compositional convert {name}` makes them"
            )
        return path

    def fresh_model(self) -> LanguageModel:
        """Load the model anew."""
        return LanguageModel(load_model(self.config.model))

    def plain_model(self) -> LanguageModel:
        """Load the model anew as transformers has it."""
        return LanguageModel(load_model(replace(self.config.model, packed_weights=False)))

    @cached_property
    def kind(self) -> tuple[torch.device, torch.dtype]:
        """The device that the model is loaded to, and the number type of its weights."""
        loaded = load_model(self.config.model)
        return loaded.device, loaded.dtype

    @property
    def device(self) -> torch.device:
        """The device that the model is loaded to."""
        return self.kind[0]

    @cached_property
    def machine(self) -> Machine:
        """Measure what the machine reaches."""
        return Machine(product_rate(*self.kind), read_rate(*self.kind))

    @cached_property
    def sizes(self) -> Sizes:
        """Count the model's weights."""
        return sizes_of(self.fresh_model())
