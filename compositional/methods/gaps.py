"""Gaps in a document's own sentences: questions that it answers itself, with nobody to ask them.

A gap takes the place of a name, a number, or up to three words that are none; what stood there is
the answer. Choices are what was left out at other gaps of the same document.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby

import numpy as np

from compositional.documents.normalising import normalise
from compositional.methods.self_study import sentences_of

GAP = "____"
MAX_WORDS = 3
_WORD = re.compile(r"\d+(?:[.,]\d+)+|[^\W_]+(?:['\u2019-][^\W_]+)*")


@dataclass(frozen=True)
class Gap:
    """Words around a gap, and what it took the place of.

    Attributes:
        state: The words around, `GAP` among them.
        answer: What was left out.
    """

    state: str
    answer: str


@cache
def function_words() -> frozenset[str]:
    """Return the English words, in lower case, that are no answer by themselves."""
    resource = files("compositional.methods").joinpath("function_words.txt")
    return frozenset(resource.read_text(encoding="utf-8").split())


def gaps_of(text: str, context_words: int) -> list[Gap]:
    """Return the gaps in a text's sentences, each once.

    Args:
        text: The document.
        context_words: Words of the sentence that stay on each side of a gap, at the most.
    """
    return list(dict.fromkeys(g for s in sentences_of(text) for g in _gaps_in(s, context_words)))


def choices_at(gaps: Sequence[Gap], count: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
    """Return what may fill each gap: the answer, and answers of others drawn at random.

    Args:
        gaps: Those of one document.
        count: Choices of each, fewer where the document has fewer different answers.
        rng: Where from.
    """
    answers = {normalise(gap.answer): gap.answer for gap in reversed(gaps)}
    choices = []
    for gap in gaps:
        others = [text for key, text in answers.items() if key != normalise(gap.answer)]
        drawn = rng.permutation(len(others))[: count - 1]
        choices.append((gap.answer, *(others[place] for place in drawn)))
    return choices


def _gaps_in(sentence: str, context_words: int) -> Iterator[Gap]:
    """Yield a sentence's gaps, those without any word around or in them left out."""
    words = list(_WORD.finditer(sentence))
    for first, last in _spans(sentence, words):
        start, end = words[first].start(), words[last].end()
        begin = words[max(0, first - context_words)].start()
        stop = words[min(len(words) - 1, last + context_words)].end()
        gap = Gap(f"{sentence[begin:start]}{GAP}{sentence[end:stop]}", sentence[start:end])
        if normalise(gap.state) and normalise(gap.answer):
            yield gap


def _spans(sentence: str, words: Sequence[re.Match[str]]) -> list[tuple[int, int]]:
    """Return the places of the first and the last word of everything that may be left out.

    That is, in a run of words without function words and punctuation: the whole run if it is
    short, each name or number, and the last words of what is neither, where a noun is.
    """
    spans = set()
    for run in _runs(sentence, words):
        if len(run) <= MAX_WORDS:
            spans.add((run[0], run[-1]))
        for is_plain, group in groupby(run, key=lambda place: words[place][0].islower()):
            own = list(group)
            firsts = own[-MAX_WORDS:] if is_plain else own[:1]
            spans.update((first, own[-1]) for first in firsts)
    return sorted(spans)


def _runs(sentence: str, words: Sequence[re.Match[str]]) -> list[list[int]]:
    """Return the places of words that stand together, none of them a function word."""
    runs: list[list[int]] = [[]]
    for place, word in enumerate(words):
        if word[0].lower() in function_words():
            runs.append([])
            continue
        if runs[-1] and sentence[words[place - 1].end() : word.start()].strip():
            runs.append([])
        runs[-1].append(place)
    return [run for run in runs if run]
