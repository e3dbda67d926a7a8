"""From token ids to a batch: padding, masks and labels.

Labels and attention are masked by length, never by the pad id: where pad and end are one token, a
masked end would never be learned. Sequences are padded on the left, so that the targets of a
batch end together and the head is computed at the last positions only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

IGNORED_LABEL = -100


@dataclass(frozen=True)
class TokenSequence:
    """A prompt and what should follow it.

    Attributes:
        prompt: Token ids that carry no loss.
        target: Token ids that carry the loss, the end token included.
        num_calls: Calls in the target, for a curriculum.
    """

    prompt: tuple[int, ...]
    target: tuple[int, ...]
    num_calls: int = 1


@dataclass(frozen=True)
class Batch:
    """Padded sequences. Legend: b sequences, s positions.

    Attributes:
        input_ids: [b, s].
        attention_mask: [b, s], 1 at tokens, 0 at padding.
        position_ids: [b, s], counted from each sequence's own start.
        labels: [b, s], the token at the same position, or `IGNORED_LABEL`.
        num_last: How many last positions hold all labels and the positions that predict them.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    labels: Tensor
    num_last: int

    @property
    def is_target(self) -> Tensor:
        """Which positions hold a target token, [b, s]."""
        return self.labels != IGNORED_LABEL

    def predicting(self, last: Tensor) -> Tensor:
        """Select where targets are predicted: [b, num_last, ...] to [t, ...], by sequence."""
        return last[:, :-1][self.is_target[:, -self.num_last :][:, 1:]]


def collate(
    sequences: Sequence[TokenSequence],
    pad_id: int,
    device: torch.device | str = "cpu",
    padding_side: str = "left",
) -> Batch:
    """Pad sequences into a batch.

    Args:
        sequences: b prompts with targets.
        pad_id: Id to fill with; any, since it is masked by length.
        device: Where the tensors go.
        padding_side: `left` or `right`; the loss is the same.
    """
    length = max(len(s.prompt) + len(s.target) for s in sequences)
    shape = (len(sequences), length)
    input_ids = torch.full(shape, pad_id, dtype=torch.long)
    mask = torch.zeros(shape, dtype=torch.long)
    labels = torch.full(shape, IGNORED_LABEL, dtype=torch.long)
    first_label = length
    for row, sequence in enumerate(sequences):
        tokens = torch.tensor(sequence.prompt + sequence.target)
        start = length - len(tokens) if padding_side == "left" else 0
        end = start + len(tokens)
        input_ids[row, start:end] = tokens
        mask[row, start:end] = 1
        labels[row, end - len(sequence.target) : end] = tokens[len(sequence.prompt) :]
        first_label = min(first_label, end - len(sequence.target))
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    return Batch(
        input_ids.to(device),
        mask.to(device),
        positions.to(device),
        labels.to(device),
        num_last=length - first_label + 1,
    )


def padded_logits(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Return the logits that predict a batch's t targets, sequence by sequence, [t, V + m]."""
    logits: Tensor = model(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        use_cache=False,
        logits_to_keep=batch.num_last,
    ).logits
    return batch.predicting(logits)
