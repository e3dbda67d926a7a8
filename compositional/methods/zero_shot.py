"""Zero-shot: the frozen model with an instruction and the query, no tool named.

In rounds of documents this is the floor: what the model answers from what it knew before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from compositional.methods.base import Traits
from compositional.methods.prompts import INSTRUCTION, asked, request_ids
from compositional.methods.questions import answer_prompts, prompt_ids
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import TEXT, Example, Prediction, Round


@dataclass(frozen=True)
class ZeroShotConfig:
    """Zero-shot.

    Attributes:
        instruction: What stands before a query for tools.
    """

    instruction: str = INSTRUCTION

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "ZeroShot":
        """Build the method; every prompt must fit the model's window."""
        method = ZeroShot(self, model)
        for example in asked(benchmark):
            num_tokens = len(method.prompt(example))
            model.check_fits(num_tokens, 0, f"the prompt of example {example.id}")
        return method


class ZeroShot:
    """The method; its answers are the same in every row."""

    traits = Traits()

    def __init__(self, config: ZeroShotConfig, model: LanguageModel) -> None:
        self.config = config
        self.model = model

    def learn(self, round_: Round, run: RunContext) -> None:
        """Learn nothing."""

    def prompt(self, example: Example) -> list[int]:
        """Return the prompt of an example."""
        if example.form == TEXT:
            return prompt_ids(self.model, example)
        return request_ids(self.model, example.query, self.config.instruction)

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer from the instruction and the query."""
        prompts = [self.prompt(example) for example in examples]
        return answer_prompts(self.model, examples, prompts, run)

    def state_dict(self) -> State:
        """Return an empty state."""
        return State()

    def load_state_dict(self, state: State) -> None:
        """Restore nothing."""
