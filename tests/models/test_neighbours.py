import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from compositional.models.neighbours import NeighbourStore
from tests.models.toy_families import CONFIGS, FINISHED, IDS, logits

TOKENS = 40
FAMILIES = CONFIGS | FINISHED


@pytest.fixture(params=list(FAMILIES))
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(0)
    found: PreTrainedModel = AutoModelForCausalLM.from_config(FAMILIES[request.param])
    return found.eval().requires_grad_(False)


def store_on(
    model: PreTrainedModel, share: float = 0.25, k: int = 2
) -> tuple[NeighbourStore, torch.Tensor]:
    store = NeighbourStore(model, k, 0.5, share)
    torch.manual_seed(0)
    keys = torch.randn(5, 32)
    store.put("a", keys, torch.tensor([3, 4, 3, 7, 8]))
    return store, keys


def test_is_the_distribution_of_the_nearest_keys(toy) -> None:
    store, keys = store_on(toy.model)
    query = keys[1] + 0.01
    distances = [float(((query - key.half().float()) ** 2).sum() / 32) for key in keys]
    nearest = sorted(range(5), key=distances.__getitem__)[:2]
    weights = torch.tensor([-distances[n] / 0.5 for n in nearest]).softmax(dim=0)
    expected = torch.zeros(TOKENS)
    for place, weight in zip(nearest, weights, strict=True):
        expected[[3, 4, 3, 7, 8][place]] += weight
    assert torch.allclose(store.distribution(query[None], TOKENS)[0], expected, atol=1e-6)


def test_every_step_is_mixed_and_removal_is_exact(model) -> None:
    """With what the model itself makes of its last hidden states, capped or scaled."""
    plain = logits(model)
    with torch.no_grad():
        hidden = model.base_model(input_ids=IDS, use_cache=False).last_hidden_state[0]
    store, _ = store_on(model, share=0.3)
    mixed = logits(model)
    expected = 0.7 * plain[0].softmax(dim=-1) + 0.3 * store.distribution(hidden, 50)
    assert torch.allclose(mixed[0].exp(), expected, atol=1e-6)
    assert mixed[0].exp().sum(dim=-1) == pytest.approx(torch.ones(8).numpy(), abs=1e-5)
    store.remove("a")
    assert torch.equal(logits(model), plain)


def test_later_tokens_change_nothing_before_and_a_cache_changes_nothing(model) -> None:
    store_on(model)
    whole = logits(model)
    changed = IDS.clone()
    changed[0, 5:] = 7
    assert torch.allclose(logits(model, changed)[:, :5], whole[:, :5], atol=1e-5)
    with torch.no_grad():
        first = model(input_ids=IDS[:, :5], use_cache=True)
        rest = model(input_ids=IDS[:, 5:], past_key_values=first.past_key_values).logits
        last = model(input_ids=IDS, use_cache=False, logits_to_keep=1).logits
    assert torch.allclose(torch.cat([first.logits, rest], dim=1), whole, atol=1e-5)
    assert torch.allclose(last, whole[:, -1:], atol=1e-5)


def test_an_empty_store_takes_no_part(model) -> None:
    before = logits(model)
    NeighbourStore(model, 4, 1.0, 0.5)
    assert torch.equal(logits(model), before)


def test_what_was_loaded_stands_where_the_next_document_will(toy) -> None:
    """A state is read into main memory, whatever the model's device."""
    store, _ = store_on(toy.model)
    state = store.state_dict()
    elsewhere = NeighbourStore(toy.model.to("meta"), 2, 0.5, 0.25)
    elsewhere.load_state_dict(state, ["a"])
    elsewhere.put("b", torch.empty(3, 32, device="meta"), torch.empty(3, device="meta").long())
    assert {tensor.device.type for tensor in elsewhere.state_dict().values()} == {"meta"}


def test_a_state_gives_the_same_logits(model) -> None:
    store, _ = store_on(model)
    expected, state = logits(model), store.state_dict()
    store.remove("a")
    store.load_state_dict(state, ["a"])
    assert torch.equal(logits(model), expected)
