"""In-context learning: every tool taught so far stands in the prompt.

With d demonstrations a tool, the first d one-call training rows of each tool stand there as well.
All prompts of a cell share the part before the query, so it is computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from compositional.errors import ConfigError
from compositional.files import canonical_json
from compositional.generation.generate import generate
from compositional.methods.base import Traits
from compositional.methods.prompts import asked, check_tool_format, request, text_predictions
from compositional.methods.stored import example_from_json, example_to_json
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Example, Prediction, Round, Skill


@dataclass(frozen=True)
class IclConfig:
    """ICL over the tools taught so far.

    Attributes:
        demonstrations: Training rows of each tool that stand in the prompt.
        tool_format: `compact` (name, first sentence, parameter names) or `full` (JSON Schema).
    """

    demonstrations: int = 0
    tool_format: str = "compact"

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "Icl":
        """Build the method; the prompt with all rounds' tools must fit the model's window."""
        check_tool_format(self.tool_format)
        if self.demonstrations < 0:
            raise ConfigError(f"demonstrations is {self.demonstrations}; it must be 0 or more")
        last = Icl(self, model)
        for round_ in benchmark.rounds:
            last.take(round_)
        for example in asked(benchmark):
            what = f"ICL's prompt of example {example.id} with {len(last.skills)} tools"
            model.check_fits(len(last.prompt(example)), 0, what)
        return Icl(self, model)


class Icl:
    """The method; see `IclConfig`."""

    traits = Traits()

    def __init__(self, config: IclConfig, model: LanguageModel) -> None:
        self.config = config
        self.model = model
        self.skills: list[Skill] = []
        self.demonstrations: list[Example] = []

    def take(self, round_: Round) -> None:
        """Put the round's tools, and rows of each, into the prompt to come."""
        self.skills.extend(round_.skills)
        for skill in round_.skills:
            rows = [e for e in round_.train if [s.skill for s in e.steps or ()] == [skill.name]]
            self.demonstrations.extend(rows[: self.config.demonstrations])

    def learn(self, round_: Round, run: RunContext) -> None:
        """Remember the round's tools."""
        self.take(round_)
        kept = len(canonical_json(self.state_dict().metadata).encode())
        run.budget.buffer_bytes = max(run.budget.buffer_bytes, kept)

    def prompt(self, example: Example) -> list[int]:
        """Return the prompt of an example with all tools taught so far."""
        text = request(example.query, self.skills, self.demonstrations, self.config.tool_format)
        return self.model.chat.prompt_ids(text)

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer with all tools taught so far in the prompt."""
        prompts = [self.prompt(example) for example in examples]
        return text_predictions(self.model, generate(self.model, prompts, run, "answers"))

    def state_dict(self) -> State:
        """Return the tools and the demonstrations."""
        metadata: dict[str, Any] = {
            "skills": [[s.name, s.description, s.parameters] for s in self.skills],
            "demonstrations": [example_to_json(example) for example in self.demonstrations],
        }
        return State({}, metadata)

    def load_state_dict(self, state: State) -> None:
        """Restore the tools and the demonstrations."""
        self.skills = [Skill(*fields) for fields in state.metadata["skills"]]
        self.demonstrations = [example_from_json(v) for v in state.metadata["demonstrations"]]
