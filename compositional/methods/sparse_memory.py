"""sparse_memory: only the slots that a document uses more than other text does may move.

Lin et al. 2025 (arXiv 2510.15103): the slots of the highest TF-IDF over background batches train,
by SGD without momentum; see `slot_selection`. The slots are the neurons of the last blocks' own
MLPs (no new layer), those of the second MLPs that dual_mlp puts beside them, or those of a
product-key memory in the middle of the model, as in the paper. Each document's change is kept
apart, but was learned around those before it: only the last one can be taken out exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from compositional.errors import ResultsError, check_at_least, check_choice
from compositional.methods.background import background_batches
from compositional.methods.base import Traits
from compositional.methods.questions import (
    answer_alone,
    check_documents_fit,
    check_prompts_fit,
    keyed_documents,
)
from compositional.methods.slot_layers import NEURONS, check_slots, slot_layers
from compositional.methods.slot_selection import (
    ALL,
    RANDOM,
    SELECTIONS,
    TF_IDF,
    highest,
    random_scores,
    tf_idf_scores,
    tf_scores,
)
from compositional.models.blocks import check_share_of_blocks
from compositional.models.language_model import LanguageModel
from compositional.models.product_keys import ProductKeySettings, ProductKeySlots, fit_memories
from compositional.models.sparse_slots import SparseSlots
from compositional.run_context import RunContext
from compositional.states import State
from compositional.stopping import heed_stop
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Document, Example, Prediction, Round
from compositional.training.text_lesson import SGD, TextTraining, learn_text

BACKGROUND = "background."


@dataclass(frozen=True)
class SparseMemoryConfig:
    """Changes to the few slots that a document is about.

    Attributes:
        lr: Learning rate of SGD, without momentum or decay.
        slice_tokens: Tokens of a step; each sees all that stands before it.
        max_grad_norm: Gradients are scaled down to this norm; 0 for never.
        slots: `neurons` of the last blocks' MLPs, those of second MLPs beside them with
            `second_mlp`, or those of a memory with `product_keys`.
        share_of_blocks: Share of the blocks, the last ones, whose neurons are slots, or which get
            second MLPs.
        initial: File of an initialisation of second MLPs that `compositional meta-train` learned;
            empty for the frozen MLPs' copies with their last matrix zero.
        product_keys: Shape of the memory.
        selection: `tf_idf`, or for comparison `tf`, `random`, `all`.
        num_slots: Slots that a document may move.
        slots_per_token: Slots of a block that a token is said to use: the most active neurons, or
            those that each head of a memory reads.
        background_batches: Batches of other text over which df is counted.
    """

    lr: float = 10.0
    slice_tokens: int = 256
    max_grad_norm: float = 1.0
    slots: str = NEURONS
    share_of_blocks: float = 0.25
    initial: str = ""
    product_keys: ProductKeySettings = field(default_factory=ProductKeySettings)
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
        check_slots(self.slots, self.initial)
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
        layers, self.initial_sha256 = slot_layers(
            config.slots,
            model,
            config.slots_per_token,
            config.share_of_blocks,
            config.product_keys,
            config.initial,
        )
        self.memories = [layer for layer in layers if isinstance(layer, ProductKeySlots)]
        self.slots = SparseSlots(layers)
        model.attachments["slots"] = self.slots
        self._frequencies: list[Tensor] | None = None

    def learn(self, round_: Round, run: RunContext) -> None:
        """Learn the round's documents one after another."""
        for key, document in keyed_documents(round_):
            self.learn_document(key, document, round_.epochs, run)

    def learn_document(
        self, key: str, document: Document, passes: int, run: RunContext
    ) -> list[float]:
        """Learn one document, named by a key in the run's losses; return those of every step."""
        parameters = self.add(document, run)
        training = self.config.training
        return learn_text(key, self.model, document.text, passes, parameters, training, run)

    def add(self, document: Document, run: RunContext) -> list[torch.nn.Parameter]:
        """Choose the slots that a document may move, and return their values, still zero."""
        parameters = self.slots.add(document.name, self.select(document, run))
        run.budget.trained_parameters += sum(p.numel() for p in parameters)
        return parameters

    def select(self, document: Document, run: RunContext) -> list[Tensor]:
        """Return which slots a document may move, a tensor of places a block."""
        selection = self.config.selection
        if selection == TF_IDF or self.memories:
            self.prepare(run)
        ids = self.model.chat.text_ids(document.text)
        run.budget.input_tokens += len(ids)
        with self.slots.paused():  # what was learned has no say in it
            counts = self.slots.count(self._inputs(ids))
        if selection == TF_IDF:
            num_batches = self.config.background_batches
            scores = tf_idf_scores(counts, self._frequencies or [], num_batches)
        elif selection == RANDOM:
            scores = random_scores(counts, run.streams.generator("slots", document.name))
        else:
            scores = tf_scores(counts)
        num_all = sum(layer.size for layer in self.slots.layers)
        return highest(scores, num_all if selection == ALL else self.config.num_slots)

    def prepare(self, run: RunContext) -> None:
        """Count in how many background batches each slot is used, once.

        A memory's queries and keys are drawn first, over the same batches.

        Raises:
            PreemptedError: If the run was asked to stop; nothing is counted then.
        """
        if self._frequencies is not None:
            return
        batches = background_batches(self.model, self.config.background_batches)
        with self.slots.paused(), run.progress.bar("background", len(batches)) as bar:
            read = []
            frequencies = [torch.zeros(layer.size) for layer in self.slots.layers]
            for ids in batches:
                heed_stop(run)
                inputs = self._inputs(ids)
                bar.update(1)
                if self.memories:
                    read.append(inputs)
                else:
                    self._count(inputs, frequencies)
            if self.memories:
                fit_memories(self.memories, read, run.streams.generator("product keys"))
            for inputs in read:
                self._count(inputs, frequencies)
        run.budget.input_tokens += sum(map(len, batches))
        self._frequencies = frequencies

    def _count(self, inputs: Sequence[Tensor], frequencies: Sequence[Tensor]) -> None:
        """Add 1 to the frequency of every slot that a batch uses."""
        for count, frequency in zip(self.slots.count(inputs), frequencies, strict=True):
            frequency.add_((count > 0).cpu())

    @torch.inference_mode()
    def _inputs(self, ids: Sequence[int]) -> list[Tensor]:
        """Return what each layer of slots is given by a text, [1, tokens, width] each."""
        whole = torch.tensor([list(ids)], device=self.model.device)
        with self.slots.watched() as seen:
            self.model.backbone(input_ids=whole, use_cache=False, logits_to_keep=1)
        return list(seen)

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer from the question alone."""
        return answer_alone(self.model, examples, run)

    def can_forget(self, name: str) -> bool:
        """Whether it can be taken out exactly: those after it were learned around its change."""
        return list(self.slots.changes)[-1:] == [name]

    def forget(self, name: str) -> None:
        """Take a document's change away; see `can_forget`."""
        self.slots.remove(name)

    def describe(self) -> dict[str, object]:
        """Return how many slots there are, are used by other text, and have moved."""
        moved = [change for changes in self.slots.changes.values() for change in changes]
        found: dict[str, object] = {
            "slots": self.config.slots,
            "blocks with slots": len(self.slots.layers),
            "slots in all": sum(layer.size for layer in self.slots.layers),
            "slots moved": sum(len(change.slots) for change in moved),
            "trained parameters": sum(change.values.numel() for change in moved),
        }
        if self._frequencies is not None:
            used = sum(int((frequency > 0).sum()) for frequency in self._frequencies)
            found["slots that other text uses"] = used
        return found

    def state_dict(self) -> State:
        """Return the changes, and what was counted and drawn once for this model."""
        prepared = self.prepared()
        tensors = prepared.tensors | self.slots.state_dict()
        return State(tensors, {**prepared.metadata, "names": list(self.slots.changes)})

    def prepared(self) -> State:
        """Return what was counted and drawn once for this model, without any document."""
        tensors = self.slots.layers_state()
        for place, frequency in enumerate(self._frequencies or []):
            tensors[f"{BACKGROUND}{place}"] = frequency
        metadata: dict[str, object] = {"names": []}
        if self.initial_sha256:
            metadata["initial_sha256"] = self.initial_sha256
        return State(tensors, metadata)

    def load_state_dict(self, state: State) -> None:
        """Restore the changes; what an earlier state has not counted yet is kept.

        Raises:
            ResultsError: If they were learned with another initialisation.
        """
        learned_with = state.metadata.get("initial_sha256", "")
        if learned_with != self.initial_sha256:
            raise ResultsError(
                f"the state began with another initialisation ({learned_with[:12] or 'none'}) than "
                f"method.initial {self.config.initial!r} ({self.initial_sha256[:12] or 'none'})"
            )
        self.slots.load_state_dict(state.tensors, state.metadata["names"])
        found = [name for name in state.tensors if name.startswith(BACKGROUND)]
        if found:
            places = range(len(self.slots.layers))
            self._frequencies = [state.tensors[f"{BACKGROUND}{place}"] for place in places]
