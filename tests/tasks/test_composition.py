from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compositional.errors import ConfigError
from compositional.tasks.composition import (
    compose,
    equal_shares,
    join_queries,
    num_base_queries,
    ratio_shares,
)
from compositional.tasks.rows import Row
from tests.tasks.toy_rows import row


def _pools(sizes: list[int]) -> dict[str, list[Row]]:
    return {
        f"t{t}": [row(f"Ask {t} {i}", f"t{t}", row_id=f"{t}.{i}") for i in range(n)]
        for t, n in enumerate(sizes)
    }


def _generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def test_equal_shares_give_the_rest_to_the_smaller_numbers() -> None:
    assert equal_shares(100, [1, 2, 3]) == {1: 34, 2: 33, 3: 33}
    assert equal_shares(11, range(2, 5)) == {2: 4, 3: 4, 4: 3}
    assert equal_shares(1, [1, 2]) == {1: 1, 2: 0}


def test_ratios_give_shares_of_two_and_more_calls() -> None:
    assert ratio_shares(10, [0.7, 0.3]) == {2: 7, 3: 3}
    assert ratio_shares(10, [1 / 3, 1 / 3, 1 / 3]) == {2: 4, 3: 3, 4: 3}
    assert ratio_shares(5, [0.0, 1.0]) == {3: 5}


def test_queries_keep_their_letters_and_join_by_connectors() -> None:
    queries = ["Play ABBA", "Is it 5 PM? ", "wake me, OK"]
    text = join_queries(queries, _generator())
    assert [text.index(query.strip()) for query in queries] == sorted(
        text.index(query.strip()) for query in queries
    )
    assert text.startswith("Play ABBA. ")
    assert "? " in text
    assert "?." not in text
    assert join_queries(["Alone"], _generator()) == "Alone"


@given(
    sizes=st.lists(st.integers(1, 6), min_size=3, max_size=6),
    shares=st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)),
    seed=st.integers(0, 5),
)
def test_examples_have_different_tools_and_the_asked_numbers_of_calls(
    sizes: list[int], shares: tuple[int, int, int], seed: int
) -> None:
    asked = dict(enumerate(shares, start=1))
    examples = compose(_pools(sizes), asked, _generator(seed))
    assert [len(example) for example in examples] == sorted(
        calls for calls, n in asked.items() for _ in range(n)
    )
    for example in examples:
        assert len({part.calls[0].name for part in example}) == len(example)
    uses = Counter(part.id for example in examples for part in example)
    slots = sum(calls * n for calls, n in asked.items())
    if min(sizes) * len(sizes) >= slots and min(sizes) >= -(-slots // len(sizes)):
        assert set(uses.values()) <= {1}


def test_no_row_stands_twice_where_that_can_be_avoided() -> None:
    # The large tool must be in both examples: three rows of the others for four places else.
    examples = compose(_pools([9, 1, 1]), {2: 2}, _generator())
    assert num_base_queries([[part.id for part in e] for e in examples]) == 4


def test_rows_are_reused_equally_often_where_there_are_too_few() -> None:
    # 18 places and 10 rows, as in the quickstart's third round.
    examples = compose(_pools([4, 3, 3]), {1: 6, 2: 6}, _generator())
    uses = Counter(part.id for example in examples for part in example)
    assert len(uses) == 10
    assert set(uses.values()) == {1, 2}
    rows = [frozenset(part.id for part in example) for example in examples]
    assert len(set(rows)) == 12


def test_tools_are_drawn_equally_often() -> None:
    examples = compose(_pools([30, 12, 12]), {1: 4, 2: 4, 3: 4}, _generator())
    assert set(Counter(part.calls[0].name for e in examples for part in e).values()) == {8}


def test_the_same_stream_gives_the_same_examples_and_another_one_others() -> None:
    def ids(seed: int) -> list[list[str]]:
        pools = _pools([9, 9, 9])
        return [[part.id for part in e] for e in compose(pools, {2: 5}, _generator(seed))]

    assert ids(1) == ids(1) != ids(2)


def test_more_calls_than_tools_are_refused() -> None:
    with pytest.raises(ConfigError, match="examples of 3 calls"):
        compose(_pools([5, 5]), {3: 1}, _generator())
