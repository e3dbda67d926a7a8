"""Training, ours beside a peer's: the same rows, batches, first values and optimiser."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from compositional.benchmarks.machine import synchronise
from compositional.benchmarks.peer_settings import peer_settings
from compositional.benchmarks.peers import Peers
from compositional.benchmarks.timing import Timing, alternate
from compositional.benchmarks.work import SEED, Work
from compositional.models.adapters import LoraSettings
from compositional.models.language_model import LanguageModel
from compositional.models.loading import LoadedModel, dtype_name, load_model
from compositional.models.model_config import ModelConfig
from compositional.models.model_folder import model_folder
from compositional.run_context import RunContext
from compositional.settings import TrainingConfig
from compositional.streams import Streams
from compositional.training.fit import ParameterGroup
from compositional.training.lesson import Lesson

KEY = "speed"
LR = 1e-3
LORA = LoraSettings()
# What peft puts before the names of a model that it wraps.
PEFT_PREFIX = "base_model.model."


@dataclass(frozen=True)
class Race:
    """One training by us and by a peer.

    Attributes:
        num_samples: Rows that either saw in one run.
        ours: Our seconds.
        peer: The peer's seconds.
        largest_gap: The largest difference between two losses of one step, over all runs.
    """

    num_samples: int
    ours: Timing
    peer: Timing
    largest_gap: float


class OwnTraining:
    """A training of ours, up to the point where the clock starts.

    Args:
        loaded: The model, freshly loaded.
        work: Memory rows, or rows of text for LoRA.
        batch_size: Rows a step.
    """

    def __init__(self, loaded: LoadedModel, work: Work, batch_size: int) -> None:
        self.model = LanguageModel(loaded)
        self.work = work
        training = TrainingConfig(
            batch_size=batch_size, warmup_ratio=0.0, scheduler="constant", checkpoint_seconds=1e9
        )
        self.run = RunContext(Streams(SEED), training=training)
        if work.initial is not None:
            rows = self.model.add_rows(decoupled=False)
            rows.begin([f"row {place}" for place in range(len(work.initial))], work.initial)
            self.parameters = rows.named_current()
        else:
            stack = self.model.add_lora(LORA)
            stack.attach(SEED)
            stack.train()
            self.parameters = stack.named_parameters()

    def lesson(self, epochs: int, num_rows: int | None = None) -> Lesson:
        """Return the lesson on the first rows, or all; frozen prompts are computed by this."""
        frozen = self.work.initial is not None
        rows = self.work.sequences[:num_rows]
        return Lesson(KEY, self.model, rows, epochs, self.run, prompts_are_frozen=frozen)

    def warm_up(self) -> None:
        """Train on one row and put the first values back: what a model does once is done."""
        first = {name: value.detach().clone() for name, value in self.parameters.items()}
        lesson = self.lesson(1, num_rows=1)
        lesson.fit([ParameterGroup(self.parameters, LR)])
        for name, value in self.parameters.items():
            value.data.copy_(first[name])

    def go(self, epochs: int) -> tuple[list[float], float]:
        """Train; return the loss of every step, and the seconds."""
        started = time.perf_counter()
        self.lesson(epochs).fit([ParameterGroup(self.parameters, LR)])
        synchronise(self.model.device)
        return self.run.losses[KEY], time.perf_counter() - started


def race(
    config: ModelConfig, peers: Peers, work: Work, batch_size: int, epochs: int, repeats: int
) -> Race:
    """Train the same rows in both ways, in turn.

    Args:
        config: The model; both load it anew for every run, outside the time.
        peers: The peers' process.
        work: Memory rows, or rows of text for LoRA; a multiple of `batch_size`.
        batch_size: Rows a step.
        epochs: Passes over the rows.
        repeats: Timed runs of each. Before its time each run warms up the model that it loaded by
            a step of one row, whose values it does not keep.
    """
    losses: list[float] = []
    gaps: list[float] = []
    with TemporaryDirectory() as folder:
        request = _request(config, work, batch_size, epochs, Path(folder))

        def ours() -> float:
            training = OwnTraining(load_model(config), work, batch_size)
            training.warm_up()
            losses[:], seconds = training.go(epochs)
            return seconds

        def peer() -> float:
            reply = peers.train(request)
            pairs = zip(losses, reply["losses"], strict=True)
            gaps.extend(abs(one - other) for one, other in pairs)
            return float(reply["seconds"])

        timings = alternate({"ours": ours, "peer": peer}, repeats, warm_up=False)
    return Race(len(work.sequences) * epochs, timings["ours"], timings["peer"], max(gaps))


def _request(
    config: ModelConfig, work: Work, batch_size: int, epochs: int, folder: Path
) -> dict[str, Any]:
    """Return what the peers' process is asked for; see `peer_process.py`."""
    loaded = load_model(config)
    own = OwnTraining(loaded, work, batch_size)
    order = [index for step in own.lesson(epochs).steps for index in step]
    rows: Sequence[tuple[Sequence[int], Sequence[int]]] = [
        (work.sequences[index].prompt, work.sequences[index].target) for index in order
    ]
    initial = folder / "initial.safetensors"
    save_file(_first_values(own, work), initial)
    training = "lora" if work.initial is None else "memory_rows"
    return {
        "training": training,
        "settings": peer_settings(training),
        "model": str(model_folder(config)),
        "rows": rows,
        "batch_size": batch_size,
        "lr": LR,
        "rank": LORA.rank,
        "alpha": LORA.alpha,
        "initial": str(initial),
        "device": loaded.device.type,
        "dtype": dtype_name(loaded.dtype),
        "threads": torch.get_num_threads(),
    }


def _first_values(own: OwnTraining, work: Work) -> dict[str, Tensor]:
    """Return the first values under the names that the peers know."""
    if work.initial is not None:
        return {"rows": work.initial.detach().cpu().contiguous()}
    return {
        PEFT_PREFIX + name: parameter.detach().cpu().contiguous()
        for name, parameter in own.parameters.items()
    }
