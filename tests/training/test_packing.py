from compositional.training.batching import TokenSequence
from compositional.training.packing import pack

ONE = TokenSequence((5, 6, 7), (8, 2))
TWO = TokenSequence((9,), (10, 2))


def test_a_pack_by_hand() -> None:
    batch = pack([ONE, TWO])
    assert batch.input_ids.tolist() == [[5, 6, 7, 8, 9, 10]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 0, 1]]
    assert batch.predicting.tolist() == [2, 3, 4, 5]
    assert batch.targets.tolist() == [8, 2, 10, 2]
