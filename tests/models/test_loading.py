import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from compositional.errors import ModelError
from compositional.files import sha256_file
from compositional.models.chat import ChatTemplate
from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from tests.toy import load_toy, toy_model, toy_tokenizer


def test_loads_frozen_in_evaluation_mode(toy_model_folder: Path) -> None:
    loaded = load_model(ModelConfig(name=str(toy_model_folder), device="cpu"))
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert (loaded.dtype, loaded.device) == (torch.float32, torch.device("cpu"))
    assert loaded.sha256 == sha256_file(toy_model_folder / "model.safetensors")
    assert loaded.window_tokens == 2048


@pytest.mark.parametrize("arch", ["llama", "gpt2", "qwen2", "gemma"])
def test_any_architecture_loads(tmp_path: Path, arch: str) -> None:
    toy_model(tmp_path, arch)  # type: ignore[arg-type]
    loaded = load_model(ModelConfig(name=str(tmp_path), device="cpu"))
    prompt = ChatTemplate(loaded.tokenizer).prompt_ids("hi")
    assert loaded.model(torch.tensor([prompt])).logits.isfinite().all()
    assert loaded.window_tokens == (1024 if arch == "gpt2" else 2048)


def test_dtype(toy_model_folder: Path) -> None:
    loaded = load_model(ModelConfig(name=str(toy_model_folder), dtype="bfloat16", device="cpu"))
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.bfloat16}
    assert loaded.dtype == torch.bfloat16


def test_a_load_says_nothing(
    toy_model_folder: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    transformers.utils.logging.enable_progress_bar()
    before = transformers.utils.logging.get_verbosity()
    try:
        with caplog.at_level(logging.WARNING):
            load_model(ModelConfig(name=str(toy_model_folder), device="cpu"))
        assert transformers.utils.logging.is_progress_bar_enabled()  # as it was before
    finally:
        transformers.utils.logging.disable_progress_bar()
    assert transformers.utils.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_code_of_a_model_is_never_run(toy_model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(toy_model_folder, tmp_path / "coded")
    (folder / "evil.py").write_text("raise SystemExit('the code was run')")
    settings = json.loads((folder / "config.json").read_text())
    settings["model_type"] = "evil"
    settings["auto_map"] = {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}
    (folder / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(ModelConfig(name=str(folder)))


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        load_model(ModelConfig(name=str(tmp_path)))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(ModelConfig(name=str(tmp_path)))


@pytest.mark.parametrize(
    ("device", "message"),
    [("gpu", "is none: choose"), ("meta", "is not supported: choose"), ("cuda:99", "not here")],
)
def test_devices_that_are_not_there(device: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(ModelConfig(device=device))


def test_toy_helper_saves_and_loads(tmp_path: Path) -> None:
    loaded = load_toy(tmp_path, "gpt2", None)
    assert len(loaded.tokenizer) == len(toy_tokenizer(None))
    assert AutoModelForCausalLM.from_pretrained(tmp_path).config.model_type == "gpt2"
