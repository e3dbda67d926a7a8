"""Invented names, of people, companies, towns and rivers, apart for training and test.

A stem belongs to the split that its hash says, so that no two seeds ever share a stem between
training and test.
"""

import hashlib

import numpy as np

TRAIN, TEST = "train", "test"
SPLITS = (TRAIN, TEST)
_ONSETS = ("b", "br", "d", "dr", "f", "g", "gr", "h", "k", "kl", "l", "m", "n", "p", "pr", "r", "s",
           "st", "t", "tr", "v", "w", "z")  # fmt: skip
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "oa")
_CODAS = ("b", "d", "g", "k", "l", "lm", "m", "n", "nd", "rk", "rn", "rt", "s", "sk", "t", "v", "x")
_OF_A_COMPANY = ("Works", "Mills", "Foundry", "Company", "Brothers", "Trading")
_OF_A_TOWN = ("ford", "holm", "stead", "wick", "mouth", "bury", "dale", "haven")
_OF_A_RIVER = ("a", "e", "en", "is", "o")


class Names:
    """Draws names of one split, none of them twice.

    Args:
        split: `train` or `test`.
        rng: Where from.
    """

    def __init__(self, split: str, rng: np.random.Generator) -> None:
        self.split = split
        self.rng = rng
        self._used: set[str] = set()

    def person(self) -> str:
        """Return a first name and a surname, such as `Kladov Prainark`."""
        return f"{self._stem()} {self._stem()}"

    def company(self) -> str:
        """Return a company's name, such as `Breald Works`."""
        return f"{self._stem()} {self._one_of(_OF_A_COMPANY)}"

    def town(self) -> str:
        """Return a town's name, such as `Kladovford`."""
        return self._stem() + self._one_of(_OF_A_TOWN)

    def river(self) -> str:
        """Return a river's name, such as `Vundarka`."""
        return self._stem() + self._one_of(_OF_A_RIVER)

    def _stem(self) -> str:
        """Return a stem of two syllables, of this split, that was not drawn before."""
        while True:
            syllables = [self._one_of(_ONSETS) + self._one_of(_VOWELS) for _ in range(2)]
            stem = "".join(syllables) + self._one_of(_CODAS)
            if stem not in self._used and split_of(stem) == self.split:
                self._used.add(stem)
                return stem.capitalize()

    def _one_of(self, texts: tuple[str, ...]) -> str:
        return texts[int(self.rng.integers(len(texts)))]


def split_of(stem: str) -> str:
    """Return the split that a stem in lower case belongs to."""
    return SPLITS[hashlib.sha256(stem.encode()).digest()[0] % 2]
