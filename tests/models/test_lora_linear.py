from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft.tuners.lora.layer import Linear as PeftLinear
from torch import Tensor

from compositional.models.adapters import LoraSettings, LoraStack
from compositional.models.loading import load_model
from compositional.models.lora_linear import LoraLinear
from compositional.models.model_config import ModelConfig

SETTINGS = LoraSettings(rank=3, alpha=7.0)


def stack(folder: Path, settings: LoraSettings = SETTINGS, **config: object) -> LoraStack:
    """Put an adapter with values everywhere on the toy model."""
    chosen = replace(ModelConfig(name=str(folder), device="cpu"), **config)
    found = LoraStack(load_model(chosen).model, settings)
    found.attach(0)
    found.train()
    generator = torch.Generator().manual_seed(5)
    for parameter in found.named_parameters().values():
        parameter.data = torch.randn(parameter.shape, generator=generator) / 4
        parameter.requires_grad_(True)
    return found


def learn(found: LoraStack) -> tuple[Tensor, dict[str, Tensor]]:
    """Return logits, and the gradient of each matrix."""
    ids = torch.arange(12).reshape(2, 6)
    logits = found.model(input_ids=ids).logits
    logits.square().mean().backward()
    return logits, {n: p.grad for n, p in found.named_parameters().items() if p.grad is not None}


def layers(found: LoraStack) -> list[PeftLinear]:
    return [module for module in found.model.modules() if isinstance(module, PeftLinear)]


def test_products_and_gradients_are_those_of_peft(toy_model_folder, monkeypatch) -> None:
    calls: list[object] = []
    plain_forward = PeftLinear.forward

    def counted(self: PeftLinear, x: Tensor) -> Tensor:
        calls.append(self)
        return plain_forward(self, x)

    monkeypatch.setattr(PeftLinear, "forward", counted)
    fast = stack(toy_model_folder)
    assert {type(layer) for layer in layers(fast)} == {LoraLinear}
    logits, gradients = learn(fast)
    assert calls == []
    plain = stack(toy_model_folder, packed_weights=False)
    assert {type(layer) for layer in layers(plain)} == {PeftLinear}
    expected, slow = learn(plain)
    assert len(calls) == len(layers(plain)) > 0
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)
    assert gradients.keys() == slow.keys() == fast.named_parameters().keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, slow[name], atol=1e-6, rtol=1e-3, msg=name)


def test_gradients_are_those_of_differences(toy_model_folder) -> None:
    layer = layers(stack(toy_model_folder))[-1]
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    rows = torch.randn(2, 3, layer.in_features, requires_grad=True)
    weights = torch.randn(layer.out_features)
    (layer(rows) * weights).sum().backward()
    for tensor in (rows, a, b):
        assert tensor.grad is not None
        step = torch.zeros_like(tensor)
        step.view(-1)[1] = 1e-2
        with torch.no_grad():
            tensor.add_(step)
            above = (layer(rows) * weights).sum()
            tensor.sub_(2 * step)
            below = (layer(rows) * weights).sum()
            tensor.add_(step)
        slope = (above - below) / 2e-2
        torch.testing.assert_close(tensor.grad.view(-1)[1], slope, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("case", ["dropout", "off", "bfloat16"])
def test_what_is_not_simple_is_left_to_peft(toy_model_folder, case, monkeypatch) -> None:
    settings = replace(SETTINGS, dropout=0.5) if case == "dropout" else SETTINGS
    dtype = "bfloat16" if case == "bfloat16" else "float32"
    found = stack(toy_model_folder, settings, dtype=dtype)
    layer = layers(found)[0]
    if case == "off":
        layer.enable_adapters(False)
    rows = torch.randn(1, 2, layer.in_features, dtype=layer.base_layer.weight.dtype)
    taken: list[object] = []
    plain_forward = PeftLinear.forward
    monkeypatch.setattr(
        PeftLinear, "forward", lambda self, x: taken.append(self) or plain_forward(self, x)
    )
    result = layer(rows)
    assert taken == [layer]
    assert result.dtype == rows.dtype
    if case == "off":
        assert torch.equal(result, layer.base_layer(rows))


def test_dropout_that_is_at_rest_is_simple(toy_model_folder) -> None:
    found = stack(toy_model_folder, replace(SETTINGS, dropout=0.5))
    found.freeze()
    layer = layers(found)[0]
    rows = torch.randn(1, 2, layer.in_features)
    with torch.no_grad():
        torch.testing.assert_close(layer(rows), PeftLinear.forward(layer, rows), atol=1e-5, rtol=0)
