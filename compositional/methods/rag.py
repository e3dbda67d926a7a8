"""Retrieval: the k tools that a retriever finds among those taught so far stand in the prompt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compositional.errors import check_at_least
from compositional.generation.generate import generate
from compositional.methods.base import Traits
from compositional.methods.prompts import (
    INSTRUCTION,
    asked,
    check_tool_format,
    request_ids,
    text_predictions,
)
from compositional.methods.retrieval import build_retriever, check_retriever
from compositional.methods.toolbox import Toolbox
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import TOOLS, Benchmark
from compositional.tasks.types import Example, Prediction, Round, Skill


@dataclass(frozen=True)
class RagConfig:
    """RAG over the tools taught so far.

    Attributes:
        retriever: `bm25`, `tfidf` or `dense`.
        k: Tools in the prompt.
        dense_model: Hub id or folder of the dense retriever; empty for all-MiniLM-L6-v2.
        demonstrations: Training rows of each of these tools that stand there as well.
        tool_format: `compact` (name, first sentence, parameter names) or `full` (JSON Schema).
        instruction: What stands before the tools.
    """

    tasks: ClassVar[tuple[str, ...]] = (TOOLS,)
    retriever: str = "bm25"
    k: int = 3
    dense_model: str = ""
    demonstrations: int = 0
    tool_format: str = "compact"
    instruction: str = INSTRUCTION

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "Rag":
        """Build the method; the prompts with all rounds' tools taught must fit the window."""
        check_retriever(self.retriever)
        check_tool_format(self.tool_format)
        check_at_least("k", self.k, 1)
        last = Rag(self, model)
        for round_ in benchmark.rounds:
            last.toolbox.take(round_)
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
        self.toolbox = Toolbox(config.demonstrations)

    def learn(self, round_: Round, run: RunContext) -> None:
        """Remember the round's tools."""
        self.toolbox.learn(round_, run)

    def prompts(self, examples: Sequence[Example]) -> list[list[int]]:
        """Return the prompts, each with the tools retrieved for its query, the best one last.

        A small model picks most readily what stands next to the query.
        """
        config, toolbox = self.config, self.toolbox
        found: list[list[Skill]] = [[] for _ in examples]
        if toolbox.skills:
            texts = [tool_text(skill) for skill in toolbox.skills]
            retriever = build_retriever(config.retriever, texts, config.dense_model)
            places = [retriever.top(example.query, config.k)[::-1] for example in examples]
            found = [[toolbox.skills[place] for place in chosen] for chosen in places]
        return [
            request_ids(
                self.model,
                example.query,
                config.instruction,
                skills,
                toolbox.demonstrations(skills),
                config.tool_format,
            )
            for example, skills in zip(examples, found, strict=True)
        ]

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer with the retrieved tools in the prompt."""
        prompts = self.prompts(examples)
        return text_predictions(self.model, generate(self.model, prompts, run, "answers"))

    def state_dict(self) -> State:
        """Return the tools and the demonstrations."""
        return self.toolbox.state_dict()

    def load_state_dict(self, state: State) -> None:
        """Restore the tools and the demonstrations."""
        self.toolbox.load_state_dict(state)


def tool_text(skill: Skill) -> str:
    """Return what a retriever reads of a tool: name, description, parameters."""
    properties = skill.parameters.get("properties", {})
    parts = [f"{name} {value.get('description', '')}" for name, value in properties.items()]
    return " ".join([skill.name, skill.description, *parts])
