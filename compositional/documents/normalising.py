"""Answers compared as SQuAD compares them, and never by substrings."""

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
ABSTENTIONS = frozenset({"", "unknown"})
"""Normalised answers that say that nothing is known."""


def normalise(text: str) -> str:
    """Return a text in lower case, without punctuation, English articles and extra spaces.

    Source: Rajpurkar et al. 2016 (arXiv 1606.05250), section 6.1; the order of the steps is that of
    SQuAD's own evaluation.
    """
    bare = text.lower().translate(_WITHOUT_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact_match(answer: str, expected: Sequence[str]) -> float:
    """Return 1 where an answer equals one of the right ones, normalised.

    Args:
        answer: What was answered.
        expected: The right answers; `()` where none is right but to abstain.
    """
    given = normalise(answer)
    if not expected:
        return float(given in ABSTENTIONS)
    return float(given in {normalise(text) for text in expected})


def token_f1(answer: str, expected: Sequence[str]) -> float:
    """Return the largest F1 of an answer's words with those of a right answer.

    F1 = 2 x shared / (given + right), over multisets of normalised words; where either side has no
    words, 1 if both have none. Where none is right but to abstain, abstaining is 1.

    Args:
        answer: What was answered.
        expected: The right answers; `()` where none is.
    """
    if not expected:
        return exact_match(answer, expected)
    return max(_f1(normalise(answer).split(), normalise(text).split()) for text in expected)


def is_false_recall(answer: str, taught: Iterable[str]) -> bool:
    """Whether an answer to a question about a document not taught is one from a taught document.

    Args:
        answer: What was answered.
        taught: Right answers to questions about the documents taught so far.
    """
    given = normalise(answer)
    return given not in ABSTENTIONS and given in {normalise(text) for text in taught}


def _f1(given: list[str], right: list[str]) -> float:
    if not given or not right:
        return float(given == right)
    shared = sum((Counter(given) & Counter(right)).values())
    return 2 * shared / (len(given) + len(right))
