"""Composition: queries of different tools joined into one, with all their calls."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

import numpy as np

from compositional.errors import ConfigError
from compositional.tasks.rows import Row

Group = TypeVar("Group", str, int)

_BETWEEN = ("Also", "Then", "Next", "In addition", "Besides that", "After that")
_AT_THE_END = (*_BETWEEN, "Finally", "Last of all")
_ENDS = tuple(".!?…:;\u3002\uff01\uff1f")  # the last three are CJK
_TRIES = 20


def equal_shares(num_examples: int, num_calls: Sequence[int]) -> dict[int, int]:
    """Return how many examples have each number of calls: equally many, the rest to the smaller.

    Args:
        num_examples: Examples in all.
        num_calls: The numbers of calls, rising.
    """
    share, rest = divmod(num_examples, len(num_calls))
    return {calls: share + (place < rest) for place, calls in enumerate(num_calls)}


def ratio_shares(num_examples: int, ratios: Sequence[float]) -> dict[int, int]:
    """Return how many examples have 2, 3, ... calls by given ratios, the rest to the smaller.

    Args:
        num_examples: Examples in all.
        ratios: Shares of 2, 3, ... calls; they sum to 1.
    """
    exact = [Fraction(str(ratio)) for ratio in ratios]
    shares = [int(num_examples * ratio / sum(exact)) for ratio in exact]
    for place in range(num_examples - sum(shares)):
        shares[place] += 1
    return {calls: share for calls, share in enumerate(shares, start=2) if share}


def compose(
    pools: Mapping[Group, Sequence[Row]],
    shares: Mapping[int, int],
    generator: np.random.Generator,
) -> list[tuple[Row, ...]]:
    """Choose the rows of each example: k rows of k different groups for an example of k calls.

    No row stands twice where there are enough, and none stands two times more often than it must;
    groups are drawn equally often as far as their rows reach. Which groups and rows meet is random.

    Args:
        pools: The rows of each group: of each tool, or of each round. No group shares a tool.
        shares: Number of examples for each number of calls.
        generator: Source of randomness.

    Returns:
        The examples, those with fewer calls first.

    Raises:
        ConfigError: If an example needs more groups than there are.
    """
    pools = {group: rows for group, rows in pools.items() if rows}
    sizes = sorted((calls for calls, n in shares.items() for _ in range(n)), reverse=True)
    if not sizes:
        return []
    if sizes[0] > len(pools):
        raise ConfigError(
            f"examples of {sizes[0]} calls need as many different tools and there are "
            f"{len(pools)}: lower the largest number of calls"
        )
    demands = _demands({group: len(rows) for group, rows in pools.items()}, sizes)
    queues: dict[Group, list[Row]] = {group: [] for group in pools}
    seen: set[frozenset[str]] = set()
    examples = []
    for size in sizes:
        ties = dict(zip(pools, generator.permutation(len(pools)).tolist(), strict=True))
        groups = sorted(pools, key=lambda group: (-demands[group], ties[group]))[:size]
        for group in groups:
            demands[group] -= 1
            if not queues[group]:
                queues[group] = [pools[group][i] for i in generator.permutation(len(pools[group]))]
        rows = _unseen(groups, queues, seen, generator)
        examples.append(tuple(rows[i] for i in generator.permutation(size)))
    by_size: defaultdict[int, list[tuple[Row, ...]]] = defaultdict(list)
    for example in examples:
        by_size[len(example)].append(example)
    return [
        by_size[size][i]
        for size in sorted(by_size)
        for i in generator.permutation(len(by_size[size]))
    ]


def join_queries(queries: Sequence[str], generator: np.random.Generator) -> str:
    """Join queries with connectors; every query keeps its letters as they are.

    For example `Play jazz. Also, Wake me at 7`.
    """
    text = queries[0].strip()
    for place, query in enumerate(queries[1:], start=1):
        connectors = _AT_THE_END if place == len(queries) - 1 else _BETWEEN
        connector = connectors[int(generator.integers(len(connectors)))]
        text += f"{'' if text.endswith(_ENDS) else '.'} {connector}, {query.strip()}"
    return text


def num_base_queries(examples: Iterable[Sequence[str]]) -> int:
    """Return the number of distinct base queries in some examples, given their base ids."""
    return len({base_id for base_ids in examples for base_id in base_ids})


def _demands(num_rows: Mapping[Group, int], sizes: Sequence[int]) -> dict[Group, int]:
    """Return how often each group is drawn: as equally as can be, with as little reuse as can be.

    With `reuse` uses a row at most, a group can be drawn min(reuse x rows, examples) times. Equal
    demands under these caps can be met by examples of different groups if any demands can: the
    condition of Gale and Ryser, met by taking the groups in greatest demand for the largest first.
    """
    reuse = -(-sum(sizes) // sum(num_rows.values()))
    while not _can_meet([min(reuse * n, len(sizes)) for n in num_rows.values()], sizes):
        reuse += 1
    caps = {group: min(reuse * n, len(sizes)) for group, n in num_rows.items()}
    demands, open_slots = {}, sum(sizes)
    for place, group in enumerate(sorted(caps, key=lambda group: caps[group])):
        demands[group] = min(caps[group], open_slots // (len(caps) - place))
        open_slots -= demands[group]
    return demands


def _can_meet(caps: Sequence[int], sizes: Sequence[int]) -> bool:
    """Return whether examples of different groups fit: Gale and Ryser for rising prefixes."""
    bound = np.array(caps)
    needed = np.cumsum(sizes)
    return all(needed[j - 1] <= np.minimum(bound, j).sum() for j in range(1, len(sizes) + 1))


def _unseen(
    groups: Sequence[Group],
    queues: dict[Group, list[Row]],
    seen: set[frozenset[str]],
    generator: np.random.Generator,
) -> list[Row]:
    """Take a row from each group's queue, rows that no other example joins if possible."""
    places = [0 for _ in groups]
    for attempt in range(_TRIES):
        chosen = frozenset(queues[g][i].id for g, i in zip(groups, places, strict=True))
        if chosen not in seen or attempt == _TRIES - 1:
            break
        places = [int(generator.integers(len(queues[group]))) for group in groups]
    seen.add(chosen)
    return [queues[group].pop(place) for group, place in zip(groups, places, strict=True)]
