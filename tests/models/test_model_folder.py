"""Weights by name: digests, GGUF files that are converted, and the lines for what is no model."""

import json
from pathlib import Path

import pytest
import torch

from compositional.errors import ModelError
from compositional.files import sha256_file
from compositional.models.chat import ChatTemplate
from compositional.models.loading import LoadedModel, load_model
from compositional.models.model_config import ModelConfig
from compositional.packages import CACHE_VARIABLE
from tests.gguf_toy import save_gguf


def test_sharded_weights_have_a_digest_of_their_own(toy: LoadedModel, tmp_path: Path) -> None:
    toy.model.save_pretrained(tmp_path, max_shard_size="20KB")
    toy.tokenizer.save_pretrained(tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    first = load_model(ModelConfig(name=str(tmp_path), device="cpu")).sha256
    assert first == load_model(ModelConfig(name=str(tmp_path), device="cpu")).sha256
    assert first != toy.sha256
    assert len(first) == 64


def test_gguf_is_converted_once_and_computes_the_same(
    toy: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    save_gguf(toy, tmp_path / "toy.gguf")
    config = ModelConfig(name=str(tmp_path / "toy.gguf"), device="cpu")
    first = load_model(config)
    (folder,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    saved = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in saved
    written = (folder / "model.safetensors").stat().st_mtime_ns
    second = load_model(config)
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    assert first.sha256 == second.sha256 == sha256_file(folder / "model.safetensors")
    ids = torch.tensor([ChatTemplate(second.tokenizer).prompt_ids("hi")])
    assert ids.tolist() == [ChatTemplate(toy.tokenizer).prompt_ids("hi")]
    torch.testing.assert_close(second.model(ids).logits, toy.model(ids).logits)


def test_a_broken_gguf_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    (tmp_path / "bad.gguf").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"bad\.gguf cannot be read as a GGUF model") as caught:
        load_model(ModelConfig(name=str(tmp_path / "bad.gguf")))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smolm2", "unknown model 'smolm2': did you mean 'smollm2'"),
        ("something", "unknown model 'something': A model is 'smollm2', the path of"),
        ("/no/such/folder", "unknown model '/no/such/folder'"),
        ("missing.gguf", "model 'missing.gguf': no such file"),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(ModelConfig(name=name))


def test_a_hub_model_that_cannot_be_found_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"'nobody/nothing' is no local folder, .* Hub cannot be"):
        load_model(ModelConfig(name="nobody/nothing"))


def test_a_revision_is_for_hub_models(toy_model_folder: Path) -> None:
    with pytest.raises(ModelError, match=r"revision 'main' given for .* leave it out"):
        load_model(ModelConfig(name=str(toy_model_folder), revision="main"))
    with pytest.raises(ModelError, match="revision 'main' given for 'smollm2'"):
        load_model(ModelConfig(revision="main"))


def test_pickled_weights_are_never_read(toy: LoadedModel, tmp_path: Path) -> None:
    toy.model.save_pretrained(tmp_path)
    toy.tokenizer.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(toy.model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no \.safetensors file; pickled weights are never read"):
        load_model(ModelConfig(name=str(tmp_path)))
