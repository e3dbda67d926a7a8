"""The logits that predict the targets of sequences, packed where the model allows, else padded."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from compositional.models.language_model import LanguageModel
from compositional.models.parts import slices_of
from compositional.training.batching import TokenSequence, collate, padded_logits
from compositional.training.packing import pack, packed_logits


def logits_by_pack(
    model: LanguageModel, sequences: Sequence[TokenSequence]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Predict every target token from what stands before it in its sequence, pack by pack.

    Args:
        model: The model with all that is attached.
        sequences: Prompts with targets, 1 or more.

    Yields:
        The logits, [t, V + m], and the targets, [t], of some sequences, in order; one pack's
        need not be kept while the next is computed.
    """
    if not model.packs_sequences:
        batch = collate(sequences, model.chat.pad_id, model.device)
        yield padded_logits(model.backbone, batch), batch.labels[batch.is_target]
        return
    lengths = [len(sequence.prompt) + len(sequence.target) for sequence in sequences]
    for chosen in slices_of(lengths):
        packed = pack(sequences[chosen], model.device)
        yield packed_logits(model.backbone, packed), packed.targets


def target_logits(
    model: LanguageModel, sequences: Sequence[TokenSequence]
) -> tuple[Tensor, Tensor]:
    """Return the logits and targets of all packs at once; see `logits_by_pack`."""
    logits, targets = zip(*logits_by_pack(model, sequences), strict=True)
    return torch.cat(logits), torch.cat(targets)


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
