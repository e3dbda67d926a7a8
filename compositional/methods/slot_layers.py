"""What the slots of sparse_memory are: neurons of the model, of second MLPs, or a memory's."""

from pathlib import Path

from compositional.errors import ConfigError, check_choice
from compositional.methods.dual_mlp import load_initial
from compositional.models.blocks import num_last_blocks
from compositional.models.language_model import LanguageModel
from compositional.models.neuron_slots import neuron_slots, second_mlp_slots
from compositional.models.product_keys import ProductKeySettings, product_key_slots
from compositional.models.second_mlp import SecondMlps
from compositional.models.sparse_slots import SlotLayer
from compositional.states import tensors_sha256

NEURONS, SECOND_MLP, PRODUCT_KEYS = "neurons", "second_mlp", "product_keys"
KINDS = (NEURONS, SECOND_MLP, PRODUCT_KEYS)


def check_slots(kind: str, initial: str) -> None:
    """Refuse an unknown kind of slots, and an initialisation that they have no use for.

    Raises:
        ConfigError: With what is allowed.
    """
    check_choice("slots", kind, KINDS)
    if initial and kind != SECOND_MLP:
        raise ConfigError(
            f"initial is {initial!r}, but slots are {kind!r}: second MLPs alone begin with a file, "
            f"set slots {SECOND_MLP}"
        )


def slot_layers(
    kind: str,
    model: LanguageModel,
    k: int,
    share_of_blocks: float,
    product_keys: ProductKeySettings,
    initial: str,
) -> tuple[list[SlotLayer], str]:
    """Return the layers of slots, and a digest of what they begin with, empty for nothing learned.

    Args:
        kind: One of `KINDS`.
        model: Second MLPs are attached to it.
        k: Slots of a block that a token is said to use.
        share_of_blocks: Share of the blocks, the last ones, of neurons and second MLPs.
        product_keys: Shape of a memory.
        initial: File of an initialisation of second MLPs; empty for none.

    Raises:
        ConfigError: If there are fewer than k slots, or fewer blocks than a memory needs.
        ModelError: If the model's family is not known, or the file is of another model or blocks.
        ResultsError: If the file is missing or is no saved state.
    """
    if kind == PRODUCT_KEYS:
        return list(product_key_slots(model.backbone, k, product_keys)), ""
    num_blocks = num_last_blocks(model.backbone, share_of_blocks)
    if kind == NEURONS:
        return neuron_slots(model.backbone, num_blocks, k), ""
    second, digest = SecondMlps(model.backbone, num_blocks), ""
    if initial:
        load_initial(Path(initial).expanduser(), second, model)
        model.attachments["second_mlp"] = second  # with it the model is not its backbone any more
        digest = tensors_sha256(sorted(second.state_dict().items()))
    second.attach()
    return second_mlp_slots(second, k), digest
