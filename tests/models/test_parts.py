from compositional.models import parts
from compositional.models.parts import slices_of


def test_packs_keep_the_order_and_stay_under_the_limit(monkeypatch) -> None:
    monkeypatch.setattr(parts, "MAX_PACK_TOKENS", 8)
    lengths = [5, 3, 3, 3, 5, 9, 8, 1]
    packs = [lengths[chosen] for chosen in slices_of(lengths)]
    assert packs == [[5, 3], [3, 3], [5], [9], [8], [1]]


def test_no_sequences_make_no_pack() -> None:
    assert list(slices_of([])) == []
