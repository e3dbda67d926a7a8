import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from compositional.errors import ConfigError
from compositional.models.adapters import LoraStack
from compositional.models.blocks import blocks_of, mlp_of, output_of
from compositional.models.last_blocks import LastBlocks
from compositional.models.low_rank import (
    LowRank,
    as_adapter,
    compose,
    lora_settings,
    mean_update,
    output_paths,
)
from tests.models.toy_families import CONFIGS

IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6], [2, 7, 1, 8, 2, 8, 0, 0]])
K, RANK = 2, 3


@pytest.fixture(params=list(CONFIGS))
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(0)
    found: PreTrainedModel = AutoModelForCausalLM.from_config(CONFIGS[request.param])
    return found.eval().requires_grad_(False)


def logits(model: PreTrainedModel, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids, use_cache=False).logits


def drawn(seed: int, *batch: int) -> LowRank:
    """An update of the last two blocks of a model of width 32."""
    generator = torch.Generator().manual_seed(seed)
    inner = 128  # GPT-2's own; the others have 64
    a = torch.randn(*batch, K, RANK, inner, generator=generator)
    return LowRank(a, torch.randn(*batch, K, RANK, 32, generator=generator))


def fitted(update: LowRank, blocks: LastBlocks) -> LowRank:
    return LowRank(update.a[..., : blocks.widths[0]], update.b)


def entering(model: PreTrainedModel, blocks: LastBlocks) -> torch.Tensor:
    with blocks.watched() as seen:
        logits(model)
    return seen[0]


def changed_by_hand(model: PreTrainedModel, update: LowRank) -> None:
    """Add an update to the weights themselves."""
    for place, block in enumerate(blocks_of(model)[-K:]):
        output = output_of(mlp_of(block))
        delta = update.b[place].T @ update.a[place]
        output.weight.data += delta.T if isinstance(output, Conv1D) else delta


def test_what_enters_the_blocks_is_seen(model) -> None:
    blocks = LastBlocks(model, K)
    with blocks.watched() as seen:
        logits(model)
    with torch.no_grad():
        states = model(input_ids=IDS, use_cache=False, output_hidden_states=True).hidden_states
    assert len(seen) == K
    assert all(torch.equal(seen[n], states[len(states) - 1 - K + n]) for n in range(K))


def test_the_last_blocks_alone_give_the_whole_models_logits(model) -> None:
    whole, blocks = logits(model), LastBlocks(model, K)
    states, places = entering(model, blocks), torch.tensor([2, 7, 8, 13])
    with torch.no_grad():
        found = blocks.logits(IDS, states, None, places)
    assert torch.allclose(found, whole.flatten(0, 1)[places], atol=1e-6)
    assert torch.equal(logits(model), whole)
    assert not any("forward" in vars(module) for module in model.modules())


def test_an_update_is_that_of_changed_weights_and_goes_without_a_trace(model) -> None:
    whole, blocks = logits(model), LastBlocks(model, K)
    update = fitted(drawn(1), blocks)
    with torch.no_grad():
        found = blocks.logits(IDS, entering(model, blocks), update, torch.arange(16))
    with blocks.updated(update):
        assert torch.allclose(logits(model).flatten(0, 1), found, atol=1e-4)
    assert torch.equal(logits(model), whole)
    changed_by_hand(model, update)
    assert not torch.allclose(logits(model), whole, atol=1e-2)
    assert torch.allclose(logits(model).flatten(0, 1), found, atol=1e-4)


def test_each_sequence_has_an_update_of_its_own(model) -> None:
    blocks = LastBlocks(model, K)
    update, states = fitted(drawn(2, 2), blocks), entering(model, blocks)
    with torch.no_grad():
        both = blocks.logits(IDS, states, update, torch.arange(16)).view(2, 8, -1)
        for row in range(2):
            own = LowRank(update.a[row], update.b[row])
            alone = blocks.logits(IDS[row : row + 1], states[row : row + 1], own, torch.arange(8))
            assert torch.allclose(both[row], alone, atol=1e-5)


def test_gradients_reach_an_update(model) -> None:
    blocks = LastBlocks(model, K)
    update = fitted(drawn(3, 2), blocks)
    a, b = update.a.clone().requires_grad_(), update.b.clone().requires_grad_()
    states = entering(model, blocks)
    blocks.logits(IDS, states, LowRank(a, b), torch.tensor([3])).logsumexp(-1).sum().backward()
    for gradient in (a.grad, b.grad):
        assert gradient is not None
        assert gradient[0].abs().sum() > 0  # the first sequence's place was asked for
        assert gradient[1].abs().sum() == 0


def test_later_tokens_change_nothing_before_and_a_cache_changes_nothing(model) -> None:
    blocks = LastBlocks(model, K)
    with blocks.updated(fitted(drawn(4), blocks)):
        whole = logits(model, IDS[:1])
        changed = IDS[:1].clone()
        changed[0, 5:] = 7
        assert torch.allclose(logits(model, changed)[:, :5], whole[:, :5], atol=1e-5)
        with torch.no_grad():
            first = model(input_ids=IDS[:1, :5], use_cache=True)
            rest = model(input_ids=IDS[:1, 5:], past_key_values=first.past_key_values).logits
    assert torch.allclose(torch.cat([first.logits, rest], dim=1), whole, atol=1e-4)


def test_updates_composed_by_rank_add_up(model) -> None:
    blocks = LastBlocks(model, K)
    parts = [fitted(drawn(seed), blocks) for seed in (5, 6, 7)]
    whole = compose(parts)
    assert whole.rank == 3 * RANK
    for place in range(K):
        own = whole.part(place)
        by_hand = sum(part.b[place].T @ part.a[place] for part in parts)
        assert torch.allclose(own.b.T @ own.a, by_hand, atol=1e-4)
    mean = mean_update(iter(parts))
    for place in range(K):
        own = mean.part(place)
        by_hand = sum(part.b[place].T @ part.a[place] for part in parts) / 3
        assert torch.allclose(own.b.T @ own.a, by_hand, atol=1e-4)


def test_as_a_peft_adapter_it_is_the_same_update_and_is_taken_off_exactly(model) -> None:
    before, blocks = logits(model), LastBlocks(model, K)
    update = fitted(drawn(8), blocks)
    with blocks.updated(update):
        expected = logits(model)
    paths = output_paths(model, K)
    stack = LoraStack(model, lora_settings(model, K, RANK))
    adapter = as_adapter(update, paths)
    stack.load_state_dict({f"adapter.{name}": tensor for name, tensor in adapter.items()})
    assert len(stack.named_parameters()) == 2 * K
    assert torch.allclose(logits(model), expected, atol=1e-4)
    found = stack.state_dict()
    assert all(found[f"adapter.{name}"].equal(tensor) for name, tensor in adapter.items())
    stack.drop()
    assert torch.equal(logits(model), before)


def test_more_blocks_than_there_are_are_refused(model) -> None:
    with pytest.raises(ConfigError, match="num_blocks is 5; the model has 4 blocks"):
        LastBlocks(model, 5)
