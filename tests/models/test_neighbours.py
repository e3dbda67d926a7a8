import pytest
import torch

from compositional.models.neighbours import NeighbourStore

TOKENS = 40


def filled(toy, share: float = 0.25, k: int = 2) -> tuple[NeighbourStore, torch.Tensor]:
    store = NeighbourStore(toy.model, k, 0.5, share)
    torch.manual_seed(0)
    keys = torch.randn(5, 32)
    store.put("a", keys, torch.tensor([3, 4, 3, 7, 8]))
    return store, keys


def test_is_the_distribution_of_the_nearest_keys(toy) -> None:
    store, keys = filled(toy)
    query = keys[1] + 0.01
    distances = [float(((query - key.half().float()) ** 2).sum() / 32) for key in keys]
    nearest = sorted(range(5), key=distances.__getitem__)[:2]
    weights = torch.tensor([-distances[n] / 0.5 for n in nearest]).softmax(dim=0)
    expected = torch.zeros(TOKENS)
    for place, weight in zip(nearest, weights, strict=True):
        expected[[3, 4, 3, 7, 8][place]] += weight
    assert torch.allclose(store.distribution(query[None], TOKENS)[0], expected, atol=1e-6)


def test_every_step_is_mixed_and_removal_is_exact(toy) -> None:
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        plain = toy.model(input_ids=ids, output_hidden_states=True)
        store, _ = filled(toy, share=0.3)
        mixed = toy.model(input_ids=ids).logits
        near = store.distribution(plain.hidden_states[-1][0], plain.logits.shape[-1])
        expected = 0.7 * plain.logits[0].softmax(dim=-1) + 0.3 * near
        assert torch.allclose(mixed[0].exp(), expected, atol=1e-6)
        assert mixed[0].exp().sum(dim=-1) == pytest.approx(torch.ones(4).numpy(), abs=1e-5)
        store.remove("a")
        assert torch.equal(toy.model(input_ids=ids).logits, plain.logits)


def test_an_empty_store_takes_no_part(toy) -> None:
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        before = toy.model(input_ids=ids).logits
        NeighbourStore(toy.model, 4, 1.0, 0.5)
        assert torch.equal(toy.model(input_ids=ids).logits, before)


def test_a_state_gives_the_same_logits(toy) -> None:
    store, _ = filled(toy)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        expected, state = toy.model(input_ids=ids).logits, store.state_dict()
        store.remove("a")
        store.load_state_dict(state, ["a"])
        assert torch.equal(toy.model(input_ids=ids).logits, expected)
