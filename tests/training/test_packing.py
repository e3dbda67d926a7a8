import torch

from compositional.training import packing
from compositional.training.batching import TokenSequence
from compositional.training.packing import pack, packs_of

ONE = TokenSequence((5, 6, 7), (8, 2))
TWO = TokenSequence((9,), (10, 2))


def test_a_pack_by_hand() -> None:
    batch = pack([ONE, TWO])
    assert batch.input_ids.tolist() == [[5, 6, 7, 8, 2, 9, 10, 2]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 4, 0, 1, 2]]
    assert batch.predicting.tolist() == [2, 3, 5, 6]
    assert batch.targets.tolist() == [8, 2, 10, 2]


def test_packs_keep_the_order_and_stay_under_the_limit(monkeypatch) -> None:
    monkeypatch.setattr(packing, "MAX_PACK_TOKENS", 8)
    packs = list(packs_of([ONE, TWO, TWO, TWO, ONE, ONE]))
    assert [pack.input_ids.shape[1] for pack in packs] == [8, 6, 5, 5]
    targets = torch.cat([pack.targets for pack in packs]).tolist()
    assert targets == [8, 2, 10, 2, 10, 2, 10, 2, 8, 2, 8, 2]


def test_a_sequence_over_the_limit_stands_alone(monkeypatch) -> None:
    monkeypatch.setattr(packing, "MAX_PACK_TOKENS", 2)
    assert [pack.input_ids.shape[1] for pack in packs_of([ONE, TWO])] == [5, 3]
