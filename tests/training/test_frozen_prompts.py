from pathlib import Path

import pytest
import torch
from torch import Tensor

from compositional.models import parts
from compositional.models.language_model import LanguageModel
from compositional.training.batching import TokenSequence
from compositional.training.frozen_prompts import FrozenPrompts, can_freeze_prompts
from compositional.training.targets import target_logits
from tests.methods_toy import SMALL
from tests.toy import Arch, load_toy

PLENTY = 2**30


def with_rows(folder: Path, arch: Arch = "llama") -> LanguageModel:
    """A model with a frozen adapter and two rows that train."""
    model = LanguageModel(load_toy(folder, arch))
    stack = model.add_lora(SMALL)
    stack.attach(seed=1)
    generator = torch.Generator().manual_seed(2)
    for parameter in stack.named_parameters().values():
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    stack.freeze()
    rows = model.add_rows(decoupled=True)
    rows.begin(["a", "b"], torch.randn(2, 32, generator=generator))
    for parameter in rows.named_current().values():
        parameter.requires_grad_(True)
    return model


def sequences_for(model: LanguageModel) -> list[TokenSequence]:
    a, b = model.num_text_ids, model.num_text_ids + 1
    return [
        TokenSequence((5, 6, 7, 8), (a, 9, 2)),
        TokenSequence((5, 9), (b, 10, a, 11, 12, 2)),
        TokenSequence((5, 2, 2), (2,)),
        TokenSequence((5, 9), (a, 2)),
    ]


def gradients(model: LanguageModel, logits: Tensor) -> list[Tensor]:
    current = model.rows.named_current().values()
    weights = torch.linspace(-1, 1, logits.numel()).reshape(logits.shape)
    return list(torch.autograd.grad((logits * weights).sum(), list(current)))


@pytest.mark.parametrize("arch", ["llama", "gpt2", "qwen2", "gemma"])
@pytest.mark.parametrize("max_bytes", [0, 2000, PLENTY], ids=["none", "some", "all"])
@pytest.mark.parametrize("pack_tokens", [512, 7])
def test_the_same_logits_and_gradients_as_the_whole_sequences(
    tmp_path, arch, max_bytes, pack_tokens, monkeypatch
) -> None:
    monkeypatch.setattr(parts, "MAX_PACK_TOKENS", pack_tokens)
    model = with_rows(tmp_path, arch)
    rows = sequences_for(model)
    prompts = FrozenPrompts(model, rows, max_bytes)
    expected, same = target_logits(model, rows)
    logits, targets = zip(*prompts.logits_by_pack(rows), strict=True)
    found = torch.cat(logits)
    assert torch.cat(targets).tolist() == same.tolist()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    for one, other in zip(gradients(model, found), gradients(model, expected), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def bytes_a_token(model: LanguageModel) -> int:
    config = model.backbone.config
    heads, size = config.num_key_value_heads, config.hidden_size // config.num_attention_heads
    return 2 * 4 * config.num_hidden_layers * heads * size


def test_the_budget_bounds_what_is_kept(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(parts, "MAX_PACK_TOKENS", 4)
    model = with_rows(tmp_path)
    token, rows = bytes_a_token(model), sequences_for(model)
    for tokens, kept in ((0, 0), (2, 0), (3, 3), (4, 4), (5, 4), (6, 6), (9, 6)):
        # 3, 1 and 2 tokens stand before the last ones; the fourth prompt is the second again
        assert FrozenPrompts(model, rows, tokens * token).num_bytes == kept * token


def test_kept_prompts_are_not_computed_again(tmp_path) -> None:
    model = with_rows(tmp_path)
    rows = sequences_for(model)
    prompts = FrozenPrompts(model, rows, PLENTY)
    lengths: list[int] = []
    model.backbone.register_forward_pre_hook(
        lambda _m, _a, kwargs: lengths.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    list(prompts.logits_by_pack(rows))
    assert lengths == [sum(len(row.target) for row in rows)]


def test_it_is_tried_on_the_model(tmp_path) -> None:
    for arch in ("llama", "gpt2", "qwen2", "gemma"):
        assert can_freeze_prompts(with_rows(tmp_path / arch, arch))
    model = with_rows(tmp_path / "windowed", "qwen2")
    model.backbone.config.layer_types = ["sliding_attention"] * 2
    model.backbone.config.sliding_window = 4
    assert not can_freeze_prompts(model)


def test_what_is_called_before_each_pack_may_end_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(parts, "MAX_PACK_TOKENS", 4)
    model = with_rows(tmp_path)
    passes: list[int] = []
    model.backbone.register_forward_pre_hook(lambda _m, _a: passes.append(1))
    called: list[int] = []

    def stop_at(pack: int) -> None:
        called.append(1)
        if len(called) == pack:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FrozenPrompts(model, sequences_for(model), PLENTY, before_pack=lambda: stop_at(2))
    assert len(passes) == 1
    FrozenPrompts(model, sequences_for(model), PLENTY, before_pack=lambda: stop_at(0))
    assert len(called) == 2 + 3  # prompts of 4, of 2 and of 3 tokens
