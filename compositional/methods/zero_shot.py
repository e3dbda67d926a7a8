"""Zero-shot: the frozen model with an instruction and the query, no tool named."""

from collections.abc import Sequence
from dataclasses import dataclass

from compositional.generation.generate import generate
from compositional.methods.base import Traits
from compositional.methods.prompts import asked, request, text_predictions
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Example, Prediction, Round


@dataclass(frozen=True)
class ZeroShotConfig:
    """Zero-shot; it has no settings."""

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "ZeroShot":
        """Build the method; every prompt must fit the model's window."""
        for example in asked(benchmark):
            num_tokens = len(model.chat.prompt_ids(request(example.query)))
            model.check_fits(num_tokens, 0, f"the prompt of example {example.id}")
        return ZeroShot(model)


class ZeroShot:
    """The method; its answers are the same in every row."""

    traits = Traits()

    def __init__(self, model: LanguageModel) -> None:
        self.model = model

    def learn(self, round_: Round, run: RunContext) -> None:
        """Learn nothing."""

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer from the instruction and the query."""
        prompts = [self.model.chat.prompt_ids(request(example.query)) for example in examples]
        return text_predictions(self.model, generate(self.model, prompts, run, "answers"))

    def state_dict(self) -> State:
        """Return an empty state."""
        return State()

    def load_state_dict(self, state: State) -> None:
        """Restore nothing."""
