"""In-context learning: every tool taught so far stands in the prompt.

With d demonstrations, the first d one-call training rows of each tool stand there as well. All
prompts of a cell share the part before the query, so it is computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compositional.generation.generate import generate
from compositional.methods.base import Traits
from compositional.methods.prompts import (
    INSTRUCTION,
    asked,
    check_tool_format,
    request_ids,
    text_predictions,
)
from compositional.methods.toolbox import Toolbox
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import TOOLS, Benchmark
from compositional.tasks.types import Example, Prediction, Round


@dataclass(frozen=True)
class IclConfig:
    """ICL over the tools taught so far.

    Attributes:
        demonstrations: Training rows of each tool that stand in the prompt.
        tool_format: `compact` (name, first sentence, parameter names) or `full` (JSON Schema).
        instruction: What stands before the tools.
    """

    tasks: ClassVar[tuple[str, ...]] = (TOOLS,)
    demonstrations: int = 0
    tool_format: str = "compact"
    instruction: str = INSTRUCTION

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "Icl":
        """Build the method; the prompt with all rounds' tools must fit the model's window."""
        check_tool_format(self.tool_format)
        last = Icl(self, model)
        for round_ in benchmark.rounds:
            last.toolbox.take(round_)
        for example in asked(benchmark):
            what = f"ICL's prompt of example {example.id} with {len(last.toolbox.skills)} tools"
            model.check_fits(len(last.prompt(example)), 0, what)
        return Icl(self, model)


class Icl:
    """The method; see `IclConfig`."""

    traits = Traits()

    def __init__(self, config: IclConfig, model: LanguageModel) -> None:
        self.config = config
        self.model = model
        self.toolbox = Toolbox(config.demonstrations)

    def learn(self, round_: Round, run: RunContext) -> None:
        """Remember the round's tools."""
        self.toolbox.learn(round_, run)

    def prompt(self, example: Example) -> list[int]:
        """Return the prompt of an example with all tools taught so far."""
        skills = self.toolbox.skills
        shown = self.toolbox.demonstrations(skills)
        config = self.config
        return request_ids(
            self.model, example.query, config.instruction, skills, shown, config.tool_format
        )

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer with all tools taught so far in the prompt."""
        prompts = [self.prompt(example) for example in examples]
        return text_predictions(self.model, generate(self.model, prompts, run, "answers"))

    def state_dict(self) -> State:
        """Return the tools and the demonstrations."""
        return self.toolbox.state_dict()

    def load_state_dict(self, state: State) -> None:
        """Restore the tools and the demonstrations."""
        self.toolbox.load_state_dict(state)
