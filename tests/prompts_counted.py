"""How many tokens prompts have, counted the slow way."""

from collections.abc import Sequence

LEAST_SHARED = 32


def tokens_by_hand(prompts: Sequence[Sequence[int]]) -> int:
    """What is computed to read prompts: each of them once, their common beginning once."""
    distinct = {tuple(prompt) for prompt in prompts}
    columns = enumerate(zip(*distinct, strict=False))
    shared = next((place for place, tokens in columns if len(set(tokens)) > 1), 0)
    if shared < LEAST_SHARED:
        shared = 0
    return shared + sum(len(prompt) - shared for prompt in distinct)
