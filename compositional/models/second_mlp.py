"""Second MLPs beside the frozen ones of a decoder's last blocks, trained while the rest stays.

Each is a residual branch of its own: it reads what the frozen MLP reads, and what it gives is added
to what the block adds for that, behind a norm where the family has one there. It begins as the
frozen one's copy with its last matrix zero, so that attaching changes no bit and yet every gradient
of the last matrix is alive.
"""

import copy
import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from compositional.errors import ModelError
from compositional.models.blocks import added_by, blocks_of, mlp_of, output_of


class SecondMlps:
    """The second MLPs of a model; see the module.

    Args:
        backbone: Any decoder whose blocks have an MLP of one input.
        num_blocks: How many of the last blocks get one.

    Raises:
        ModelError: If the model's family is not known, or its MLPs read more than one tensor.
    """

    def __init__(self, backbone: PreTrainedModel, num_blocks: int) -> None:
        blocks = list(enumerate(blocks_of(backbone)))[-num_blocks:]
        self._blocks = {str(place): block for place, block in blocks}
        copies = {name: _copy(mlp_of(block)) for name, block in self._blocks.items()}
        self.modules = nn.ModuleDict(copies)
        self._handles: list[RemovableHandle] = []
        self.initial = self.state_dict()

    def attach(self) -> None:
        """Add the branches to the model."""
        for name, block in self._blocks.items():
            branch = _Branch(self.modules[name])
            self._handles.append(mlp_of(block).register_forward_pre_hook(branch.read))
            self._handles.append(added_by(block).register_forward_hook(branch.add))

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
    inputs = inspect.signature(mlp.forward).parameters.values()
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [i.name for i in inputs if i.default is i.empty and i.kind not in several]
    if len(needed) > 1:
        raise ModelError(
            f"{type(mlp).__name__} reads {', '.join(needed)}: a second MLP stands beside those "
            "that read one tensor; use another method or model"
        )
    second = copy.deepcopy(mlp).float().requires_grad_(False)
    for parameter in output_of(second).parameters():
        parameter.data.zero_()
    return second


class _Branch:
    """The hooks by which a second MLP stands beside the frozen one."""

    def __init__(self, second: nn.Module) -> None:
        self.second = second
        self._inputs: list[Tensor] = []

    def read(self, _frozen: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Keep what the frozen MLP reads."""
        self._inputs.append(inputs[0])

    def add(self, _last: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add what the branch gives to what goes into the residual stream."""
        given: Tensor = self.second(self._inputs.pop().float())
        return output + given.to(output.dtype)
