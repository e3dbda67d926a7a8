import torch

from compositional.models import parts
from compositional.models.language_model import LanguageModel
from compositional.models.parts import run_parts, slices_of


def test_packs_keep_the_order_and_stay_under_the_limit(monkeypatch) -> None:
    monkeypatch.setattr(parts, "MAX_PACK_TOKENS", 8)
    lengths = [5, 3, 3, 3, 5, 9, 8, 1]
    packs = [lengths[chosen] for chosen in slices_of(lengths)]
    assert packs == [[5, 3], [3, 3], [5], [9], [8], [1]]


def test_no_sequences_make_no_pack() -> None:
    assert list(slices_of([])) == []


@torch.no_grad()
def test_a_sequence_by_itself_is_as_in_a_pack(toy) -> None:
    model = LanguageModel(toy)
    one, other = [5, 6, 7, 8, 9], [9, 8, 7]
    both, states = run_parts(model, [one, other])
    alone, own = run_parts(model, [one])
    torch.testing.assert_close(alone, both[: len(one)], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(own[0], states[0], atol=1e-5, rtol=1e-5)
    again, _ = run_parts(model, [one[2:]], prefix=run_parts(model, [one[:2]])[1][0])
    torch.testing.assert_close(again, alone[2:], atol=1e-5, rtol=1e-5)
