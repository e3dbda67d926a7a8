"""Retrievers over tool descriptions: BM25 (rank-bm25) and dense (sentence-transformers)."""

import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from rank_bm25 import BM25Plus

from compositional.errors import ModelError, check_choice
from compositional.models.quiet import quiet_transformers
from compositional.packages import minilm_folder
from compositional.tasks.types import Skill

RETRIEVERS = ("bm25", "dense")


class Retriever(Protocol):
    """Finds the tools that a query is about."""

    def top(self, query: str, k: int) -> list[Skill]:
        """Return the k best tools, best first; ties by the order taught."""
        ...


def check_retriever(name: str) -> None:
    """Refuse an unknown retriever."""
    check_choice("retriever", name, RETRIEVERS)


def build_retriever(name: str, skills: Sequence[Skill], model: str = "") -> Retriever:
    """Return a retriever over tools.

    Args:
        name: `bm25` or `dense`.
        skills: The tools, in the order taught.
        model: Hub id or folder of the dense retriever; empty for all-MiniLM-L6-v2 from a package.
    """
    check_retriever(name)
    return Bm25Retriever(skills) if name == "bm25" else DenseRetriever(skills, model)


def tool_text(skill: Skill) -> str:
    """Return what a retriever reads of a tool: name, description, parameters."""
    properties = skill.parameters.get("properties", {})
    parts = [f"{name} {value.get('description', '')}" for name, value in properties.items()]
    return " ".join([skill.name, skill.description, *parts])


def words(text: str) -> list[str]:
    """Return a text's words in lower case, names split at `_`, `.` and capitals."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return re.findall(r"[^\W_]+", spaced.lower())


class Bm25Retriever:
    """BM25+ (Lv and Zhai 2011) over the tools' words.

    Its inverse document frequency stays above 0 where few tools share many words.

    Args:
        skills: The tools.
    """

    def __init__(self, skills: Sequence[Skill]) -> None:
        self.skills = list(skills)
        self._index = BM25Plus([words(tool_text(skill)) for skill in skills])

    def top(self, query: str, k: int) -> list[Skill]:
        """Return the k best tools."""
        return _best(self.skills, self._index.get_scores(words(query)), k)


class DenseRetriever:
    """Cosine similarity of sentence embeddings.

    Args:
        skills: The tools.
        model: Hub id or folder; empty for all-MiniLM-L6-v2 from a package, without a network.

    Raises:
        ModelError: If the model cannot be had.
    """

    def __init__(self, skills: Sequence[Skill], model: str = "") -> None:
        from sentence_transformers import SentenceTransformer

        self.skills = list(skills)
        name = model or str(minilm_folder())
        try:
            with quiet_transformers():
                self._encoder = SentenceTransformer(name, device="cpu")
        except (OSError, ValueError) as error:
            raise ModelError(
                f"the dense retriever's model {name!r} is no folder and cannot be had from the "
                "Hub: give a folder, or leave dense_model empty for all-MiniLM-L6-v2"
            ) from error
        texts = [tool_text(skill) for skill in skills]
        self._matrix = self._encoder.encode(
            texts, normalize_embeddings=True, show_progress_bar=False
        )

    def top(self, query: str, k: int) -> list[Skill]:
        """Return the k best tools."""
        vector = self._encoder.encode([query], normalize_embeddings=True, show_progress_bar=False)[
            0
        ]
        return _best(self.skills, self._matrix @ vector, k)


def _best(skills: Sequence[Skill], scores: np.ndarray, k: int) -> list[Skill]:
    order = np.argsort(-np.asarray(scores), kind="stable")[:k]
    return [skills[int(index)] for index in order]
