"""What a hypernetwork is trained and evaluated on: contexts with questions, as tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from compositional.files import canonical_json, sha256_text

Chunks = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class DistillationItem:
    """A question about a context, with what should be answered.

    Attributes:
        context: The place of its context in the set.
        prompt: The question alone.
        in_context: The question behind its context: what the teacher sees.
        target: The answer, the end token included.
    """

    context: int
    prompt: tuple[int, ...]
    in_context: tuple[int, ...]
    target: tuple[int, ...]


@dataclass(frozen=True)
class DistillationSet:
    """Contexts with questions.

    Attributes:
        contexts: Each as chunks of tokens, none of them left out.
        items: The questions.
    """

    contexts: tuple[Chunks, ...]
    items: tuple[DistillationItem, ...]

    def sha256(self) -> str:
        """Return a hash of all tokens."""
        rows = [[i.context, i.prompt, i.in_context, i.target] for i in self.items]
        return sha256_text(canonical_json([self.contexts, rows]))

    def num_tokens(self) -> int:
        """Return how many tokens a model reads to compute what is kept of it."""
        of_items = sum(
            len(i.prompt) + len(i.in_context) + 2 * (len(i.target) - 1) for i in self.items
        )
        return of_items + sum(len(chunk) for chunks in self.contexts for chunk in chunks)


def chunks_of(ids: Sequence[int], chunk_tokens: int) -> Chunks:
    """Cut a text into chunks of nearly one length, none of it left out.

    Args:
        ids: Its tokens, one or more.
        chunk_tokens: The longest chunk.
    """
    count = -(-len(ids) // chunk_tokens)
    ends = [len(ids) * number // count for number in range(count + 1)]
    return tuple(tuple(ids[a:b]) for a, b in pairwise(ends))
