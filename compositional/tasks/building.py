"""What round files hold: a source's rows, cleaned, ranked, split, and then composed."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from compositional.errors import ConfigError, DataError
from compositional.files import sha256_text
from compositional.streams import Streams
from compositional.tasks.cleaning import Cleaned, clean, name_twins
from compositional.tasks.composition import (
    compose,
    equal_shares,
    join_queries,
    num_base_queries,
)
from compositional.tasks.ranges import ToolRange
from compositional.tasks.round_request import RoundRequest
from compositional.tasks.rows import Row, Source, name_words
from compositional.tasks.split import RankedTool, ToolRows, rank_tools, split_rows
from compositional.tasks.types import Example, JsonObject, Step

_COMMON_WORDS = frozenset({"find", "search", "lookup", "make", "play"})
_MIN_WORD_LETTERS = 4


@dataclass(frozen=True)
class RoundContent:
    """What the files of one round hold.

    Attributes:
        tools: The tools with all their rows, in order of rank.
        splits: Their rows, split.
        examples: Examples by split: `train`, `validation`, `test`.
        num_left_out: One-call training rows over `train_size`, left out.
    """

    tools: tuple[RankedTool, ...]
    splits: tuple[ToolRows, ...]
    examples: dict[str, tuple[Example, ...]]
    num_left_out: int


class SourceTools:
    """A source's tools by rank, and all that is built from their rows under one data seed."""

    def __init__(self, source: Source, data_seed: int) -> None:
        self.source = source
        self.data_seed = data_seed
        self._streams = Streams(data_seed)

    @cached_property
    def cleaned(self) -> Cleaned:
        """The rows that rounds are made from."""
        return clean(self.source.rows)

    @cached_property
    def ranked(self) -> list[RankedTool]:
        """All tools, that of rank 1 first."""
        return rank_tools(self.cleaned.rows)

    def in_range(self, tools: ToolRange) -> tuple[RankedTool, ...]:
        """Return the tools of a range.

        Raises:
            ConfigError: If the source has too few.
        """
        if tools.last > len(self.ranked):
            raise ConfigError(
                f"range {tools} reaches beyond the {len(self.ranked)} tools of source "
                f"{self.source.name}: take lower ranks or another source"
            )
        return tuple(self.ranked[tools.first - 1 : tools.last])

    def splits(self, tools: ToolRange) -> tuple[ToolRows, ...]:
        """Return the rows of a range's tools, split."""
        return tuple(
            split_rows(tool.skill.name, tool.rows, self.data_seed) for tool in self.in_range(tools)
        )

    def twins(self, names: Sequence[str]) -> list[list[str]]:
        """Return the pairs of twins among all tools that have one of some tools in them."""
        by_name = name_twins(names, [tool.skill.name for tool in self.ranked])
        by_query = {pair for pair in self.cleaned.query_twins if set(pair) & set(names)}
        return sorted(list(pair) for pair in by_name | by_query)

    def round(self, request: RoundRequest) -> RoundContent:
        """Return what a round's files hold.

        Raises:
            ConfigError: If sizes, numbers of calls and the range do not fit each other.
            DataError: If a tool has too few rows.
        """
        tools, splits = self.in_range(request.tools), self.splits(request.tools)
        names = [tool.skill.name for tool in tools]
        train = {
            name: split.train[: request.samples_per_tool]
            for name, split in zip(names, splits, strict=True)
        }
        one_call, num_left_out = _one_call_rows(train, request)
        shares = request.train_shares(request.train_size - len(one_call))
        generator = self._generator("train", request.tools)
        chosen: list[tuple[Row, ...]] = [
            (one_call[i],) for i in generator.permutation(len(one_call))
        ]
        chosen += compose(train, shares, generator)
        examples = {"train": _examples(f"train-tools{request.tools}", chosen, generator)}
        for split in ("validation", "test"):
            pools = {name: getattr(rows, split) for name, rows in zip(names, splits, strict=True)}
            shares = _scored_shares(request, pools, split)
            generator = self._generator(split, request.tools)
            chosen = compose(pools, shares, generator)
            examples[split] = _examples(f"{split}-tools{request.tools}", chosen, generator)
        return RoundContent(tools, splits, examples, num_left_out)

    def mixed(
        self, rounds: Sequence[ToolRange], num_examples: int, max_calls: int
    ) -> tuple[Example, ...]:
        """Return test examples that join test queries of different rounds, 2 to `max_calls`.

        Raises:
            ConfigError: If there are fewer than two rounds.
        """
        if len(rounds) < 2:
            raise ConfigError("a mixed test set joins different rounds and there is one: ask for 0")
        pools = {
            place: [row for split in self.splits(tools) for row in split.test]
            for place, tools in enumerate(rounds)
        }
        numbers = range(2, max(2, min(max_calls, len(rounds))) + 1)
        generator = self._streams.generator("compose", "mixed", *map(str, rounds))
        chosen = compose(pools, equal_shares(num_examples, numbers), generator)
        return _examples("mixed", chosen, generator)

    def _generator(self, split: str, tools: ToolRange) -> np.random.Generator:
        return self._streams.generator("compose", split, str(tools))


