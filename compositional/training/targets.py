"""The logits that predict the targets of sequences, packed where the model allows, else padded."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from compositional.models.language_model import LanguageModel
from compositional.models.parts import slices_of
from compositional.training.batching import TokenSequence, collate, padded_logits
from compositional.training.packing import pack, packed_logits


def target_logits(
    model: LanguageModel, sequences: Sequence[TokenSequence]
) -> tuple[Tensor, Tensor]:
    """Predict every target token from what stands before it in its sequence.

    Args:
        model: The model with all that is attached.
        sequences: Prompts with targets, 1 or more.

    Returns:
        The logits, [t, V + m], and the targets, [t], sequence by sequence.
    """
    if model.packs_sequences:
        lengths = [len(sequence.prompt) + len(sequence.target) for sequence in sequences]
        packs = [pack(sequences[chosen], model.device) for chosen in slices_of(lengths)]
        logits = torch.cat([packed_logits(model.backbone, batch) for batch in packs])
        return logits, torch.cat([batch.targets for batch in packs])
    batch = collate(sequences, model.chat.pad_id, model.device)
    return padded_logits(model.backbone, batch), batch.labels[batch.is_target]


def target_loss(model: LanguageModel, sequences: Sequence[TokenSequence]) -> Tensor:
    """Return the mean cross-entropy over all target tokens of the sequences, in fp32."""
    logits, targets = target_logits(model, sequences)
    return functional.cross_entropy(logits.float(), targets)


@torch.no_grad()
def target_hidden(
    model: LanguageModel, sequences: Sequence[TokenSequence]
) -> tuple[Tensor, Tensor]:
    """Return the hidden states that predict the targets, [t, d], and the targets, [t]."""
    seen: list[Tensor] = []
    head = model.backbone.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    try:
        _, targets = target_logits(model, sequences)
    finally:
        hook.remove()
    if model.packs_sequences:
        return torch.cat([hidden[0] for hidden in seen]), targets
    return collate(sequences, model.chat.pad_id, model.device).predicting(seen[0]), targets
