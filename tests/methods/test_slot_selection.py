import math

import numpy as np
import pytest
import torch

from compositional.methods.slot_selection import highest, random_scores, tf_idf_scores, tf_scores

COUNTS = [torch.tensor([3, 0, 1]), torch.tensor([2, 2])]


def test_tf_is_the_share_of_all_uses() -> None:
    first, second = tf_scores(COUNTS)
    assert first.tolist() == pytest.approx([3 / 8, 0, 1 / 8])
    assert second.tolist() == pytest.approx([2 / 8, 2 / 8])


def test_tf_idf_is_low_where_other_text_uses_a_slot_too() -> None:
    frequencies = [torch.tensor([9.0, 0.0, 0.0]), torch.tensor([4.0, 9.0])]
    first, second = tf_idf_scores(COUNTS, frequencies, 9)
    assert first.tolist() == pytest.approx([0, 0, 1 / 8 * math.log(10)])
    assert second.tolist() == pytest.approx([2 / 8 * math.log(10 / 5), 0])
    assert [slots.tolist() for slots in highest([first, second], 2)] == [[2], [0]]
    assert [slots.tolist() for slots in highest(tf_scores(COUNTS), 1)] == [[0], []]


def test_the_highest_are_taken_over_all_layers() -> None:
    scores = [torch.tensor([0.1, 0.9, 0.5]), torch.tensor([0.7, 0.2])]
    assert [slots.tolist() for slots in highest(scores, 3)] == [[1, 2], [0]]
    assert [slots.tolist() for slots in highest(scores, 99)] == [[0, 1, 2], [0, 1]]


def test_random_scores_say_nothing_of_the_counts() -> None:
    first = random_scores(COUNTS, np.random.default_rng(3))
    other = random_scores([7 * count for count in COUNTS], np.random.default_rng(3))
    assert [len(scores) for scores in first] == [3, 2]
    assert all(a.equal(b) for a, b in zip(first, other, strict=True))
