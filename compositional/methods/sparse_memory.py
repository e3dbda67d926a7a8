"""sparse_memory: only the slots that a document uses more than other text does may move.

Lin et al. 2025 (arXiv 2510.15103): a slot's score is its share of the document's uses times
log((|B| + 1) / (df + 1)), df the number of the |B| background batches that use it (TF-IDF). The
highest ones train, by SGD without momentum. Here the slots are the neurons of the last blocks' own
MLPs (variant B of two: no new layer), and each document's change is kept apart, so that it is taken
out exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from compositional.errors import check_at_least, check_choice
from compositional.methods.background import background_batches
from compositional.methods.base import Traits
from compositional.methods.questions import (
    answer_alone,
    check_documents_fit,
    check_prompts_fit,
    documents_of,
)
from compositional.models.blocks import check_share_of_blocks, num_last_blocks
from compositional.models.language_model import LanguageModel
from compositional.models.sparse_slots import SparseSlots
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Document, Example, Prediction, Round
from compositional.training.text_lesson import SGD, TextTraining, learn_text

TF_IDF, TF, RANDOM, ALL = "tf_idf", "tf", "random", "all"
SELECTIONS = (TF_IDF, TF, RANDOM, ALL)


@dataclass(frozen=True)
class SparseMemoryConfig:
    """Changes to the few slots that a document is about.

    Attributes:
        lr: Learning rate of SGD, without momentum or decay.
        slice_tokens: Tokens of a step; each sees all that stands before it.
        max_grad_norm: Gradients are scaled down to this norm; 0 for never.
        share_of_blocks: Share of the blocks, the last ones, whose neurons are slots.
        selection: `tf_idf`, or for comparison `tf`, `random`, `all`.
        num_slots: Slots that a document may move.
        slots_per_token: Slots of a block that a token is said to use, the most active ones.
        background_batches: Batches of other text over which df is counted.
    """

    lr: float = 10.0
    slice_tokens: int = 256
    max_grad_norm: float = 1.0
    share_of_blocks: float = 0.25
    selection: str = TF_IDF
    num_slots: int = 512
    slots_per_token: int = 32
    background_batches: int = 200

    @property
    def training(self) -> TextTraining:
        """How a document is learned."""
        return TextTraining(self.lr, SGD, self.slice_tokens, self.max_grad_norm)

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "SparseMemory":
        """Build the method; documents and questions must fit the model's window."""
        _ = self.training
        check_choice("selection", self.selection, SELECTIONS)
        for name in ("num_slots", "slots_per_token", "background_batches"):
            check_at_least(name, getattr(self, name), 1)
        check_share_of_blocks(self.share_of_blocks)
        model.check_whole("sparse_memory")
        check_documents_fit(model, benchmark)
        check_prompts_fit(model, benchmark)
        return SparseMemory(self, model)


class SparseMemory:
    """The method; see `SparseMemoryConfig`."""

    traits = Traits()

    def __init__(self, config: SparseMemoryConfig, model: LanguageModel) -> None:
        self.config = config
        self.model = model
        num_blocks = num_last_blocks(model.backbone, config.share_of_blocks)
        self.slots = SparseSlots(model.backbone, num_blocks)
        model.attachments["slots"] = self.slots
        self._document_counts: list[Tensor] | None = None

    def learn(self, round_: Round, run: RunContext) -> None:
        """Learn the round's documents one after another."""
        for number, document in enumerate(documents_of(round_), start=1):
            key = f"round {round_.index}, document {number}"
            self.learn_document(key, document, round_.epochs, run)

    def learn_document(
        self, key: str, document: Document, passes: int, run: RunContext
    ) -> list[float]:
        """Learn one document, named by a key in the run's losses; return those of every step."""
        chosen = self.select(document, run)
        parameters = self.slots.add(document.name, chosen)
        run.budget.trained_parameters += sum(p.numel() for p in parameters)
        training = self.config.training
        return learn_text(key, self.model, document.text, passes, parameters, training, run)

    def select(self, document: Document, run: RunContext) -> list[Tensor]:
        """Return which slots a document may move, a tensor of places a block."""
        ids = self.model.chat.text_ids(document.text)
        counts = [count.float() for count in self._counts([ids])[0]]
        total = sum(float(count.sum()) for count in counts)
        scores = [count / total for count in counts]
        if self.config.selection == TF_IDF:
            num_batches = self.config.background_batches
            scores = [
                tf * torch.log((num_batches + 1) / (df.to(tf) + 1))
                for tf, df in zip(scores, self._background(), strict=True)
            ]
        elif self.config.selection == RANDOM:
            rng = run.streams.generator("slots", document.name)
            scores = [torch.from_numpy(rng.random(len(count))).to(count) for count in counts]
        flat = torch.cat(scores)
        most = len(flat) if self.config.selection == ALL else min(self.config.num_slots, len(flat))
        taken = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
        taken[flat.topk(most).indices] = True
        return [part.nonzero().flatten() for part in taken.split([len(c) for c in counts])]

    def _counts(self, batches: Sequence[Sequence[int]]) -> list[list[Tensor]]:
        """Return the uses of every slot in each batch, by the model without any change."""
        with self.slots.paused():
            return [self._count(ids) for ids in batches]

    @torch.inference_mode()
    def _count(self, ids: Sequence[int]) -> list[Tensor]:
        """Return how many tokens use each slot, [slots] a block."""
        seen: list[list[Tensor]] = [[] for _ in range(self.slots.num_blocks)]
        handles = self.slots.watch(seen)
        try:
            whole = torch.tensor([list(ids)], device=self.model.device)
            self.model.backbone(input_ids=whole, use_cache=False, logits_to_keep=1)
        finally:
            for handle in handles:
                handle.remove()
        return self.slots.count([torch.cat(p) for p in seen], self.config.slots_per_token)

    def _background(self) -> list[Tensor]:
        """Return in how many background batches each slot is used; counted once."""
        if self._document_counts is None:
            batches = background_batches(self.model, self.config.background_batches)
            uses = self._counts(batches)
            self._document_counts = [
                torch.stack([counts[place] > 0 for counts in uses]).sum(dim=0)
                for place in range(self.slots.num_blocks)
            ]
        return self._document_counts

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer from the question alone."""
        return answer_alone(self.model, examples, run)

    def forget(self, name: str) -> None:
        """Take a document out exactly."""
        self.slots.remove(name)

    def describe(self) -> dict[str, object]:
        """Return how many slots there are and have moved."""
        moved = [len(c.slots) for changes in self.slots.changes.values() for c in changes]
        return {"blocks with slots": self.slots.num_blocks, "slots moved": sum(moved)}

    def state_dict(self) -> State:
        """Return the changes."""
        return State(self.slots.state_dict(), {"names": list(self.slots.changes)})

    def load_state_dict(self, state: State) -> None:
        """Restore the changes."""
        self.slots.load_state_dict(state.tensors, state.metadata["names"])
