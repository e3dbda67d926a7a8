"""Several processes as one run: `accelerate launch` starts them, and each computes a share.

All of them run the same program. In a training step each takes a share of the rows, and gradients
are added up, so that all hold the same values; prompts are shared out to be answered, and the
answers are put together. A share is of the work in tokens, not of the count. Process 0 has the
run's folders; each of the others works on a copy of them that is thrown away (`own_folders.py`), so
that little else in the program knows of processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object, reduce
from torch import Tensor, nn

from compositional.errors import ConfigError
from compositional.launched import PATIENCE, launched_processes
from compositional.preemption import SIGNALS
from compositional.shards import check_shards, largest_in_group


@dataclass(frozen=True)
class Processes:
    """The processes that compute a run together.

    Attributes:
        count: How many they are.
        index: Which of them this is, from 0.
        shards: How many neighbours hold one backbone together, and compute one share.
    """

    count: int = 1
    index: int = 0
    shards: int = 1

    @property
    def place(self) -> int:
        """Which share this process computes, from 0."""
        return self.index // self.shards

    @property
    def is_first(self) -> bool:
        """Whether this is the process that has the run's folders."""
        return self.index == 0

    def share(self, costs: Sequence[int]) -> list[int]:
        """Return the places of this process's share of some pieces of work, in order.

        Processes that hold one backbone together have one share.

        The dearest piece goes first, each to the process that has the least so far (Graham 1969,
        longest processing time): no process has more than 4/3 of what is possible at best.

        Args:
            costs: Of every piece, the same in all processes.
        """
        loads = [0] * (self.count // self.shards)
        own = []
        for place in sorted(range(len(costs)), key=lambda place: -costs[place]):
            taker = loads.index(min(loads))
            loads[taker] += costs[place]
            if taker == self.place:
                own.append(place)
        return sorted(own)

    def exchange(self, value: Any) -> list[Any]:
        """Return the values of all processes, in their order; all of them wait for each other."""
        return [value] if self.count == 1 else list(gather_object([value]))

    def heard(self, signal: int | None) -> int | None:
        """Return the signal that came to a process that computes this share; None for none."""
        if self.shards == 1:
            return signal
        return largest_in_group(signal, self.shards, PartialState().device.type)

    def add_gradients(
        self, parameters: Sequence[nn.Parameter], loss: Tensor, signal: int | None
    ) -> tuple[Tensor, int | None]:
        """Add up all processes' gradients, in place, and agree on a signal.

        A parameter without a gradient in any process stays without.

        Args:
            parameters: The same in all processes.
            loss: This process's part of the loss, a scalar.
            signal: The signal that came to this process; None for none.

        Returns:
            The sum of the losses, and the signal that all of them heed.
        """
        if self.count == 1:
            return loss, signal
        speaks = self.index % self.shards == 0  # the others of its group computed the same
        own = [p.grad if speaks else None for p in parameters]
        marks = [float(gradient is not None) for gradient in own]
        marks += [float(signal == number) for number in SIGNALS]
        parts = zip(own, parameters, strict=True)
        flat = [(torch.zeros_like(p) if g is None else g).flatten().float() for g, p in parts]
        last = loss.reshape(1) if speaks else loss.new_zeros(1)
        total: Tensor = reduce(torch.cat([*flat, loss.new_tensor(marks), last]), "sum")
        sizes = [p.numel() for p in parameters]
        *sums, counted, losses = total.split([*sizes, len(marks), 1])
        counts = counted.tolist()
        for parameter, gradient, owners in zip(parameters, sums, counts, strict=False):
            if owners:
                parameter.grad = gradient.view_as(parameter).to(parameter.dtype)
        heard = zip(SIGNALS, counts[len(parameters) :], strict=True)
        return losses.sum(), next((int(number) for number, count in heard if count), None)


def join(device: str, shards: int) -> Processes:
    """Join the processes that `accelerate launch` or a scheduler started, if there are several.

    Args:
        device: Where the run computes, as in `model.device`.
        shards: How many of them hold one backbone, as in `model.shards`.

    Raises:
        ConfigError: If they do not find each other, all would take one GPU, or they cannot be
            divided into groups.
    """
    count = launched_processes()
    check_shards(shards, count)
    if count == 1:
        return Processes()
    if ":" in device:
        raise ConfigError(
            f"model.device is {device!r}, but {count} processes were started: name auto, and each "
            "takes a GPU of its own"
        )
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    state = PartialState(cpu=on_cpu, timeout=PATIENCE)
    if state.num_processes != count:
        raise ConfigError(
            f"WORLD_SIZE is {count}, but {state.num_processes} processes joined: RANK, LOCAL_RANK, "
            "MASTER_ADDR and MASTER_PORT must be set for each"
        )
    return processes(shards)


def processes(shards: int = 1) -> Processes:
    """Return the processes that were joined; this one alone where none were.

    Args:
        shards: How many of them hold one backbone.
    """
    if not torch.distributed.is_initialized():
        return Processes()
    return Processes(torch.distributed.get_world_size(), torch.distributed.get_rank(), shards)
