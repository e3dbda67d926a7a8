"""The neurons of MLPs as slots: of a model's own, or of second ones that stand beside them."""

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from compositional.errors import ConfigError
from compositional.models.blocks import blocks_of, mlp_of, output_of
from compositional.models.second_mlp import SecondMlps
from compositional.models.sparse_slots import SlotLayer, output_sizes

OWN, SECOND = "own", "second"


class NeuronSlots:
    """The neurons of one MLP: what a slot writes is a column of the last matrix.

    Args:
        mlp: The MLP.
        k: Slots that a token is said to use, the most active ones.
        of: Whose it is: the block's `own`, or a `second` one, which computes in fp32.

    Raises:
        ConfigError: If the MLP has fewer neurons.
        ModelError: If the MLP's last matrix is not known.
    """

    def __init__(self, mlp: nn.Module, k: int, of: str = OWN) -> None:
        self.module = output_of(mlp)
        self.width, self.size = output_sizes(self.module)
        self.k = k
        self.of = of
        if k > self.size:
            raise ConfigError(f"slots_per_token is {k}; an MLP of this model has {self.size} slots")

    def used(self, inputs: Tensor) -> Tensor:
        """Return the most active neurons of each token, [tokens, k]."""
        return inputs.reshape(-1, self.size).abs().topk(self.k, dim=-1).indices

    def activity(self, inputs: Tensor) -> Tensor:
        """Return the activations, which are the inputs of the last matrix."""
        return inputs

    def settings(self) -> dict[str, Any]:
        """Return whose neurons they are; `k` has no say in what is computed."""
        return {"neurons": self.of}

    def state_dict(self) -> dict[str, Tensor]:
        """Return nothing: the neurons are there without a document."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take nothing."""


def neuron_slots(backbone: PreTrainedModel, num_blocks: int, k: int) -> list[SlotLayer]:
    """Return the neurons of so many last blocks as slots; see `NeuronSlots`."""
    return [NeuronSlots(mlp_of(block), k) for block in blocks_of(backbone)[-num_blocks:]]


def second_mlp_slots(second: SecondMlps, k: int) -> list[SlotLayer]:
    """Return the neurons of second MLPs as slots; see `NeuronSlots`.

    Their last matrices begin at zero, so that the first ones have no gradient. A slot's value has
    one all the same: it is added to the column of the last matrix and multiplied by the neuron's
    activation, which is not zero.
    """
    return [NeuronSlots(mlp, k, SECOND) for mlp in second.modules.values()]
