"""Retrieval of passages: overlapping chunks of all documents taught, the best before the question.

A prompt budget never cuts the question: passages are added, best first, while they fit whole. Where
none of those found fits, the question is asked alone, and the log says of how many that was so. The
nearest passage stands next to the question. Optionally the words of these passages are made
likelier; see `passage_bias`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from compositional.errors import ConfigError, check_at_least
from compositional.generation.token_bias import TokenBias
from compositional.logs import LOGGER
from compositional.methods.base import Traits
from compositional.methods.passage_bias import idf_weights, passage_bias, passage_tokens
from compositional.methods.questions import (
    answer_prompts,
    check_prompts_fit,
    documents_of,
    prompt_ids,
)
from compositional.methods.retrieval import build_retriever, check_retriever
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Document, Example, Prediction, Round


@dataclass(frozen=True)
class TextRagConfig:
    """RAG over passages of the documents taught so far.

    Attributes:
        retriever: `bm25`, `tfidf` or `dense`.
        k: Passages in the prompt, at the most.
        chunk_words: Words of a passage.
        overlap_words: Words that a passage shares with the one before it.
        prompt_tokens: Tokens that a prompt may have; passages that do not fit are left out whole.
        dense_model: Hub id or folder of the dense retriever; empty for all-MiniLM-L6-v2.
        bias: What is added, in nats at the most, to the logit of a token of the passages in the
            prompt that the answer does not hold yet: all of it where one passage has the token,
            nothing where all have it; 0 for none.
    """

    retriever: str = "bm25"
    k: int = 3
    chunk_words: int = 100
    overlap_words: int = 20
    prompt_tokens: int = 1024
    dense_model: str = ""
    bias: float = 0.0

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "TextRag":
        """Build the method; every question must fit the window by itself."""
        check_retriever(self.retriever)
        for name in ("k", "chunk_words", "prompt_tokens"):
            check_at_least(name, getattr(self, name), 1)
        check_at_least("bias", self.bias, 0)
        if not 0 <= self.overlap_words < self.chunk_words:
            raise ConfigError(
                f"overlap_words is {self.overlap_words}; it must be from 0 to below chunk_words "
                f"({self.chunk_words})"
            )
        check_prompts_fit(model, benchmark)
        return TextRag(self, model)


class TextRag:
    """The method; see `TextRagConfig`."""

    traits = Traits(reads_whole=False)

    def __init__(self, config: TextRagConfig, model: LanguageModel) -> None:
        self.config = config
        self.model = model
        self.documents: list[Document] = []

    def learn(self, round_: Round, run: RunContext) -> None:
        """Keep the round's documents."""
        self.documents += documents_of(round_)
        run.budget.buffer_bytes = sum(len(d.text.encode()) for d in self.documents)

    @property
    def budget_tokens(self) -> int:
        """Tokens that a prompt with passages may have."""
        window = self.model.window_tokens - self.model.answer_tokens
        return min(self.config.prompt_tokens, window)

    def passages(self) -> list[str]:
        """Return the passages of all documents taught so far, in order."""
        return [
            passage
            for document in self.documents
            for passage in chunks(document.text, self.config.chunk_words, self.config.overlap_words)
        ]

    def prompts(self, examples: Sequence[Example]) -> list[list[int]]:
        """Return the prompts, each with the passages found for its question, the best one last."""
        return [prompt for prompt, _ in self._asked(examples)]

    def _asked(self, examples: Sequence[Example]) -> list[tuple[list[int], list[str]]]:
        """Return each prompt with the passages that stand in it."""
        passages = self.passages()
        if not passages:
            return [(prompt_ids(self.model, example), []) for example in examples]
        retriever = build_retriever(self.config.retriever, passages, self.config.dense_model)
        return [
            self._prompt(
                example, [passages[n] for n in retriever.top(example.query, self.config.k)]
            )
            for example in examples
        ]

    def _prompt(self, example: Example, found: Sequence[str]) -> tuple[list[int], list[str]]:
        """Return a prompt with as many of the passages found, best first, as the budget holds."""
        prompt = prompt_ids(self.model, example)
        taken: list[str] = []
        for passage in found:
            longer = prompt_ids(self.model, example, [passage, *taken])
            if len(longer) <= self.budget_tokens:
                taken.insert(0, passage)
                prompt = longer
        return prompt, taken

    def biases(self, taken: Sequence[Sequence[str]]) -> list[TokenBias | None]:
        """Return the bias of each prompt.

        Args:
            taken: The passages in each prompt.
        """
        passages = self.passages()
        tokens = [passage_tokens(self.model, passage) for passage in passages]
        weights = idf_weights(tokens)
        by_text = dict(zip(passages, tokens, strict=True))
        strength = self.config.bias
        return [passage_bias(strength, [by_text[p] for p in each], weights) for each in taken]

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer with the passages found."""
        asked = self._asked(examples)
        self._say_bare(sum(not taken for _, taken in asked), len(asked), run)
        biases = self.biases([taken for _, taken in asked]) if self.config.bias else None
        prompts = [prompt for prompt, _ in asked]
        return answer_prompts(self.model, examples, prompts, run, biases)

    def _say_bare(self, num_bare: int, num_asked: int, run: RunContext) -> None:
        """Log how many questions are asked without a passage although documents were taught."""
        if num_bare and self.documents:
            LOGGER.warning(
                "%s: %d of %d questions are asked alone, as without documents: no passage found "
                "fits with them into %d tokens; set method.prompt_tokens higher or "
                "method.chunk_words lower",
                *(run.name, num_bare, num_asked, self.budget_tokens),
            )

    def forget(self, name: str) -> None:
        """Take a document out exactly."""
        self.documents = [document for document in self.documents if document.name != name]

    def describe(self) -> dict[str, object]:
        """Return how many passages are kept, and what finds them."""
        return {"passages": len(self.passages()), "retriever": self.config.retriever}

    def state_dict(self) -> State:
        """Return the documents."""
        return State({}, {"documents": [[d.name, d.text] for d in self.documents]})

    def load_state_dict(self, state: State) -> None:
        """Restore the documents."""
        self.documents = [Document(name, text) for name, text in state.metadata["documents"]]


def chunks(text: str, num_words: int, overlap: int) -> Iterator[str]:
    """Cut a text into passages of whole words that overlap; blanks and line breaks stay.

    Args:
        text: The document.
        num_words: Words of a passage.
        overlap: Words shared with the passage before, fewer than that.
    """
    places = [match.span() for match in re.finditer(r"\S+", text)]
    step = num_words - overlap
    for start in range(0, max(1, len(places) - overlap), step):
        words = places[start : start + num_words]
        if words:
            yield text[words[0][0] : words[-1][1]]
