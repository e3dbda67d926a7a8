"""Routing rehearsal: keep the hidden states from which old examples chose their next row.

Once the backbone is frozen, the hidden state from which an example chooses its next memory row,
or the end, never changes. Such vectors are kept with their targets (no text), and while new rows
train, the cross-entropy of a draw of them over the vocabulary and all rows is added. So a new row
learns to stay quiet where an old one should speak. A kin of latent replay (Pellegrini et al. 2020,
arXiv 1912.01100) and REMIND (Hayes et al. 2020, arXiv 1910.02509).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from compositional.errors import check_at_least
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.training.batching import TokenSequence
from compositional.training.targets import target_hidden


@dataclass(frozen=True)
class RehearsalSettings:
    """How much is kept and how strongly it is rehearsed.

    Attributes:
        vectors_per_round: Vectors kept of each finished round; 0 switches rehearsal off.
        vectors_per_step: Vectors drawn for each training step.
        weight: Factor on their mean cross-entropy.
    """

    vectors_per_round: int = 0
    vectors_per_step: int = 48
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values that no rehearsal can have."""
        check_at_least("rehearsal.vectors_per_round", self.vectors_per_round, 0)
        check_at_least("rehearsal.vectors_per_step", self.vectors_per_step, 1)
        check_at_least("rehearsal.weight", self.weight, 0)


class RoutingMemory:
    """The vectors kept so far. Legend: n vectors, d hidden size.

    Args:
        settings: How much is kept and rehearsed.
    """

    def __init__(self, settings: RehearsalSettings) -> None:
        self.settings = settings
        self.vectors = torch.zeros(0, 0)
        self.targets = torch.zeros(0, dtype=torch.long)

    @property
    def num_bytes(self) -> int:
        """Bytes that the vectors and their targets take."""
        return self.vectors.nbytes + self.targets.nbytes

    def keep(
        self, model: LanguageModel, sequences: Sequence[TokenSequence], key: str, run: RunContext
    ) -> None:
        """Keep a uniform draw of the vectors of a finished round.

        Args:
            model: The model as it is after the round.
            sequences: The round's training rows.
            key: Names the round.
            run: Streams, and the batch size of training: that of evaluation changes no bit.
        """
        vectors, targets = _choices(model, sequences, run)
        rng = run.streams.generator("rehearsal", "keep", key)
        size = min(self.settings.vectors_per_round, len(targets))
        chosen = torch.from_numpy(rng.choice(len(targets), size, replace=False))
        self.vectors = torch.cat([self.vectors.reshape(-1, vectors.shape[1]), vectors[chosen]])
        self.targets = torch.cat([self.targets, targets[chosen]])
        run.budget.buffer_bytes = max(run.budget.buffer_bytes, self.num_bytes)

    def loss(self, model: LanguageModel, key: str, step: int, run: RunContext) -> Tensor:
        """Return the weighted cross-entropy of a step's draw of old choices."""
        rng = run.streams.generator("rehearsal", "draw", key, step)
        size = min(self.settings.vectors_per_step, len(self.targets))
        chosen = torch.from_numpy(rng.choice(len(self.targets), size, replace=False))
        hidden = self.vectors[chosen].to(model.device, model.backbone.dtype)
        logits = model.head(hidden).float()
        targets = self.targets[chosen].to(model.device)
        return self.settings.weight * functional.cross_entropy(logits, targets)


def _choices(
    model: LanguageModel, sequences: Sequence[TokenSequence], run: RunContext
) -> tuple[Tensor, Tensor]:
    """Return the hidden state before each row and each end, [n, d], and what was chosen, [n]."""
    vectors, targets = [], []
    size = run.training.batch_size
    for start in range(0, len(sequences), size):
        hidden, labels = target_hidden(model, sequences[start : start + size])
        is_choice = (labels >= model.num_text_ids) | (labels == model.chat.end_id)
        vectors.append(hidden[is_choice].float().cpu())
        targets.append(labels[is_choice].cpu())
    return torch.cat(vectors), torch.cat(targets)
