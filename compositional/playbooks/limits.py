"""What keeps a playbook short: duplicates become one, and a budget of tokens drops the worst."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from compositional.documents.normalising import normalise
from compositional.playbooks.operations import joined
from compositional.playbooks.playbook import Entry, Playbook

Embed = Callable[[Sequence[str]], np.ndarray]
"""Unit vectors of texts, of shape (num_texts, d)."""


def fold_duplicates(
    playbook: Playbook, embed: Embed | None = None, similarity: float = 0.9
) -> Playbook:
    """Return the playbook with duplicates folded into the oldest of them.

    Two entries are one where their normalised texts are equal, or with `embed` where the cosine of
    their vectors reaches `similarity`. What is folded gives its counters and its sources.

    Args:
        playbook: The playbook.
        embed: Vectors of texts; None to compare normalised texts alone.
        similarity: The least cosine of two that are one.
    """
    texts = [entry.text for entry in playbook.entries]
    vectors = embed(texts) if embed is not None and len(texts) > 1 else None
    words = [normalise(text) for text in texts]
    kept: list[int] = []
    folded: dict[int, list[int]] = {}
    for place in range(len(texts)):
        same = next(
            (
                earlier
                for earlier in kept
                if words[earlier] == words[place]
                or (vectors is not None and vectors[earlier] @ vectors[place] >= similarity)
            ),
            None,
        )
        if same is None:
            kept.append(place)
        else:
            folded.setdefault(same, []).append(place)
    entries = [
        _folded(playbook.entries[p], [playbook.entries[n] for n in folded.get(p, ())]) for p in kept
    ]
    return replace(playbook, entries=tuple(entries))


def within_budget(
    playbook: Playbook, count_tokens: Callable[[str], int], budget: int
) -> tuple[Playbook, int]:
    """Drop entries until the playbook's text fits a budget.

    The first to go is the one with the lowest helpful minus harmful, of several the oldest.

    Args:
        playbook: The playbook.
        count_tokens: Length of a text by the tokenizer of the model that reads it.
        budget: The most tokens.

    Returns:
        The playbook, and how many entries it lost.
    """
    dropped = 0
    while playbook.entries and count_tokens(playbook.render()) > budget:
        worst = min(playbook.entries, key=lambda entry: (entry.score, entry.number))
        playbook = playbook.without([worst.id])
        dropped += 1
    return playbook, dropped


def _folded(entry: Entry, duplicates: Sequence[Entry]) -> Entry:
    """Return an entry with the counters and sources of its duplicates."""
    same = [entry, *duplicates]
    return replace(
        entry,
        sources=joined(same),
        helpful=sum(e.helpful for e in same),
        harmful=sum(e.harmful for e in same),
    )
