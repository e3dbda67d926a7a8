"""Resampling: groups, draws, and means against drawing examples one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compositional.resampling import Resamples, group_examples

ALONE = [(f"q{i}",) for i in range(20)]


def test_examples_that_share_a_base_query_through_others_are_one_group() -> None:
    base_ids = [("a",), ("b", "c"), ("d",), ("c", "e"), (), ("a", "d"), ()]
    assert group_examples(base_ids).tolist() == [0, 1, 0, 1, 2, 0, 3]


def test_examples_without_base_ids_stand_alone() -> None:
    assert group_examples([(), (), ()]).tolist() == [0, 1, 2]


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=3), min_size=1, max_size=8))
def test_groups_are_connected_components(base_ids: list[list[str]]) -> None:
    groups = list(range(len(base_ids)))
    for _ in base_ids:  # spread labels until nothing changes
        for i, first in enumerate(base_ids):
            for j, second in enumerate(base_ids):
                if set(first) & set(second):
                    groups[i] = groups[j] = min(groups[i], groups[j])
    order = list(dict.fromkeys(groups))
    assert group_examples(base_ids).tolist() == [order.index(group) for group in groups]


def test_draws_depend_on_seed_and_name_alone() -> None:
    both = Resamples.draw({"a": ALONE, "b": ALONE}, seed=1, num_resamples=50)
    alone = Resamples.draw({"b": ALONE}, seed=1, num_resamples=50)
    other = Resamples.draw({"b": ALONE}, seed=2, num_resamples=50)
    np.testing.assert_array_equal(both.columns["b"].counts, alone.columns["b"].counts)
    assert (both.columns["a"].counts != both.columns["b"].counts).any()
    assert (other.columns["b"].counts != alone.columns["b"].counts).any()


def test_each_resample_draws_as_many_groups_as_there_are() -> None:
    column = Resamples.draw({"a": ALONE}, seed=0, num_resamples=100).columns["a"]
    assert column.num_groups == 20
    assert (column.counts.sum(axis=1) == 20).all()


def test_means_are_those_of_the_examples_drawn() -> None:
    base_ids = [("a",), ("b",), ("a", "c"), ("d",), ("e",), ("d",)]
    scores = np.array([1.0, 0.5, np.nan, 0.25, np.nan, 0.0])
    column = Resamples.draw({"x": base_ids}, seed=3, num_resamples=200).columns["x"]
    expected = []
    for counts in column.counts.astype(int):
        drawn = [
            scores[example]
            for group, count in enumerate(counts)
            for example in np.flatnonzero(column.groups == group).tolist() * count
        ]
        applicable = [score for score in drawn if not np.isnan(score)]
        expected.append(np.mean(applicable) if applicable else np.nan)
    np.testing.assert_allclose(column.means(scores), expected)


def test_pooled_means_are_those_of_the_examples_drawn_in_all_columns() -> None:
    base_ids = {"x": [("a",), ("b",), ("c",)], "y": [("a",), ("d",), ("d",), ("e",)]}
    scores = {"x": np.array([1.0, np.nan, 0.5]), "y": np.array([0.0, 0.25, np.nan, np.nan])}
    resamples = Resamples.draw(base_ids, seed=3, num_resamples=200)
    expected = []
    for draw in range(200):
        drawn = [
            scores[name][example]
            for name, column in resamples.columns.items()
            for group, count in enumerate(column.counts[draw].astype(int))
            for example in np.flatnonzero(column.groups == group).tolist() * count
        ]
        applicable = [score for score in drawn if not np.isnan(score)]
        expected.append(np.mean(applicable) if applicable else np.nan)
    np.testing.assert_allclose(resamples.pooled_means(scores), expected)
    alone = Resamples.draw({**base_ids, "z": [("q",)]}, seed=3, num_resamples=200)
    assert np.isnan(alone.pooled_means({**scores, "z": np.array([1.0])})).all()


def test_independent_examples_spread_as_the_theory_says() -> None:
    scores = np.arange(20) / 20
    means = Resamples.draw({"a": ALONE}, seed=0).cell_means("a", scores)
    assert means.shape == (10_000,)
    assert means.mean() == pytest.approx(scores.mean(), abs=0.005)
    assert means.std() == pytest.approx(scores.std() / np.sqrt(20), rel=0.05)


def test_grouped_examples_spread_more() -> None:
    scores = np.repeat(np.arange(10) / 10, 2)
    pairs = [(f"q{i // 2}",) for i in range(20)]
    resamples = Resamples.draw({"alone": ALONE, "pairs": pairs}, seed=0)
    grouped = resamples.cell_means("pairs", scores).std()
    assert grouped == pytest.approx(scores.std() / np.sqrt(10), rel=0.05)
    assert grouped > 1.3 * resamples.cell_means("alone", scores).std()


def test_one_group_says_nothing_about_its_spread() -> None:
    resamples = Resamples.draw({"a": [("q",), ("q", "r"), ("r",)]}, seed=0, num_resamples=10)
    assert np.isnan(resamples.cell_means("a", np.array([0.0, 0.5, 1.0]))).all()
