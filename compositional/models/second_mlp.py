"""Second MLPs beside the frozen ones of a decoder's last blocks, trained while the rest stays.

Each is a residual branch of its own: it reads what the frozen MLP reads, and what it gives is added
to what that gives. It begins as the frozen one's copy with its last matrix zero, so that attaching
changes no bit and yet every gradient of the last matrix is alive.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from compositional.models.blocks import blocks_of, mlp_of, output_of


class SecondMlps:
    """The second MLPs of a model; see the module.

    Args:
        backbone: Any decoder whose blocks have an MLP.
        num_blocks: How many of the last blocks get one.

    Raises:
        ModelError: If the model's family is not known.
    """

    def __init__(self, backbone: PreTrainedModel, num_blocks: int) -> None:
        blocks = list(enumerate(blocks_of(backbone)))[-num_blocks:]
        self._frozen = {str(place): mlp_of(block) for place, block in blocks}
        self.modules = nn.ModuleDict({name: _copy(mlp) for name, mlp in self._frozen.items()})
        self._handles: list[RemovableHandle] = []
        self.initial = self.state_dict()

    def attach(self) -> None:
        """Add the branches to the model."""
        for name, mlp in self._frozen.items():
            self._handles.append(mlp.register_forward_hook(_branch(self.modules[name])))

    def detach(self) -> None:
        """Take the branches off; the model is bit for bit as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Return what trains, by name."""
        return dict(self.modules.named_parameters())

    def settings(self) -> dict[str, Any]:
        """Return nothing: the tensors say it all."""
        return {}

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of all tensors by name."""
        return {name: p.detach().clone() for name, p in self.modules.named_parameters()}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""
        for name, parameter in self.modules.named_parameters():
            parameter.copy_(state[name])


def _copy(mlp: nn.Module) -> nn.Module:
    """Return a copy in fp32 whose last matrix is zero, frozen until it trains."""
    second = copy.deepcopy(mlp).float().requires_grad_(False)
    for parameter in output_of(second).parameters():
        parameter.data.zero_()
    return second


def _branch(second: nn.Module) -> Any:
    """Return the hook that adds a branch to what the frozen MLP gives."""

    def add(_frozen: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        branch: Tensor = second(inputs[0].float())
        return output + branch.to(output.dtype)

    return add
