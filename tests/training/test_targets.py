from pathlib import Path

import pytest
import torch
from torch.nn import functional

from compositional.models import parts
from compositional.models.language_model import LanguageModel
from compositional.training.batching import TokenSequence
from compositional.training.targets import target_hidden, target_logits, target_loss
from tests.methods_toy import SMALL
from tests.toy import Arch, load_toy

SEQUENCES = [
    TokenSequence((5, 6, 7, 8), (9, 2)),
    TokenSequence((5,), (10, 11, 12, 2)),
    TokenSequence((5, 2, 2), (2,)),
]
LAYOUTS = ["padded", "packed", "several packs"]


@pytest.fixture(params=["llama", "gpt2", "qwen2", "gemma"])
def model(request, tmp_path: Path) -> LanguageModel:
    return LanguageModel(load_toy(tmp_path, request.param))


def use(layout: str, model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    model.packs_sequences = layout != "padded"
    monkeypatch.setattr(parts, "MAX_PACK_TOKENS", 6 if layout == "several packs" else 512)


def logits_alone(model: LanguageModel, sequence: TokenSequence) -> torch.Tensor:
    ids = torch.tensor([sequence.prompt + sequence.target])
    return model.backbone(input_ids=ids).logits[0, len(sequence.prompt) - 1 : -1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_logits_of_each_sequence_alone(model, layout, monkeypatch) -> None:
    use(layout, model, monkeypatch)
    with torch.no_grad():
        logits, targets = target_logits(model, SEQUENCES)
        expected = torch.cat([logits_alone(model, sequence) for sequence in SEQUENCES])
        loss = target_loss(model, SEQUENCES)
    assert targets.tolist() == [9, 2, 10, 11, 12, 2, 2]
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)
    assert loss.item() == pytest.approx(float(functional.cross_entropy(expected, targets)), 1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_head_of_the_hidden_states_gives_the_logits(tmp_path, layout, monkeypatch) -> None:
    model = LanguageModel(load_toy(tmp_path))
    use(layout, model, monkeypatch)
    hidden, targets = target_hidden(model, SEQUENCES)
    assert hidden.shape == (7, 32)
    with torch.no_grad():
        logits, same = target_logits(model, SEQUENCES)
        torch.testing.assert_close(model.head(hidden), logits)
    assert targets.tolist() == same.tolist()


def gradients(tmp_path: Path, arch: Arch, layout: str, monkeypatch) -> list[torch.Tensor]:
    model = LanguageModel(load_toy(tmp_path / layout, arch))
    use(layout, model, monkeypatch)
    stack = model.add_lora(SMALL)
    stack.attach(seed=1)
    parameters = list(stack.named_parameters().values())
    generator = torch.Generator().manual_seed(2)
    for parameter in parameters:
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
        parameter.requires_grad_(True)
    target_loss(model, SEQUENCES).backward()
    return [parameter.grad for parameter in parameters]


def test_every_layout_trains_alike(tmp_path, monkeypatch) -> None:
    padded, *others = (gradients(tmp_path, "llama", name, monkeypatch) for name in LAYOUTS)
    assert sum(float(g.abs().sum()) for g in padded) > 0
    for other in others:
        for expected, found in zip(padded, other, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-3)
