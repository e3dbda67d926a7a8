"""The neurons of frozen MLPs as the slots of a memory: which a text uses, small changes to some.

A slot is a neuron of an MLP: its activation says how much a token uses it, its column of the last
matrix is what it writes. A change adds to the columns of some slots, for every token alike: what
the model computes is that of a model whose columns were changed, so it stays causal, and taking
the change away leaves the model as it was.

Source: Lin et al. 2025 (sparse memory fine-tuning, arXiv 2510.15103), with the MLP's own neurons
in place of a product-key layer.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from compositional.models.blocks import blocks_of, mlp_of, output_of


@dataclass(frozen=True)
class SlotChange:
    """What was added to some slots of one block.

    Attributes:
        slots: Their places among the block's neurons, [t].
        values: What is added to their columns, [t, d].
    """

    slots: Tensor
    values: nn.Parameter


class SparseSlots:
    """The slots of a model's last blocks; see the module.

    Args:
        backbone: Any decoder whose blocks have an MLP.
        num_blocks: How many of the last blocks have slots.

    Raises:
        ModelError: If the model's family is not known.
    """

    def __init__(self, backbone: PreTrainedModel, num_blocks: int) -> None:
        blocks = blocks_of(backbone)[-num_blocks:]
        self._outputs = [output_of(mlp_of(block)) for block in blocks]
        self.changes: dict[str, list[SlotChange]] = {}
        self._handles: list[RemovableHandle] = []

    @property
    def num_blocks(self) -> int:
        """How many blocks have slots."""
        return len(self._outputs)

    def count(self, hidden: Sequence[Tensor], k: int) -> list[Tensor]:
        """Return how many tokens have each slot among their k most active, [slots] a block.

        Args:
            hidden: The activations of each block, [tokens, slots].
            k: Slots that a token uses in a block.
        """
        counts = []
        for active in hidden:
            used = active.abs().topk(k, dim=-1).indices.flatten()
            counts.append(torch.bincount(used, minlength=active.shape[-1]))
        return counts

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

    def watch(self, seen: list[list[Tensor]]) -> list[RemovableHandle]:
        """Let every pass add each block's activations to a list, until the handles are removed."""

        def note(place: int) -> Any:
            def keep(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
                active = inputs[0].detach()
                seen[place].append(active.reshape(-1, active.shape[-1]))

            return keep

        return [o.register_forward_pre_hook(note(n)) for n, o in enumerate(self._outputs)]

    def add(self, name: str, slots: Sequence[Tensor]) -> list[nn.Parameter]:
        """Add a change of zeros on some slots; return what trains.

        Args:
            name: The document.
            slots: Of each block, [t]; some may be empty.
        """
        self.changes[name] = [
            SlotChange(chosen, self._zeros(len(chosen), output))
            for chosen, output in zip(slots, self._outputs, strict=True)
        ]
        self._attach()
        return [change.values for change in self.changes[name] if len(change.slots)]

    def remove(self, name: str) -> None:
        """Take a document's change away."""
        del self.changes[name]
        self._attach()

    def _zeros(self, num_slots: int, output: nn.Module) -> nn.Parameter:
        """Return a change of nothing, [t, d], d being what the last matrix writes."""
        weight = output.get_parameter("weight")
        # transformers' Conv1D is transposed.
        width = weight.shape[0] if isinstance(output, nn.Linear) else weight.shape[1]
        zeros = torch.zeros(num_slots, width, device=weight.device)
        return nn.Parameter(zeros, requires_grad=False)

    def _attach(self) -> None:
        """Let each block add the changes that it has; without any, nothing is hooked."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for place, output in enumerate(self._outputs):
            own = [changes[place] for changes in self.changes.values()]
            own = [change for change in own if len(change.slots)]
            if own:
                self._handles.append(output.register_forward_hook(_adding(own)))

    def state_dict(self) -> dict[str, Tensor]:
        """Return slots and values of every document and block."""
        state = {}
        for name, changes in self.changes.items():
            for place, change in enumerate(changes):
                state[f"slots.{place}.{name}"] = change.slots
                state[f"values.{place}.{name}"] = change.values.detach().clone()
        return state

    def load_state_dict(self, state: dict[str, Tensor], names: Sequence[str]) -> None:
        """Restore what `state_dict` returned.

        Args:
            state: The tensors.
            names: The documents, in the order in which they were learned.
        """
        self.changes = {}
        for name in names:
            places = range(len(self._outputs))
            self.add(name, [state[f"slots.{place}.{name}"] for place in places])
            for place, change in enumerate(self.changes[name]):
                change.values.data.copy_(state[f"values.{place}.{name}"])


def _adding(changes: Sequence[SlotChange]) -> Any:
    """Return the hook that adds changes to what a last matrix writes."""

    def add(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        active = inputs[0]
        for change in changes:
            written = active[..., change.slots].float() @ change.values
            output = output + written.to(output.dtype)
        return output

    return add
