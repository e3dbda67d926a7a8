"""A bias towards the words of the passages found, weighted by how few passages hold them.

A bias of the same size for all tokens of a passage, or one that grows with their number in it,
favours what every text holds most of. Here a token that stands in all passages has none.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from compositional.generation.token_bias import TokenBias
from compositional.models.language_model import LanguageModel


def passage_tokens(model: LanguageModel, passage: str) -> frozenset[int]:
    """Return the tokens of a passage and of each of its words by itself; none that ends an answer.

    A word that begins an answer has other tokens than the same word behind a blank.
    """
    words = dict.fromkeys(passage.split())
    ids = {token for text in (passage, *words) for token in model.chat.target_ids(text)}
    return frozenset(ids - set(model.stop_ids))


def idf_weights(passages: Sequence[frozenset[int]]) -> dict[int, float]:
    """Return the weight of every token: log((N + 1) / (df + 1)) / log((N + 1) / 2).

    It is 1 for a token of one passage only and 0 for one of all N, df being their number. With
    fewer than two passages nothing sets tokens apart, and there are no weights.

    Args:
        passages: The tokens of each passage.
    """
    count = len(passages)
    if count < 2:
        return {}
    most = math.log((count + 1) / 2)
    frequencies = Counter(token for tokens in passages for token in tokens)
    return {token: math.log((count + 1) / (df + 1)) / most for token, df in frequencies.items()}


def passage_bias(
    strength: float, found: Iterable[frozenset[int]], weights: Mapping[int, float]
) -> TokenBias | None:
    """Return the bias of a prompt with some passages; None where no token has any.

    Args:
        strength: What a token of weight 1 is given, in nats.
        found: The tokens of each passage in the prompt.
        weights: Of tokens; see `idf_weights`.
    """
    ids = sorted(token for token in frozenset[int]().union(*found) if weights.get(token, 0.0) > 0)
    if not ids:
        return None
    return TokenBias(tuple(ids), tuple(strength * weights[token] for token in ids))
