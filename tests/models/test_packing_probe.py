import pytest
import torch
from transformers import AutoModelForCausalLM, BloomConfig, MambaConfig

from compositional.models.packing_probe import packs_sequences
from tests.toy import load_toy


@pytest.mark.parametrize("arch", ["llama", "gpt2", "qwen2", "gemma"])
def test_models_that_read_positions_are_packed(tmp_path, arch) -> None:
    assert packs_sequences(load_toy(tmp_path, arch).model)


@pytest.mark.parametrize(
    "config",
    [
        BloomConfig(vocab_size=64, hidden_size=32, n_layer=2, n_head=2),
        MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, state_size=4),
    ],
    ids=["alibi", "recurrent"],
)
def test_models_that_would_mix_sequences_are_not(config) -> None:
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(config).eval()
    assert not packs_sequences(model)
