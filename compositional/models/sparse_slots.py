"""The slots of a memory in some blocks of a frozen model, and small changes to what a few write.

A layer of slots says how much a token uses each of its slots. A change holds a value for some of
them; what a token uses of those is added to what the layer's module gives, for every token alike.
So the model stays causal, and taking the change away leaves it as it was. A change begins at zero:
adding it changes no bit, and the gradient of its values is alive.

Source: Lin et al. 2025 (sparse memory fine-tuning, arXiv 2510.15103).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


class SlotLayer(Protocol):
    """The slots of one block.

    Attributes:
        module: Its input says which slots a token uses; what they write is added to its output.
        size: How many slots there are.
        width: Width d of what a slot writes.
    """

    module: nn.Module
    size: int
    width: int

    def used(self, inputs: Tensor) -> Tensor:
        """Return the slots that each token uses, [tokens, uses], of the module's inputs."""
        ...

    def activity(self, inputs: Tensor) -> Tensor:
        """Return how much each token uses every slot, [..., size]."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return what it computes with beside the model and its state, as JSON holds it."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Return what it takes beside the frozen model to compute with these slots."""
        ...

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""
        ...


def output_sizes(output: nn.Module) -> tuple[int, int]:
    """Return what the last matrix of an MLP writes and reads: widths d and d_ff."""
    rows, columns = output.get_parameter("weight").shape
    # transformers' Conv1D is transposed.
    return (rows, columns) if isinstance(output, nn.Linear) else (columns, rows)


@dataclass(frozen=True)
class SlotChange:
    """What was added to some slots of one layer.

    Attributes:
        slots: Their places in the layer, [t].
        values: What is added to what they write, [t, d].
    """

    slots: Tensor
    values: nn.Parameter


class SparseSlots:
    """Layers of slots with the changes of several documents; see the module.

    Args:
        layers: In the order of the blocks.
    """

    def __init__(self, layers: Sequence[SlotLayer]) -> None:
        self.layers = list(layers)
        self.changes: dict[str, list[SlotChange]] = {}
        self._handles: list[RemovableHandle] = []

    def count(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Return how often each slot is used, [size] a layer.

        Args:
            inputs: What the module of each layer was given.
        """
        return [
            torch.bincount(layer.used(given).flatten(), minlength=layer.size)
            for layer, given in zip(self.layers, inputs, strict=True)
        ]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Compute without any change for a while."""
        kept, self.changes = self.changes, {}
        self._attach()
        try:
            yield
        finally:
            self.changes = kept
            self._attach()

    @contextmanager
    def watched(self) -> Iterator[list[Tensor]]:
        """Yield a list that takes what each layer's module is given in the pass under way."""
        seen: list[Tensor] = []

        def keep(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen.append(inputs[0].detach())

        handles = [layer.module.register_forward_pre_hook(keep) for layer in self.layers]
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()

    def add(self, name: str, slots: Sequence[Tensor]) -> list[nn.Parameter]:
        """Add a change of zeros on some slots; return what trains.

        Args:
            name: The document.
            slots: Of each layer, [t]; some may be empty.
        """
        self.changes[name] = [
            SlotChange(chosen.to(_device(layer)), _zeros(len(chosen), layer))
            for chosen, layer in zip(slots, self.layers, strict=True)
        ]
        self._attach()
        return [change.values for change in self.changes[name] if len(change.slots)]

    def remove(self, name: str) -> None:
        """Take a document's change away."""
        del self.changes[name]
        self._attach()

    def _attach(self) -> None:
        """Let each layer add the changes that it has; without any, nothing is hooked."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for place, layer in enumerate(self.layers):
            own = [changes[place] for changes in self.changes.values()]
            own = [change for change in own if len(change.slots)]
            if own:
                self._handles.append(layer.module.register_forward_hook(_adding(layer, own)))

    def settings(self) -> dict[str, Any]:
        """Return what answers depend on beside the tensors: the layers, the order of the sums."""
        layers = [layer.settings() for layer in self.layers]
        return {"layers": layers, "documents": list(self.changes)}

    def state_dict(self) -> dict[str, Tensor]:
        """Return every tensor by which the model differs from its backbone; none without changes.

        They are slots and values of every document and layer, and what the layers compute with.
        """
        state = self.layers_state() if self.changes else {}
        for name, changes in self.changes.items():
            for place, change in enumerate(changes):
                state[f"slots.{place}.{name}"] = change.slots
                state[f"values.{place}.{name}"] = change.values.detach().clone()
        return state

    def layers_state(self) -> dict[str, Tensor]:
        """Return what the layers compute with beside the frozen model."""
        return {
            f"layer.{place}.{key}": tensor
            for place, layer in enumerate(self.layers)
            for key, tensor in layer.state_dict().items()
        }

    def load_state_dict(self, state: dict[str, Tensor], names: Sequence[str]) -> None:
        """Restore what `state_dict` returned.

        Args:
            state: The tensors; layers of which it holds none stay as they are.
            names: The documents, in the order in which they were learned.
        """
        for place, layer in enumerate(self.layers):
            prefix = f"layer.{place}."
            own = {k.removeprefix(prefix): t for k, t in state.items() if k.startswith(prefix)}
            if own:
                layer.load_state_dict(own)
        self.changes = {}
        for name in names:
            places = range(len(self.layers))
            self.add(name, [state[f"slots.{place}.{name}"] for place in places])
            for place, change in enumerate(self.changes[name]):
                change.values.data.copy_(state[f"values.{place}.{name}"])
        self._attach()


def _device(layer: SlotLayer) -> torch.device:
    return next(layer.module.parameters()).device


def _zeros(num_slots: int, layer: SlotLayer) -> nn.Parameter:
    """Return a change of nothing, [t, d]."""
    zeros = torch.zeros(num_slots, layer.width, device=_device(layer))
    return nn.Parameter(zeros, requires_grad=False)


def _adding(layer: SlotLayer, changes: Sequence[SlotChange]) -> Any:
    """Return the hook that adds changes to what a layer's module gives."""

    def add(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        active = layer.activity(inputs[0])
        for change in changes:
            written = active[..., change.slots].float() @ change.values
            output = output + written.to(output.dtype)
        return output

    return add
