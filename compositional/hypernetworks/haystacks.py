"""Needles among other facts: at random places to train on, at known depths to be looked for."""

import math
from collections.abc import Callable, Sequence
from itertools import islice

from compositional.documents.names import TEST, TRAIN
from compositional.documents.needles import (
    Needles,
    filler_sentences,
    in_haystack,
    invented_sentences,
    needles,
    place_at,
)
from compositional.documents.types import QuestionedDocument
from compositional.errors import ConfigError
from compositional.streams import Streams

DEPTHS = (0.0, 0.5, 1.0)
SHARES = (0.25, 0.5, 1.0)
LEAST_SENTENCES = 2
"""Of a haystack: with one alone the middle would be the beginning or the end."""

Counter = Callable[[str], int]
"""Returns the tokens of a text."""


def among_other_facts(
    documents: Sequence[QuestionedDocument], most_tokens: int, seed: int, count: Counter
) -> list[QuestionedDocument]:
    """Return needles to train on, each among other facts of a length and at a place of its own.

    Args:
        documents: The needles.
        most_tokens: What the other facts may take, at the most.
        seed: Of lengths and places.
        count: Returns the tokens of a text.
    """
    rng = Streams(seed).generator("filler")
    found = []
    for number, document in enumerate(documents):
        filler = filler_sentences(int(rng.integers(most_tokens + 1)), number, TRAIN, count)
        place = round(float(rng.random()) * len(filler))
        found.append(in_haystack(document, filler, place))
    return found


def haystacks(
    kind: Needles, num_needles: int, longest_tokens: int, seed: int, count: Counter
) -> dict[str, list[QuestionedDocument]]:
    """Return needles that were not trained on in haystacks, by their lengths and the depth.

    Args:
        kind: What the needles are like.
        num_needles: Of each length and depth, all in the same haystacks.
        longest_tokens: What the other facts of the longest haystacks may take; a quarter and half
            of it are tried as well.
        seed: Of the needles.
        count: Returns the tokens of a text.

    Raises:
        ConfigError: If the shortest ones would hold too few sentences to have a middle.
    """
    own = needles(kind, num_needles, seed, TEST, TRAIN)
    found: dict[str, list[QuestionedDocument]] = {}
    for share in SHARES:
        most = round(share * longest_tokens)
        fillers = [filler_sentences(most, number, TEST, count) for number in range(num_needles)]
        _check_length(fillers, most, longest_tokens, count)
        lengths = [count(" ".join(filler)) for filler in fillers]
        for depth in DEPTHS:
            found[haystack_name(lengths, depth)] = [
                in_haystack(needle, filler, place_at(depth, len(filler)))
                for needle, filler in zip(own, fillers, strict=True)
            ]
    return found


def haystack_name(lengths: Sequence[int], depth: float) -> str:
    """Return what haystacks are called, by the tokens that their other facts take."""
    low, high = min(lengths), max(lengths)
    tokens = f"{low}" if low == high else f"{low} to {high}"
    return f"haystack of {tokens} tokens, depth {depth:g}"


def _check_length(
    fillers: Sequence[Sequence[str]], most: int, longest_tokens: int, count: Counter
) -> None:
    """Refuse haystacks of too few sentences, with the length that has enough."""
    shortest = min(map(len, fillers))
    if shortest >= LEAST_SENTENCES:
        return
    needed = max(
        sum(count(f"{s} ") for s in islice(invented_sentences(number, TEST), LEAST_SENTENCES))
        for number in range(len(fillers))
    )
    raise ConfigError(
        f"haystack_tokens is {longest_tokens}: {most} tokens of other facts are {shortest} "
        f"sentence(s), and to have a middle a haystack needs {LEAST_SENTENCES}; set it to "
        f"{math.ceil(needed / SHARES[0])} or more"
    )
