"""What actions returned in states: the memory that JitRL keeps in place of weights.

Whatever came from one source can be taken out exactly. States are like each other by the words in
them: the Jaccard index of their 4-grams. The code of the paper (arXiv 2601.18510) takes 4-grams of
words, of which a question and a sentence that answers it share next to none: these are of letters.
"""

from collections.abc import Sequence
from copy import deepcopy
from functools import lru_cache

from compositional.documents.normalising import normalise
from compositional.files import canonical_json

LETTERS = 4
Place = tuple[str, str]
"""A source, and a state in it."""
Returns = dict[str, dict[str, dict[str, list[float]]]]
"""Returns by source, state and action."""


@lru_cache(maxsize=1 << 16)
def grams(text: str) -> frozenset[str]:
    """Return the runs of four letters in each word of a normalised text, blanks around a word."""
    words = [f" {word} " for word in normalise(text).split()]
    return frozenset(
        word[start : start + LETTERS]
        for word in words
        for start in range(max(1, len(word) - LETTERS + 1))
    )


def similarity(one: str, other: str) -> float:
    """Return the Jaccard index of two texts' grams, 0 to 1; 0 where neither has any."""
    first, second = grams(one), grams(other)
    return len(first & second) / max(1, len(first | second))


class Experiences:
    """What actions returned, by source, state and action.

    Attributes:
        by_source: Returns in the order in which they came.
    """

    def __init__(self, by_source: Returns | None = None) -> None:
        """Begin with what another one's `to_json` returned, or with nothing."""
        self.by_source: Returns = deepcopy(by_source or {})

    @property
    def num_states(self) -> int:
        """How many states are remembered."""
        return sum(map(len, self.by_source.values()))

    @property
    def num_returns(self) -> int:
        """How many returns are remembered."""
        of_states = (actions for states in self.by_source.values() for actions in states.values())
        return sum(len(values) for actions in of_states for values in actions.values())

    @property
    def num_bytes(self) -> int:
        """Bytes of everything as JSON, as the budget counts them."""
        return len(canonical_json(self.by_source).encode())

    def to_json(self) -> Returns:
        """Return everything, to be kept."""
        return deepcopy(self.by_source)

    def add(self, source: str, state: str, action: str, value: float) -> None:
        """Remember what an action returned."""
        actions = self.by_source.setdefault(source, {}).setdefault(state, {})
        actions.setdefault(action, []).append(value)

    def take(self, others: "Experiences") -> None:
        """Take over the sources of another memory, each in place of one of that name."""
        self.by_source |= others.by_source

    def remove(self, source: str) -> None:
        """Take everything of a source out; nothing where there is none."""
        self.by_source.pop(source, None)

    def near(self, state: str, most: int, least: float) -> list[Place]:
        """Return the remembered states that are like a state, the most similar first.

        Where the state itself is remembered, it speaks for itself: only those of the same grams
        are returned. Ties stand in the order in which they came.

        Args:
            state: Where an action is to be chosen.
            most: How many others are returned, at the most.
            least: How similar they must be, above 0 in any case.
        """
        found = [
            (similarity(state, known), (source, known))
            for source, states in self.by_source.items()
            for known in states
        ]
        found = sorted((f for f in found if f[0] > 0 and f[0] >= least), key=lambda f: -f[0])
        return [p for s, p in found if s == 1] or [p for _, p in found[:most]]

    def returns(self, places: Sequence[Place]) -> dict[str, list[float]]:
        """Return what each action returned in some states, all of them together."""
        together: dict[str, list[float]] = {}
        for source, state in places:
            for action, values in self.by_source[source][state].items():
                together.setdefault(action, []).extend(values)
        return together
