"""LoRA on documents: on the raw text, or on the text and what the model makes of it itself.

The strong simple baseline of learning from documents; raw text alone is known to teach a model
little that it can answer with (SEAL, arXiv 2506.10943, table 2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from compositional.errors import check_at_least
from compositional.methods.base import Traits
from compositional.methods.questions import (
    answer_alone,
    check_rows_fit,
    document_rows,
    documents_of,
)
from compositional.methods.self_study import study
from compositional.models.adapters import LoraSettings
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Example, Prediction, Round
from compositional.training.fit import ParameterGroup
from compositional.training.lesson import Lesson


@dataclass(frozen=True)
class TextLoraConfig:
    """One LoRA adapter through all rounds of documents.

    Attributes:
        lr: Peak learning rate.
        weight_decay: Weight decay of the adapter.
        adapter: Shape of the adapter.
        slice_tokens: Tokens with a loss in a row of text.
        context_tokens: Tokens before them that the row sees.
        self_study: Sentences of a document that the model asks itself about and puts in other
            words before it learns, at the most; 0 for the raw text alone.
    """

    lr: float = 3e-3
    weight_decay: float = 0.0
    adapter: LoraSettings = field(default_factory=LoraSettings)
    slice_tokens: int = 256
    context_tokens: int = 256
    self_study: int = 0

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "TextLora":
        """Build the method; rows and questions must fit the model's window."""
        for name in ("lr", "weight_decay", "self_study"):
            check_at_least(name, getattr(self, name), 0)
        check_rows_fit(model, benchmark, self.slice_tokens, self.context_tokens)
        return TextLora(self, model)


class TextLora:
    """The method; see `TextLoraConfig`."""

    traits = Traits(reads_whole=False)

    def __init__(self, config: TextLoraConfig, model: LanguageModel) -> None:
        self.config = config
        self.model = model
        self.lora = model.add_lora(config.adapter)

    def learn(self, round_: Round, run: RunContext) -> None:
        """Train the adapter on the round's documents."""
        key, config, documents = f"round {round_.index}", self.config, documents_of(round_)
        is_new = not self.lora.attached
        rows = document_rows(self.model, documents, config.slice_tokens, config.context_tokens)
        if config.self_study:
            rows += study(self.model, documents, config.self_study, run)
        if is_new:
            self.lora.attach(run.streams.integer("lora"))
        lesson = Lesson(key, self.model, rows, round_.epochs, run)
        self.lora.train()
        adapter = self.lora.named_parameters()
        lesson.fit([ParameterGroup(adapter, config.lr, config.weight_decay, is_new)])
        self.lora.freeze()

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer from the question alone."""
        return answer_alone(self.model, examples, run)

    def describe(self) -> dict[str, object]:
        """Return the adapter's shape and how much of it trains."""
        adapter = self.config.adapter
        return {
            "adapter": f"rank {adapter.rank}, alpha {adapter.alpha:g}",
            "adapted layers": ", ".join(adapter.target_modules),
            "trained parameters": sum(p.numel() for p in self.lora.named_parameters().values()),
        }

    def state_dict(self) -> State:
        """Return the adapter."""
        return State({name: t.clone() for name, t in self.lora.state_dict().items()})

    def load_state_dict(self, state: State) -> None:
        """Restore the adapter."""
        self.lora.load_state_dict(state.tensors)
