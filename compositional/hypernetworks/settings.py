"""How a hypernetwork is built and trained: the settings of `compositional train-hypernetwork`."""

from dataclasses import dataclass, fields

from compositional.errors import check_at_least, check_choice
from compositional.models.hypernetwork import HypernetworkShape
from compositional.models.hypernetwork_file import DOC, MODES
from compositional.models.last_blocks import LastBlocks
from compositional.training.context_distillation import DistillationObjective

GOLD, TEACHER = "gold", "teacher"


@dataclass(frozen=True)
class HypernetworkTraining:
    """How a hypernetwork is built and trained.

    Attributes:
        mode: `doc` for documents, `text` for descriptions of tasks.
        answers: `gold`, the right ones, or `teacher`, what the model answers with the context
            before the question.
        num_blocks: Last blocks of the model whose MLPs get LoRA.
        rank: Rank of the LoRA that a chunk becomes.
        bias_rank: Rank of the learned LoRA beside it; 0 for none.
        width: Width of the hypernetwork.
        depth: Its blocks.
        heads: Heads of its attention.
        steps: Optimiser steps.
        lr: Peak learning rate.
        kl: Weight of the teacher's KL divergence from the model with LoRA.
        ce: Weight of the cross-entropy on the answers.
        l1: Weight of the mean size of the generated LoRA's entries.
        distractors: Other contexts whose LoRA is added in each question.
        top_k: Log-probabilities of the teacher that are kept a token.
        chunk_tokens: The longest chunk of a context.
        cache_mib: What is kept of the data may take so many MiB on the disk.
        evaluate_every: Steps between two evaluations on the contexts kept apart; 0 for one at the
            end.
    """

    mode: str = DOC
    answers: str = GOLD
    num_blocks: int = 2
    rank: int = 8
    bias_rank: int = 8
    width: int = 128
    depth: int = 3
    heads: int = 4
    steps: int = 300
    lr: float = 2e-3
    kl: float = 1.0
    ce: float = 0.0
    l1: float = 0.0
    distractors: int = 0
    top_k: int = 32
    chunk_tokens: int = 256
    cache_mib: int = 2048
    evaluate_every: int = 100

    def __post_init__(self) -> None:
        """Refuse values that no training can have."""
        check_choice("mode", self.mode, MODES)
        check_choice("answers", self.answers, (GOLD, TEACHER))
        for name in ("steps", "top_k", "chunk_tokens"):
            check_at_least(name, getattr(self, name), 1)
        check_at_least("evaluate_every", self.evaluate_every, 0)
        _ = self.objective

    @property
    def objective(self) -> DistillationObjective:
        """What is minimised."""
        names = [field.name for field in fields(DistillationObjective)]
        return DistillationObjective(**{name: getattr(self, name) for name in names})

    def shape(self, blocks: LastBlocks) -> HypernetworkShape:
        """Return the sizes of the network for a model."""
        read, written = blocks.widths
        return HypernetworkShape(
            self.num_blocks,
            written,
            read,
            self.rank,
            self.bias_rank,
            self.width,
            self.depth,
            self.heads,
        )
