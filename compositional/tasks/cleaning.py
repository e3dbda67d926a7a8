"""Cleaning before anything is ranked or split: each query once, and only under one gold."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from compositional.tasks.rows import Row, name_words

TWIN_OVERLAP = 0.5


@dataclass(frozen=True)
class Cleaned:
    """The rows that rounds are made from.

    Attributes:
        rows: Rows with exactly one call, each query once, in the source's order.
        counts: Rows read, dropped by each rule, and kept; for the manifest.
        query_twins: Pairs of tools (sorted) that share a query that was dropped.
    """

    rows: tuple[Row, ...]
    counts: dict[str, int]
    query_twins: frozenset[tuple[str, str]]


def clean(rows: Sequence[Row]) -> Cleaned:
    """Keep each query once, drop those that stand under different gold, then keep single calls.

    Args:
        rows: All rows of a source, those with several calls included: a query that one row
            answers by one call and another by two has different gold.
    """
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.query_key].append(row)
    counts: Counter[str] = Counter(rows_read=len(rows))
    kept: list[Row] = []
    twins: set[tuple[str, str]] = set()
    for group in groups.values():
        if len({row.gold_key for row in group}) > 1:
            counts["conflicting_queries"] += 1
            counts["conflicting_rows"] += len(group)
            tools = sorted({row.calls[0].name for row in group if len(row.calls) == 1})
            twins.update(combinations(tools, 2))
            continue
        counts["duplicate_rows"] += len(group) - 1
        if len(group[0].calls) == 1:
            kept.append(group[0])
        else:
            counts["rows_not_single_call"] += 1
    counts["rows_kept"] = len(kept)
    names = ("rows_read", "duplicate_rows", "conflicting_queries", "conflicting_rows")
    ordered = {name: counts[name] for name in (*names, "rows_not_single_call", "rows_kept")}
    return Cleaned(tuple(kept), ordered, frozenset(twins))


def name_twins(names: Iterable[str], others: Iterable[str]) -> frozenset[tuple[str, str]]:
    """Return the pairs (sorted) of a name and another whose words overlap by half or more.

    Overlap is the Jaccard index of the sets of words: shared words over all words of both. Names of
    a and b words that overlap so share at least t / (1 + t) (a + b) words, t = 1/2, hence one among
    the rarest few of each (prefix filtering: Chaudhuri et al. 2006): frequent words such as `get`
    make no candidates, and ten thousand names take no time to speak of.
    """
    candidates = set(others)
    everything = {*names, *candidates}
    counts = Counter(word for name in everything for word in set(name_words(name)))
    words = {
        name: sorted(set(name_words(name)), key=lambda word: (counts[word], word))
        for name in everything
    }
    holders: defaultdict[tuple[int, str, int], set[str]] = defaultdict(set)
    for other in candidates:
        for place, word in enumerate(words[other]):
            holders[len(words[other]), word, place].add(other)
    sizes = sorted({len(words[other]) for other in candidates})
    twins = set()
    for name in names:
        own = words[name]
        for size in sizes:
            least = math.ceil(TWIN_OVERLAP / (1 + TWIN_OVERLAP) * (len(own) + size))
            for word in own[: max(0, len(own) - least + 1)]:
                for place in range(max(0, size - least + 1)):
                    for other in holders.get((size, word, place), ()):
                        if other != name and len(set(own) & set(words[other])) >= least:
                            twins.add((min(name, other), max(name, other)))
    return frozenset(twins)
