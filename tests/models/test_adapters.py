import pytest
import torch
from torch import Tensor

from compositional.errors import ConfigError
from compositional.models.adapters import LoraSettings, LoraStack
from compositional.models.language_model import LanguageModel
from compositional.models.loading import LoadedModel, load_model
from compositional.models.model_config import ModelConfig
from compositional.run_context import RunContext
from compositional.settings import TrainingConfig
from compositional.streams import Streams
from compositional.training.batching import TokenSequence
from compositional.training.fit import ParameterGroup
from compositional.training.lesson import Lesson
from tests.toy import load_toy

ARCHS = ["llama", "gpt2", "qwen2", "gemma"]
IDS = torch.tensor([[5, 60, 7, 200, 9], [10, 11, 12, 13, 14]])
SMALL = LoraSettings(rank=2, alpha=6.0)


def logits(stack: LoraStack) -> Tensor:
    with torch.no_grad():
        return stack.model(IDS).logits


def fill(stack: LoraStack, seed: int) -> dict[str, Tensor]:
    """Give the attached adapter random values, as a training would; return them by layer."""
    generator = torch.Generator().manual_seed(seed)
    values = {}
    for name, parameter in stack.named_parameters().items():
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
        values[name.replace(".default.weight", "")] = parameter.data.clone()
    return values


def weights(stack: LoraStack) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in stack.model.named_parameters()}


@pytest.mark.parametrize("arch", ARCHS)
def test_a_fresh_adapter_changes_nothing(tmp_path, arch) -> None:
    stack = LoraStack(load_toy(tmp_path, arch).model, SMALL)
    before = logits(stack)
    stack.attach(seed=1)
    assert stack.attached
    assert torch.equal(logits(stack), before)
    named = stack.named_parameters()
    assert named
    assert not any(t.any() for name, t in named.items() if ".lora_B." in name)
    assert all(t.any() for name, t in named.items() if ".lora_A." in name)
    assert not any(p.requires_grad for p in stack.model.parameters())


def test_an_adapter_depends_on_its_seed_alone(toy: LoadedModel) -> None:
    stack = LoraStack(toy.model, SMALL)
    drawn = []
    for seed, state in ((1, 5), (1, 6), (2, 5)):
        torch.manual_seed(state)
        stack.attach(seed)
        drawn.append({n: p.clone() for n, p in stack.named_parameters().items()})
        assert torch.equal(torch.randn(3), _after(state)), "attaching moved the global generator"
        stack.drop()
    same, again, other = drawn
    assert all(torch.equal(again[name], value) for name, value in same.items())
    assert any(not torch.equal(other[name], value) for name, value in same.items())


def _after(state: int) -> Tensor:
    return torch.randn(3, generator=torch.Generator().manual_seed(state))


@pytest.mark.parametrize("arch", ARCHS)
def test_merging_adds_scaled_b_times_a(tmp_path, arch) -> None:
    stack = LoraStack(load_toy(tmp_path, arch).model, SMALL)
    before = weights(stack)
    stack.attach(seed=1)
    values = fill(stack, 7)
    attached = logits(stack)
    stack.merge()
    assert not stack.attached
    torch.testing.assert_close(logits(stack), attached, atol=1e-4, rtol=1e-4)
    after = weights(stack)
    assert list(after) == list(before)
    changed = 0
    for name, weight in before.items():
        layer = name.removesuffix(".weight")
        if f"{layer}.lora_A" not in values:
            assert torch.equal(after[name], weight), name
            continue
        update = values[f"{layer}.lora_B"] @ values[f"{layer}.lora_A"] * 3.0  # alpha / rank
        expected = weight + (update.T if arch == "gpt2" else update)  # Conv1D is transposed
        torch.testing.assert_close(after[name], expected, atol=1e-6, rtol=1e-6)
        changed += 1
    per_block = 4 if arch == "gpt2" else 7
    assert changed == len(values) // 2 == 2 * per_block


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("arch", ARCHS)
def test_a_state_brings_back_logits_bit_for_bit(tmp_path, arch, dtype) -> None:
    """Two adapters merged in order, and a third attached."""
    load_toy(tmp_path, arch)
    config = ModelConfig(name=str(tmp_path), dtype=dtype, device="cpu")
    stack = LoraStack(load_model(config).model, SMALL)
    for seed in (1, 2):
        stack.attach(seed)
        fill(stack, seed)
        stack.merge()
    stack.attach(3)
    fill(stack, 3)
    expected, state = logits(stack), stack.state_dict()
    assert {name.split(".base_model")[0] for name in state} == {"merged.0", "merged.1", "adapter"}
    assert all("lora_" in name and t.dtype == torch.float32 for name, t in state.items())

    fresh = LoraStack(load_model(config).model, SMALL)
    fresh.load_state_dict(state)
    assert torch.equal(logits(fresh), expected)

    used = LoraStack(load_model(config).model, SMALL)
    used.attach(9)
    fill(used, 9)
    used.merge()
    used.attach(10)
    fill(used, 10)
    used.load_state_dict({**state, "rows.input": torch.zeros(1, 2)})  # another owner's
    assert torch.equal(logits(used), expected)
    back = used.state_dict()
    assert list(back) == list(state)
    assert all(torch.equal(back[name], tensor) for name, tensor in state.items())

    if dtype == "float32":  # the order of merges is a matter of rounding: it must not be lost
        swapped = {n.replace("merged.0", "x").replace("merged.1", "merged.0"): t
                   for n, t in state.items()}  # fmt: skip
        used.load_state_dict({n.replace("x.", "merged.1."): t for n, t in swapped.items()})
        torch.testing.assert_close(logits(used), expected, atol=1e-4, rtol=1e-4)


