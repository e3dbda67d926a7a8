import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from compositional.models.adapters import LoraStack
from compositional.models.packed_linear import PackedLinear, forget_packed, pack_linear_layers
from tests.methods_toy import SMALL
from tests.toy import load_toy


def layers(bias: bool, dtype: torch.dtype = torch.float32) -> tuple[nn.Linear, PackedLinear]:
    torch.manual_seed(0)
    plain = nn.Linear(24, 40, bias=bias).to(dtype).requires_grad_(False)
    return plain, PackedLinear(plain)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(24,), (1, 24), (7, 24), (2, 3, 24), (0, 24)])
def test_products_and_gradients_are_those_of_the_plain_layer(bias, shape) -> None:
    plain, packed = layers(bias)
    inputs = [torch.randn(shape, generator=torch.Generator().manual_seed(1)) for _ in range(2)]
    outputs = [
        layer(rows.requires_grad_(True))
        for layer, rows in zip((plain, packed), inputs, strict=True)
    ]
    torch.testing.assert_close(outputs[1], outputs[0], atol=1e-5, rtol=1e-5)
    weights = torch.linspace(-1, 1, 40)
    for output in outputs:
        (output * weights).sum().backward()
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, atol=1e-5, rtol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(packed(inputs[1]), plain(inputs[0]), atol=1e-5, rtol=1e-5)


def test_rows_that_are_not_contiguous_are_multiplied_as_they_are() -> None:
    plain, packed = layers(bias=True)
    rows = torch.randn(24, 5).T
    torch.testing.assert_close(packed(rows), plain(rows), atol=1e-5, rtol=1e-5)


def test_bfloat16_is_packed_too() -> None:
    plain, packed = layers(bias=True, dtype=torch.bfloat16)
    rows = torch.randn(5, 24, dtype=torch.bfloat16)
    torch.testing.assert_close(packed(rows), plain(rows), atol=2e-2, rtol=2e-2)


def test_a_weight_that_changes_in_place_is_packed_anew() -> None:
    plain, packed = layers(bias=False)
    rows = torch.randn(5, 24)
    packed(rows)
    plain.weight.mul_(2)
    torch.testing.assert_close(packed(rows), plain(rows), atol=1e-5, rtol=1e-5)
    plain.weight.data += 1  # which no version counts
    forget_packed(nn.Sequential(packed))
    torch.testing.assert_close(packed(rows), plain(rows), atol=1e-5, rtol=1e-5)


def test_a_weight_that_trains_gets_its_gradient_and_is_multiplied_as_it_is() -> None:
    plain, packed = layers(bias=True)
    rows = torch.randn(5, 24)
    packed(rows)
    packed.weight.requires_grad_(True)
    packed(rows).sum().backward()
    expected = rows.sum(dim=0).expand(40, 24)
    torch.testing.assert_close(packed.weight.grad, expected)
    with torch.no_grad():
        packed.weight.data -= 0.1 * packed.weight.grad
    packed.weight.requires_grad_(False)
    torch.testing.assert_close(packed(rows), plain(rows), atol=1e-5, rtol=1e-5)


def test_a_copy_packs_for_itself() -> None:
    plain, packed = layers(bias=True)
    rows = torch.randn(5, 24)
    packed(rows)
    copied = copy.deepcopy(packed)
    copied.weight.data.zero_()
    torch.testing.assert_close(copied(rows), plain.bias.expand(5, 40))
    torch.testing.assert_close(packed(rows), plain(rows), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("arch", ["llama", "qwen2", "gemma", "gpt2"])
def test_a_model_is_packed_at_loading_and_keeps_its_names_and_logits(tmp_path: Path, arch) -> None:
    plain = load_toy(tmp_path, arch, packed_weights=False).model
    packed = load_toy(tmp_path, arch).model
    assert not any(isinstance(module, PackedLinear) for module in plain.modules())
    kinds = [type(module) for module in packed.modules()]
    assert PackedLinear in kinds
    assert nn.Linear not in kinds
    assert list(packed.state_dict()) == list(plain.state_dict())
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    with torch.no_grad():
        torch.testing.assert_close(
            packed(input_ids=ids).logits, plain(input_ids=ids).logits, atol=1e-5, rtol=1e-4
        )


def test_merging_an_adapter_and_taking_it_off_changes_the_products(tmp_path: Path) -> None:
    logits = []
    for is_packed in (False, True):
        model = load_toy(tmp_path, packed_weights=is_packed).model
        stack = LoraStack(model, SMALL)
        ids = torch.tensor([[5, 6, 7, 8, 9]])
        found = [model(input_ids=ids).logits]
        stack.attach(seed=1)
        generator = torch.Generator().manual_seed(2)
        for parameter in stack.named_parameters().values():
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
        found.append(model(input_ids=ids).logits)
        stack.merge()
        found.append(model(input_ids=ids).logits)
        stack.load_state_dict({})
        found.append(model(input_ids=ids).logits)
        logits.append(found)
    plain, packed = logits
    assert (plain[0] - plain[1]).abs().max() > 0.01
    for expected, given in zip(plain, packed, strict=True):
        torch.testing.assert_close(given, expected, atol=1e-4, rtol=1e-3)


def test_without_onednn_nothing_is_packed(monkeypatch) -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    pack_linear_layers(model)
    assert type(model[0]) is nn.Linear


NUMBERS_OF_ROWS = """
import torch
from torch import nn
from compositional.models.packed_linear import pack_linear_layers

def held_mib():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))

model = nn.Sequential(nn.Linear(32, 64)).requires_grad_(False)
pack_linear_layers(model)
for number in range(1, 801):
    model(torch.zeros(number, 32))
    if number == 200:
        before = held_mib()
print(held_mib() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone tells it there")
@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="nothing is packed here")
def test_memory_does_not_grow_with_the_numbers_of_rows() -> None:
    """A kernel is 0.4 MiB: of 600 further numbers of rows, all of them kept are 240 MiB."""
    done = subprocess.run(
        [sys.executable, "-c", NUMBERS_OF_ROWS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 60
