"""Several processes as one run: `accelerate launch` starts them, and each computes a share.

All of them run the same program. In a training step each takes a share of the rows, and gradients
are added up, so that all hold the same values; prompts are shared out to be answered, and the
answers are put together. A share is of the work in tokens, not of the count. Process 0 has the
run's folders; each of the others works on a copy of them that is thrown away (`own_folders.py`), so
that little else in the program knows of processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object, reduce
from torch import Tensor, nn

from compositional.errors import ConfigError
from compositional.launched import launched_processes
from compositional.preemption import SIGNALS

# One process may wait for another's answers for long.
PATIENCE = timedelta(hours=24)


@dataclass(frozen=True)
class Processes:
    """The processes that compute a run together.

    Attributes:
        count: How many they are.
        index: Which of them this is, from 0.
    """

    count: int = 1
    index: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that has the run's folders."""
        return self.index == 0

    def share(self, costs: Sequence[int]) -> list[int]:
        """Return the places of this process's share of some pieces of work, in order.

        The dearest piece goes first, each to the process that has the least so far (Graham 1969,
        longest processing time): no process has more than 4/3 of what is possible at best.

        Args:
            costs: Of every piece, the same in all processes.
        """
        loads = [0] * self.count
        own = []
        for place in sorted(range(len(costs)), key=lambda place: -costs[place]):
            taker = loads.index(min(loads))
            loads[taker] += costs[place]
            if taker == self.index:
                own.append(place)
        return sorted(own)

    def exchange(self, value: Any) -> list[Any]:
        """Return the values of all processes, in their order; all of them wait for each other."""
        return [value] if self.count == 1 else list(gather_object([value]))

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
        marks = [float(p.grad is not None) for p in parameters]
        marks += [float(signal == number) for number in SIGNALS]
        parts = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = [*(part.flatten().float() for part in parts), loss.new_tensor(marks)]
        total: Tensor = reduce(torch.cat([*flat, loss.reshape(1)]), "sum")
        sizes = [p.numel() for p in parameters]
        *sums, counted, losses = total.split([*sizes, len(marks), 1])
        counts = counted.tolist()
        for parameter, gradient, owners in zip(parameters, sums, counts, strict=False):
            if owners:
                parameter.grad = gradient.view_as(parameter).to(parameter.dtype)
        heard = zip(SIGNALS, counts[len(parameters) :], strict=True)
        return losses.sum(), next((int(number) for number, count in heard if count), None)


def join(device: str) -> Processes:
    """Join the processes that `accelerate launch` or a scheduler started, if there are several.

    Args:
        device: Where the run computes, as in `model.device`.

    Raises:
        ConfigError: If they do not find each other, or all would take one GPU.
    """
    count = launched_processes()
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
    return processes()


def processes() -> Processes:
    """Return the processes that were joined; this one alone where none were."""
    if not torch.distributed.is_initialized():
        return Processes()
    return Processes(torch.distributed.get_world_size(), torch.distributed.get_rank())