def test_dropping_restores_the_backbone(toy: LoadedModel) -> None:
    stack = LoraStack(toy.model, SMALL)
    before, named = logits(stack), list(weights(stack))
    stack.drop()  # nothing attached: nothing to do
    stack.attach(1)
    fill(stack, 1)
    assert not torch.equal(logits(stack), before)
    stack.drop()
    assert torch.equal(logits(stack), before)
    assert list(weights(stack)) == named
    assert stack.state_dict() == {}


def test_an_empty_state_undoes_merges(toy: LoadedModel) -> None:
    stack = LoraStack(toy.model, SMALL)
    before = logits(stack)
    stack.attach(1)
    fill(stack, 1)
    stack.merge()
    stack.load_state_dict({})
    assert torch.equal(logits(stack), before)
    assert stack.merged == []


@pytest.mark.parametrize(
    ("arch", "name", "known"),
    [
        ("llama", "c_attn", "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj"),
        ("gpt2", "q_proj", "c_attn, c_fc, c_proj"),
        ("llama", "mlp", "down_proj"),  # a module, but not a linear layer
        ("llama", "lm_head", "down_proj"),  # the head belongs to nobody's adapter
    ],
)
def test_an_unknown_module_is_an_error_that_names_what_there_is(tmp_path, arch, name, known):
    model = load_toy(tmp_path, arch).model
    with pytest.raises(ConfigError, match=f"no linear layer '{name}'.*it has {known}"):
        LoraStack(model, LoraSettings(target_modules=(name,)))


@pytest.mark.parametrize("arch", ["llama", "gpt2"])
@pytest.mark.parametrize(("indices", "kept"), [((-1,), {1}), ((0,), {0}), ((0, -1), {0, 1})])
def test_layer_indices_count_from_either_end(tmp_path, arch, indices, kept) -> None:
    settings = LoraSettings(rank=2, layer_indices=indices)
    stack = LoraStack(load_toy(tmp_path, arch).model, settings)
    stack.attach(1)
    blocks = "transformer.h" if arch == "gpt2" else "model.layers"
    found = {n.split(f"{blocks}.")[1][0] for n in stack.named_parameters()}
    assert found == {str(index) for index in kept}


@pytest.mark.parametrize("index", [2, -3])
def test_a_layer_that_is_not_there_is_an_error(toy: LoadedModel, index) -> None:
    with pytest.raises(ConfigError, match=f"no layer {index} .* from -2 to 1"):
        LoraStack(toy.model, LoraSettings(layer_indices=(index,)))


def test_named_modules_only(toy: LoadedModel) -> None:
    stack = LoraStack(toy.model, LoraSettings(rank=2, target_modules=("q_proj", "v_proj")))
    stack.attach(1)
    assert {n.split(".lora_")[0].split(".")[-1] for n in stack.named_parameters()} == {
        "q_proj",
        "v_proj",
    }
    sizes = {n: tuple(p.shape) for n, p in stack.named_parameters().items() if ".0." in n}
    assert sorted(sizes.values()) == [(2, 32), (2, 32), (16, 2), (32, 2)]


def test_dropout_is_active_only_while_it_trains(toy: LoadedModel) -> None:
    model = LanguageModel(toy)
    stack = model.add_lora(LoraSettings(rank=2, dropout=0.5))
    stack.attach(1)
    fill(stack, 1)
    steady = logits(stack)
    assert torch.equal(logits(stack), steady)
    stack.train()
    assert not torch.equal(logits(stack), logits(stack))
    stack.freeze()
    assert torch.equal(logits(stack), steady)
    stack.load_state_dict(stack.state_dict())
    assert torch.equal(logits(stack), steady)


def test_training_moves_the_adapter_and_nothing_else(toy: LoadedModel) -> None:
    model = LanguageModel(toy)
    stack = model.add_lora(SMALL)
    stack.attach(1)
    before = weights(stack)
    run = RunContext(Streams(0), training=TrainingConfig(batch_size=1))
    stack.train()
    lesson = Lesson("k", model, [TokenSequence((5, 6), (7, 8, 2))], 2, run)
    lesson.fit([ParameterGroup(stack.named_parameters(), lr=1e-2)])
    stack.freeze()
    for name, value in weights(stack).items():
        assert torch.equal(value, before[name]) != ("lora_" in name), name
    assert not any(p.requires_grad for p in model.backbone.parameters())


@pytest.mark.parametrize("value", [{"rank": 0}, {"dropout": 1.0}, {"dropout": -0.1}])
def test_settings_that_no_adapter_can_have(value) -> None:
    with pytest.raises(ConfigError):
        LoraSettings(**value)
