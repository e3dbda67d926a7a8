"""Tiny random models of many families, without a tokenizer."""

import torch
from transformers import (
    CohereConfig,
    Gemma2Config,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    Phi3Config,
    PhiConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
)

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4,
         "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 50,
         "max_position_embeddings": 64}  # fmt: skip
CONFIGS: dict[str, PreTrainedConfig] = {
    "llama": LlamaConfig(**SIZES),
    "qwen2": Qwen2Config(**SIZES),
    "gemma": GemmaConfig(**SIZES, head_dim=8),
    # Random logits are small: a cap of 30, as real ones have, would change next to nothing.
    "gemma2": Gemma2Config(**SIZES, head_dim=8, final_logit_softcapping=0.1),
    "gpt2": GPT2Config(n_embd=32, n_layer=4, n_head=4, n_positions=64, vocab_size=50),
    "gpt_neox": GPTNeoXConfig(**SIZES),
    "phi": PhiConfig(**SIZES),
    "phi3": Phi3Config(**SIZES, pad_token_id=None),
}
FINISHED: dict[str, PreTrainedConfig] = {
    "gemma2": CONFIGS["gemma2"],
    "granite": GraniteConfig(**SIZES, logits_scaling=4.0),
    "cohere": CohereConfig(**SIZES, logit_scale=0.25),
}
"""Those that do something to their logits behind the head."""
IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])


def logits(model: PreTrainedModel, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids, use_cache=False).logits
