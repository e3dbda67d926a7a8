"""knn_lm: every token of a document kept under the hidden state before it, mixed in at every step.

Khandelwal et al. 2020 (arXiv 1911.00172). Nothing trains; a document is taken out exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from compositional.errors import ConfigError, check_at_least
from compositional.methods.base import Traits
from compositional.methods.questions import (
    answer_alone,
    check_documents_fit,
    check_prompts_fit,
    documents_of,
)
from compositional.models.language_model import LanguageModel
from compositional.models.neighbours import NeighbourStore
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Example, Prediction, Round
from compositional.training.batching import TokenSequence
from compositional.training.targets import target_hidden


@dataclass(frozen=True)
class KnnLmConfig:
    """Nearest neighbours among the hidden states of what was taught.

    Attributes:
        k: Neighbours that count at a step.
        temperature: Of their squared distances, in units of the width.
        share: Lambda, what the neighbours' distribution weighs, above 0 and below 1.
    """

    k: int = 16
    temperature: float = 1.0
    share: float = 0.25

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "KnnLm":
        """Build the method; documents and questions must fit the model's window."""
        check_at_least("k", self.k, 1)
        if self.temperature <= 0:
            raise ConfigError(f"temperature is {self.temperature}; it must be above 0")
        if not 0 < self.share < 1:
            raise ConfigError(f"share is {self.share}; it must be above 0 and below 1")
        model.check_whole("knn_lm")
        check_documents_fit(model, benchmark)
        check_prompts_fit(model, benchmark)
        return KnnLm(self, model)


class KnnLm:
    """The method; see `KnnLmConfig`."""

    traits = Traits()

    def __init__(self, config: KnnLmConfig, model: LanguageModel) -> None:
        self.model = model
        self.store = NeighbourStore(model.backbone, config.k, config.temperature, config.share)
        model.attachments["neighbours"] = self.store

    def learn(self, round_: Round, run: RunContext) -> None:
        """Read the round's documents once, and keep their states."""
        for document in documents_of(round_):
            ids = self.model.chat.text_ids(document.text)
            row = TokenSequence(tuple(ids[:1]), tuple(ids[1:]))
            self.store.put(document.name, *target_hidden(self.model, [row]))
            run.budget.input_tokens += len(ids)
        tensors = self.store.state_dict().values()
        run.budget.buffer_bytes = sum(tensor.nbytes for tensor in tensors)

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer from the question alone, neighbours mixed in at every token."""
        return answer_alone(self.model, examples, run)

    def forget(self, name: str) -> None:
        """Take a document out exactly."""
        self.store.remove(name)

    def describe(self) -> dict[str, object]:
        """Return how many states are kept."""
        return {"states kept": sum(len(values) for values in self.store.values.values())}

    def state_dict(self) -> State:
        """Return keys and values."""
        return State(self.store.state_dict(), {"names": list(self.store.keys)})

    def load_state_dict(self, state: State) -> None:
        """Restore keys and values."""
        self.store.load_state_dict(state.tensors, state.metadata["names"])
