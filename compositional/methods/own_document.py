"""The ceiling of a table of documents: each question with its own document in the context.

It is told which document a question is about, which no other method is. A document that was not
taught yet is not there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compositional.methods.base import Traits
from compositional.methods.questions import answer_prompts, prompt_ids
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import DOCUMENTS, Benchmark
from compositional.tasks.types import Example, Prediction, Round


@dataclass(frozen=True)
class OwnDocumentConfig:
    """The question's own document in the context; no settings."""

    tasks: ClassVar[tuple[str, ...]] = (DOCUMENTS,)

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "OwnDocument":
        """Build the method; each question must fit the window with its document."""
        whole = OwnDocument(model)
        for round_ in benchmark.rounds:
            whole.take(round_)
            for example in round_.test:
                num_tokens = len(whole.prompt(example))
                model.check_fits(num_tokens, 0, f"question {example.id} with its document")
        return OwnDocument(model)


class OwnDocument:
    """The method; see `OwnDocumentConfig`."""

    traits = Traits(sees=frozenset({"document"}))

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.texts: dict[str, str] = {}

    def take(self, round_: Round) -> None:
        """Keep the round's documents."""
        self.texts |= {document.name: document.text for document in round_.documents}

    def learn(self, round_: Round, run: RunContext) -> None:
        """Keep the round's documents, and count their bytes."""
        self.take(round_)
        run.budget.buffer_bytes = sum(len(text.encode()) for text in self.texts.values())

    def prompt(self, example: Example) -> list[int]:
        """Return the prompt with the document that the question is about, where it was taught."""
        own = self.texts.get(example.document)
        return prompt_ids(self.model, example, [] if own is None else [own])

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer each question from its own document."""
        prompts = [self.prompt(example) for example in examples]
        return answer_prompts(self.model, examples, prompts, run)

    def forget(self, name: str) -> None:
        """Take a document out exactly."""
        del self.texts[name]

    def state_dict(self) -> State:
        """Return the documents."""
        return State({}, {"texts": dict(self.texts)})

    def load_state_dict(self, state: State) -> None:
        """Restore the documents."""
        self.texts = dict(state.metadata["texts"])
