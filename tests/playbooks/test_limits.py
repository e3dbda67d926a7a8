import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compositional.playbooks.limits import fold_duplicates, within_budget
from compositional.playbooks.playbook import Playbook


def book(*texts: str) -> Playbook:
    playbook = Playbook()
    for number, text in enumerate(texts):
        playbook = playbook.add("facts", text, [f"document {number}"])
    return playbook


def words(text: str) -> int:
    return len(text.split())


def test_equal_texts_become_the_oldest_entry() -> None:
    playbook = book("The mill.", "Bread.", "the Mill").count(
        [("str-00001", "helpful"), ("str-00003", "harmful"), ("str-00003", "helpful")]
    )
    folded = fold_duplicates(playbook)
    assert folded.ids == ("str-00001", "str-00002")
    first = folded.entries[0]
    assert (first.text, first.helpful, first.harmful) == ("The mill.", 2, 1)
    assert first.sources == ("document 0", "document 2")
    assert folded.next_number == 4


def test_near_vectors_become_one_from_the_threshold_on() -> None:
    angle = np.deg2rad(20.0)
    vectors = {"a": [1.0, 0.0], "b": [np.cos(angle), np.sin(angle)], "c": [0.0, 1.0]}

    def embed(texts: object) -> np.ndarray:
        return np.array([vectors[text] for text in texts])  # type: ignore[attr-defined]

    playbook = book("a", "b", "c")
    assert fold_duplicates(playbook, embed, 0.93).ids == ("str-00001", "str-00003")  # cos 0.9397
    assert fold_duplicates(playbook, embed, 0.95) == playbook


def test_the_worst_goes_first_and_of_equal_ones_the_oldest() -> None:
    # A line has five words and the heading two: "[id] helpful=. harmful=. :: x".
    playbook = book("a", "b", "c", "d").count(
        [("str-00001", "helpful"), ("str-00003", "harmful"), ("str-00004", "helpful")]
    )
    assert within_budget(playbook, words, 22) == (playbook, 0)
    for budget, left in ((21, (1, 2, 4)), (12, (1, 4)), (11, (4,)), (7, (4,)), (6, ())):
        kept, dropped = within_budget(playbook, words, budget)
        assert kept.ids == tuple(f"str-0000{n}" for n in left), budget
        assert dropped == 4 - len(left)


@given(st.lists(st.integers(-3, 3), max_size=8), st.integers(0, 60))
def test_a_budget_drops_as_a_sorted_list_would(scores: list[int], budget: int) -> None:
    playbook = book(*(f"w{n}" for n in range(len(scores))))
    for entry_id, score in zip(playbook.ids, scores, strict=True):
        tag = "helpful" if score > 0 else "harmful"
        playbook = playbook.count([(entry_id, tag)] * abs(score))
    kept, dropped = within_budget(playbook, words, budget)
    worst_first = sorted(playbook.entries, key=lambda entry: (entry.score, entry.id))
    for gone in range(len(scores) + 1):
        left = playbook.without(entry.id for entry in worst_first[:gone])
        if words(left.render()) <= budget:
            assert (kept, dropped) == (left, gone)
            break