def unanswerable(
    queries: Iterable[tuple[str, str]], names: Sequence[str], num_examples: int, data_seed: int
) -> tuple[Example, ...]:
    """Return queries that none of some tools answers, as examples without steps.

    Left out are queries in which a word of four letters or more of a tool's name occurs, with or
    without final s; `find`, `search`, `lookup`, `make` and `play` say nothing.

    Args:
        queries: Id and text of each.
        names: The tools of the run.
        num_examples: How many are asked for.
        data_seed: Which are taken.

    Raises:
        DataError: If fewer are left.
    """
    words = {word for name in names for word in name_words(name) if len(word) >= _MIN_WORD_LETTERS}
    stems = {word.removesuffix("s") for word in words - _COMMON_WORDS}
    left = [
        (query_id, query)
        for query_id, query in queries
        if not stems & {word.removesuffix("s") for word in name_words(query.lower())}
    ]
    if len(left) < num_examples:
        raise DataError(
            f"{num_examples} unanswerable queries are asked for and {len(left)} are left that "
            "share no word with a tool of the run: ask for fewer"
        )
    left.sort(key=lambda item: sha256_text(f"{data_seed}\n{item[1]}"))
    return tuple(
        Example(query_id, query, (), None, (query_id,)) for query_id, query in left[:num_examples]
    )


def counts(examples: Sequence[Example]) -> JsonObject:
    """Return how many examples there are, of how many base queries, and of each number of calls."""
    by_calls = Counter(len(example.steps or ()) for example in examples)
    return {
        "examples": len(examples),
        "base_queries": num_base_queries(example.base_ids for example in examples),
        "by_number_of_calls": {str(calls): by_calls[calls] for calls in sorted(by_calls)},
    }


def _one_call_rows(
    train: Mapping[str, Sequence[Row]], request: RoundRequest
) -> tuple[list[Row], int]:
    """Return the one-call training rows and how many are over `train_size`; the last ones go."""
    if request.train_size < len(train):
        raise ConfigError(
            f"train_size {request.train_size} is below the {len(train)} tools of range "
            f"{request.tools}: each needs a row"
        )
    longest = max(len(rows) for rows in train.values())
    rows = [rows[i] for i in range(longest) for rows in train.values() if i < len(rows)]
    return rows[: request.train_size], max(0, len(rows) - request.train_size)


def _scored_shares(
    request: RoundRequest, pools: Mapping[str, Sequence[Row]], split: str
) -> dict[int, int]:
    """Return the shares of a test set, or of the validation set that its rows allow."""
    if split == "test":
        return request.test_shares()
    num_rows = [len(rows) for rows in pools.values()]
    return request.validation_shares(sum(num_rows), sum(map(bool, num_rows)))


def _examples(
    prefix: str, chosen: Sequence[Sequence[Row]], generator: np.random.Generator
) -> tuple[Example, ...]:
    return tuple(
        Example(
            id=f"{prefix}-{number:05d}",
            query=join_queries([row.query for row in rows], generator),
            steps=tuple(
                Step(call.name, json.dumps(call.arguments, ensure_ascii=False), call.acceptable)
                for row in rows
                for call in row.calls
            ),
            base_ids=tuple(row.id for row in rows),
        )
        for number, rows in enumerate(chosen, start=1)
    )
