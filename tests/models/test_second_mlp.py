import pytest
import torch
from transformers import AutoModelForCausalLM, BloomConfig, OPTConfig, PreTrainedModel

from compositional.errors import ModelError
from compositional.models.blocks import blocks_of, mlp_of
from compositional.models.second_mlp import SecondMlps
from tests.models.toy_families import CONFIGS, IDS, logits


@pytest.fixture(params=list(CONFIGS))
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(0)
    found: PreTrainedModel = AutoModelForCausalLM.from_config(CONFIGS[request.param])
    return found.eval().requires_grad_(False)


def disturb(second: SecondMlps) -> None:
    torch.manual_seed(1)
    for parameter in second.named_parameters().values():
        parameter.data += 0.1 * torch.randn_like(parameter)


def test_attaching_changes_no_bit_and_gradients_are_alive(model) -> None:
    before = logits(model)
    second = SecondMlps(model, 2)
    second.attach()
    assert torch.equal(logits(model), before)
    named = second.named_parameters()
    for parameter in named.values():
        parameter.requires_grad_(True)
    model(input_ids=IDS, labels=IDS, use_cache=False).loss.backward()
    alive = [name for name, p in named.items() if p.grad is not None and p.grad.abs().sum() > 0]
    assert len(alive) >= 2  # the last matrix of each block


def test_a_branch_is_added_to_the_residual_stream_as_it_is(model) -> None:
    """Behind the norms that some families have after their MLPs."""
    second = SecondMlps(model, 1)
    block = blocks_of(model)[-1]
    seen: dict[str, list[torch.Tensor]] = {"read": [], "block": []}
    mlp_of(block).register_forward_pre_hook(lambda _m, inputs: seen["read"].append(inputs[0]))
    block.register_forward_hook(
        lambda _m, _i, output: seen["block"].append(
            output if torch.is_tensor(output) else output[0]
        )
    )
    logits(model)
    second.attach()
    disturb(second)
    logits(model)
    (branch,) = second.modules.values()
    with torch.no_grad():
        expected = branch(seen["read"][0])
    assert torch.equal(*seen["read"])
    assert expected.abs().max() > 1e-3
    assert torch.allclose(seen["block"][1] - seen["block"][0], expected, atol=1e-5)


def test_detaching_leaves_the_model_bit_for_bit(model) -> None:
    before = logits(model)
    second = SecondMlps(model, 2)
    second.attach()
    disturb(second)
    assert not torch.equal(logits(model), before)
    second.detach()
    assert torch.equal(logits(model), before)


def test_later_tokens_change_nothing_before_and_a_cache_changes_nothing(model) -> None:
    second = SecondMlps(model, 2)
    second.attach()
    disturb(second)
    whole = logits(model)
    changed = IDS.clone()
    changed[0, 5:] = 7
    assert torch.allclose(logits(model, changed)[:, :5], whole[:, :5], atol=1e-6)
    with torch.no_grad():
        first = model(input_ids=IDS[:, :5], use_cache=True)
        rest = model(input_ids=IDS[:, 5:], past_key_values=first.past_key_values).logits
    assert torch.allclose(torch.cat([first.logits, rest], dim=1), whole, atol=1e-5)


def test_a_state_gives_the_same_logits(model) -> None:
    second = SecondMlps(model, 2)
    second.attach()
    disturb(second)
    expected, state = logits(model), second.state_dict()
    second.load_state_dict(second.initial)
    assert not torch.equal(logits(model), expected)
    second.load_state_dict(state)
    assert torch.equal(logits(model), expected)


def test_a_family_that_is_not_known_is_refused_by_name() -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64}
    model = AutoModelForCausalLM.from_config(OPTConfig(**sizes, vocab_size=50))
    with pytest.raises(ModelError, match="OPTDecoderLayer has no module named mlp"):
        SecondMlps(model, 1)


def test_an_mlp_of_more_than_one_input_is_refused() -> None:
    sizes = {"hidden_size": 16, "n_layer": 2, "n_head": 2, "vocab_size": 50}
    model = AutoModelForCausalLM.from_config(BloomConfig(**sizes))
    with pytest.raises(ModelError, match="BloomMLP reads hidden_states, residual"):
        SecondMlps(model, 1)
