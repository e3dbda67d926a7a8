"""Retrievers over texts: BM25 (rank-bm25), TF-IDF (scikit-learn), dense (sentence-transformers)."""

import re
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from rank_bm25 import BM25Plus
from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]

from compositional.errors import ModelError, check_choice
from compositional.models.quiet import quiet_transformers
from compositional.packages import minilm_folder

RETRIEVERS = ("bm25", "tfidf", "dense")


class Retriever(Protocol):
    """Finds the texts that a query is about."""

    def top(self, query: str, k: int) -> list[int]:
        """Return the places of the k best texts, best first; ties by their order."""
        ...


def check_retriever(name: str) -> None:
    """Refuse an unknown retriever."""
    check_choice("retriever", name, RETRIEVERS)


def build_retriever(name: str, texts: Sequence[str], model: str = "") -> Retriever:
    """Return a retriever over texts.

    Args:
        name: `bm25`, `tfidf` or `dense`.
        texts: One or more.
        model: Hub id or folder of the dense retriever; empty for all-MiniLM-L6-v2 from a package.
    """
    check_retriever(name)
    if name == "dense":
        return DenseRetriever(texts, model)
    return Bm25Retriever(texts) if name == "bm25" else TfidfRetriever(texts)


def words(text: str) -> list[str]:
    """Return a text's words in lower case, names split at `_`, `.` and capitals."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return re.findall(r"[^\W_]+", spaced.lower())


class Bm25Retriever:
    """BM25+ (Lv and Zhai 2011) over the texts' words.

    Its inverse document frequency stays above 0 where few texts share many words.

    Args:
        texts: One or more.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._index = BM25Plus([words(text) for text in texts])

    def top(self, query: str, k: int) -> list[int]:
        """Return the places of the k best texts."""
        return _best(self._index.get_scores(words(query)), k)


class TfidfRetriever:
    """Cosine similarity of TF-IDF vectors over the texts' words.

    Args:
        texts: One or more.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._vectorizer = TfidfVectorizer(analyzer=words)
        self._matrix = self._vectorizer.fit_transform(texts)

    def top(self, query: str, k: int) -> list[int]:
        """Return the places of the k best texts."""
        scores = self._matrix @ self._vectorizer.transform([query]).T
        return _best(scores.toarray()[:, 0], k)


def sentence_embedder(model: str = "") -> Callable[[Sequence[str]], np.ndarray]:
    """Return a function from texts to unit vectors, of shape (num_texts, d).

    Args:
        model: Hub id or folder; empty for all-MiniLM-L6-v2 from a package, without a network.

    Raises:
        ModelError: If the model cannot be had.
    """
    from sentence_transformers import SentenceTransformer

    name = model or str(minilm_folder())
    try:
        with quiet_transformers():
            encoder = SentenceTransformer(name, device="cpu")
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the dense retriever's model {name!r} is no folder and cannot be had from the "
            "Hub: give a folder, or leave dense_model empty for all-MiniLM-L6-v2"
        ) from error

    def embed(texts: Sequence[str]) -> np.ndarray:
        return encoder.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)

    return embed


class DenseRetriever:
    """Cosine similarity of sentence embeddings.

    Args:
        texts: One or more.
        model: Hub id or folder; empty for all-MiniLM-L6-v2 from a package, without a network.

    Raises:
        ModelError: If the model cannot be had.
    """

    def __init__(self, texts: Sequence[str], model: str = "") -> None:
        self._embed = sentence_embedder(model)
        self._matrix = self._embed(texts)

    def top(self, query: str, k: int) -> list[int]:
        """Return the places of the k best texts."""
        return _best(self._matrix @ self._embed([query])[0], k)


def _best(scores: np.ndarray, k: int) -> list[int]:
    return [int(place) for place in np.argsort(-np.asarray(scores), kind="stable")[:k]]
