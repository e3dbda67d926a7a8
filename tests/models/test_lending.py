import pytest
import torch

from compositional.models import lending
from compositional.models.language_model import LanguageModel
from compositional.models.lending import Lender, sharing_copy
from compositional.models.model_config import ModelConfig
from tests.methods_toy import SMALL
from tests.toy import toy_model


def weights(model: torch.nn.Module) -> dict[str, int]:
    return {name: parameter.data_ptr() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("arch", ["llama", "gpt2", "gemma"])
def test_a_copy_has_the_same_weights_and_computes_the_same(tmp_path, arch) -> None:
    toy_model(tmp_path, arch)
    loaded = Lender().lend(ModelConfig(name=str(tmp_path), device="cpu"))
    copied = sharing_copy(loaded.model)
    assert copied is not loaded.model
    assert weights(copied) == weights(loaded.model)
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(copied(ids).logits, loaded.model(ids).logits)


def test_what_is_attached_to_one_reaches_no_other(toy_model_folder) -> None:
    models = Lender()
    config = ModelConfig(name=str(toy_model_folder), device="cpu")
    plain = LanguageModel(models.lend(config))
    ids = torch.tensor([plain.chat.prompt_ids("hi")])
    before = plain.backbone(ids).logits
    changed = LanguageModel(models.lend(config))
    changed.add_rows(decoupled=False).begin(["a"], torch.ones(1, 32))
    stack = changed.add_lora(SMALL)
    stack.attach(seed=1)
    for parameter in stack.named_parameters().values():
        parameter.data.fill_(0.1)
    assert changed.backbone(ids).logits.shape[-1] == before.shape[-1] + 1
    assert torch.equal(plain.backbone(ids).logits, before)
    assert torch.equal(LanguageModel(models.lend(config)).backbone(ids).logits, before)
    assert plain.fingerprint() == LanguageModel(models.lend(config)).fingerprint()


def test_a_model_is_loaded_once_and_another_in_its_place(tmp_path, monkeypatch) -> None:
    loaded: list[str] = []
    load_model = lending.load_model

    def counting(config: ModelConfig):  # type: ignore[no-untyped-def]
        loaded.append(config.name)
        return load_model(config)

    monkeypatch.setattr(lending, "load_model", counting)
    names = [str(toy_model(tmp_path / arch, arch)) for arch in ("llama", "gpt2")]
    first, second = (ModelConfig(name=name, device="cpu") for name in names)
    models = Lender()
    for config in (first, first, ModelConfig(name=names[0], device="cpu", max_length=9)):
        models.lend(config)
    assert loaded == names[:1]
    models.lend(second)
    models.lend(first)
    assert loaded == [*names, names[0]]
