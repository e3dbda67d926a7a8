import hashlib

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from compositional.streams import Streams

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=8)
KEYS = st.lists(st.integers(0, 99) | NAMES, max_size=3)


def test_a_stream_depends_on_seed_name_and_keys_alone() -> None:
    streams = Streams(42)
    before = streams.generator("order", "round 1", 0).permutation(50).tolist()
    streams.generator("order", "round 1", 1).permutation(50)
    np.random.default_rng(1).random()
    torch.randn(3)
    assert streams.generator("order", "round 1", 0).permutation(50).tolist() == before
    assert Streams(42).generator("order", "round 1", 0).permutation(50).tolist() == before
    others = [("order", "round 1", 1), ("order", "round 2", 0), ("replay", "round 1", 0)]
    draws = [streams.generator(*key).permutation(50).tolist() for key in others]
    draws.append(Streams(43).generator("order", "round 1", 0).permutation(50).tolist())
    assert before not in draws
    assert len({tuple(draw) for draw in draws}) == 4


def test_the_derivation_never_changes() -> None:
    """Another derivation would change every result: these values are part of the protocol."""
    digest = hashlib.sha256(b"42\ndropout\nround 1\n7").digest()
    assert Streams(42).integer("dropout", "round 1", 7) == int.from_bytes(digest[:8], "big") // 2
    assert Streams(42).integer("lora", "round 1") == 6617823355326869945
    assert Streams(0).generator("bootstrap").integers(1000, size=4).tolist() == [207, 969, 20, 117]


@given(st.integers(0, 2**40), NAMES, KEYS)
def test_seeds_fit_every_library(seed, name, keys) -> None:
    value = Streams(seed).integer(name, *keys)
    assert 0 <= value < 2**63
    with torch.random.fork_rng():
        torch.manual_seed(value)
    assert Streams(seed).integer(name, *keys) == value


@given(st.tuples(st.integers(0, 3), NAMES, KEYS), st.tuples(st.integers(0, 3), NAMES, KEYS))
def test_two_streams_are_one_only_where_all_their_parts_are(one, other) -> None:
    parts = [[str(part) for part in (seed, name, *keys)] for seed, name, keys in (one, other)]
    (seed, name, keys), (other_seed, other_name, other_keys) = one, other
    same = Streams(seed).integer(name, *keys) == Streams(other_seed).integer(
        other_name, *other_keys
    )
    assert same == (parts[0] == parts[1])
