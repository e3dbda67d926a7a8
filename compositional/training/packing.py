"""From token ids to rows without padding: sequences laid end to end, each with its own positions.

transformers reads positions that begin anew, without an attention mask, as separate sequences: no
token sees one of another sequence. Not every model can be packed: see `models/packing_probe.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from compositional.training.batching import TokenSequence


@dataclass(frozen=True)
class Pack:
    """Sequences end to end in one row. Legend: s positions, t target tokens.

    Attributes:
        input_ids: [1, s]; the last token of a sequence predicts nothing and is left out.
        position_ids: [1, s], counted from each sequence's own start.
        predicting: [t], the positions whose logits predict the targets.
        targets: [t], the target tokens, sequence by sequence.
    """

    input_ids: Tensor
    position_ids: Tensor
    predicting: Tensor
    targets: Tensor


def pack(sequences: Sequence[TokenSequence], device: torch.device | str = "cpu") -> Pack:
    """Lay sequences end to end."""
    ids: list[int] = []
    positions: list[int] = []
    predicting: list[int] = []
    targets: list[int] = []
    for sequence in sequences:
        tokens = (sequence.prompt + sequence.target)[:-1]
        end = len(ids) + len(tokens)
        predicting += range(end - len(sequence.target), end)
        positions += range(len(tokens))
        ids += tokens
        targets += sequence.target
    return Pack(
        torch.tensor([ids], device=device),
        torch.tensor([positions], device=device),
        torch.tensor(predicting, device=device),
        torch.tensor(targets, device=device),
    )


def packed_logits(model: PreTrainedModel, batch: Pack) -> Tensor:
    """Return the logits that predict a pack's targets, [t, V + m]."""
    logits: Tensor = model(
        input_ids=batch.input_ids,
        position_ids=batch.position_ids,
        use_cache=False,
        logits_to_keep=batch.predicting,
    ).logits
    return logits[0]
