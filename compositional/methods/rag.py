"""Retrieval: the k tools that a retriever finds among those taught so far stand in the prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

from compositional.errors import ConfigError
from compositional.files import canonical_json
from compositional.generation.generate import generate
from compositional.methods.base import Traits
from compositional.methods.prompts import asked, check_tool_format, request, text_predictions
from compositional.methods.retrieval import build_retriever, check_retriever
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Example, Prediction, Round, Skill


@dataclass(frozen=True)
class RagConfig:
    """RAG over the tools taught so far.

    Attributes:
        retriever: `bm25` or `dense`.
        k: Tools in the prompt.
        dense_model: Hub id or folder of the dense retriever; empty for all-MiniLM-L6-v2.
        tool_format: `compact` (name, first sentence, parameter names) or `full` (JSON Schema).
    """

    retriever: str = "bm25"
    k: int = 3
    dense_model: str = ""
    tool_format: str = "compact"

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "Rag":
        """Build the method; the prompts with all rounds' tools taught must fit the window."""
        check_retriever(self.retriever)
        check_tool_format(self.tool_format)
        if self.k < 1:
            raise ConfigError(f"k is {self.k}; it must be 1 or more")
        last = Rag(self, model)
        last.skills = [skill for round_ in benchmark.rounds for skill in round_.skills]
        examples = asked(benchmark)
        for example, prompt in zip(examples, last.prompts(examples), strict=True):
            model.check_fits(len(prompt), 0, f"RAG's prompt of example {example.id}")
        return Rag(self, model)


class Rag:
    """The method; see `RagConfig`."""

    traits = Traits()

    def __init__(self, config: RagConfig, model: LanguageModel) -> None:
        self.config = config
        self.model = model
        self.skills: list[Skill] = []

    def learn(self, round_: Round, run: RunContext) -> None:
        """Remember the round's tools."""
        self.skills.extend(round_.skills)
        kept = len(canonical_json(self.state_dict().metadata).encode())
        run.budget.buffer_bytes = max(run.budget.buffer_bytes, kept)

    def prompts(self, examples: Sequence[Example]) -> list[list[int]]:
        """Return the prompts, each with the tools retrieved for its query."""
        found: list[list[Skill]] = [[] for _ in examples]
        if self.skills:
            config = self.config
            retriever = build_retriever(config.retriever, self.skills, config.dense_model)
            found = [retriever.top(example.query, config.k) for example in examples]
        texts = [
            request(example.query, tools, tool_format=self.config.tool_format)
            for example, tools in zip(examples, found, strict=True)
        ]
        return [self.model.chat.prompt_ids(text) for text in texts]

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer with the retrieved tools in the prompt."""
        prompts = self.prompts(examples)
        return text_predictions(self.model, generate(self.model, prompts, run, "answers"))

    def state_dict(self) -> State:
        """Return the tools."""
        return State({}, {"skills": [[s.name, s.description, s.parameters] for s in self.skills]})

    def load_state_dict(self, state: State) -> None:
        """Restore the tools."""
        self.skills = [Skill(*fields) for fields in state.metadata["skills"]]
