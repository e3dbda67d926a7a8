from compositional.training import packing
from compositional.training.batching import TokenSequence
from compositional.training.packing import pack, slices_of

ONE = TokenSequence((5, 6, 7), (8, 2))
TWO = TokenSequence((9,), (10, 2))


def test_a_pack_by_hand() -> None:
    batch = pack([ONE, TWO])
    assert batch.input_ids.tolist() == [[5, 6, 7, 8, 9, 10]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 0, 1]]
    assert batch.predicting.tolist() == [2, 3, 4, 5]
    assert batch.targets.tolist() == [8, 2, 10, 2]


def test_packs_keep_the_order_and_stay_under_the_limit(monkeypatch) -> None:
    monkeypatch.setattr(packing, "MAX_PACK_TOKENS", 8)
    lengths = [5, 3, 3, 3, 5, 9, 8, 1]
    packs = [lengths[chosen] for chosen in slices_of(lengths)]
    assert packs == [[5, 3], [3, 3], [5], [9], [8], [1]]


def test_no_sequences_make_no_pack() -> None:
    assert list(slices_of([])) == []
