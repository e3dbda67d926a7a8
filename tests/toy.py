"""Tiny random models with byte-level tokenizers: they load and run in milliseconds on a CPU."""

from pathlib import Path
from typing import Literal

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from compositional.models.loading import LoadedModel, load_model
from compositional.models.model_config import ModelConfig

Arch = Literal["llama", "gpt2", "qwen2", "gemma"]
Template = Literal["chatml", "llama3", "gemma"]

# As SmolLM2 has it: words of its own where no system message is given.
CHATML = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are helpful<|im_end|>\\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
# Begins with the beginning-of-text token and prints today's date.
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}"
    "{% if message['role'] == 'system' %}"
    "{{ 'Today: ' + strftime_now('%d %b %Y') + '\\n' }}{% endif %}"
    "{{ message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
# Refuses a system message.
GEMMA = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)
# Template, special tokens, tokens that begin, end and pad, and whether it begins by itself.
_KINDS: dict[Template | None, tuple[str | None, list[str], str | None, str, str | None, bool]] = {
    "chatml": (
        CHATML, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        "<|im_start|>", "<|im_end|>", "<|im_end|>", False,
    ),
    "llama3": (
        LLAMA3,
        ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
         "<|eot_id|>"],
        "<|begin_of_text|>", "<|end_of_text|>", None, True,
    ),
    "gemma": (
        GEMMA, ["<pad>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"],
        "<bos>", "<eos>", "<pad>", True,
    ),
    None: (None, ["<|endoftext|>"], None, "<|endoftext|>", None, False),
}  # fmt: skip


def toy_tokenizer(template: Template | None = "chatml") -> PreTrainedTokenizerFast:
    """Return a tokenizer of one token a byte, with the special tokens of a template.

    Args:
        template: `chatml` (pad token and end token are one), `llama3` (begins by itself, ends a
            turn by a token other than the end of text), `gemma` (refuses a system message), or
            None for a tokenizer without a chat template.
    """
    text, special, begin, end, pad, begins = _KINDS[template]
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: index for index, symbol in enumerate([*special, *symbols])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    if begins:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", special_tokens=[(begin, vocabulary[begin or ""])]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=begin, eos_token=end, pad_token=pad
    )
    fast.chat_template = text
    return fast


def toy_config(arch: Arch, vocab_size: int) -> PreTrainedConfig:
    """Return a config of two layers of width 32.

    Qwen's is untied and has more rows than the tokenizer has tokens, as its real ones do; the
    others' are tied and have as many.
    """
    if arch == "qwen2":
        vocab_size = 16 * (vocab_size // 16 + 1)
    # A wide start gives logits that are far apart, so that a greedy choice is no matter of noise.
    shared = {"vocab_size": vocab_size, "initializer_range": 0.2, "bos_token_id": None,
              "eos_token_id": None, "pad_token_id": None}  # fmt: skip
    if arch == "gpt2":
        return GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=1024, **shared)
    classes = {"llama": LlamaConfig, "qwen2": Qwen2Config, "gemma": GemmaConfig}
    return classes[arch](
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=2048,
        tie_word_embeddings=arch != "qwen2", **shared,
    )  # fmt: skip


def toy_model(
    folder: Path, arch: Arch = "llama", template: Template | None = "chatml", seed: int = 0
) -> Path:
    """Save a tiny random model with its tokenizer to a folder, and return the folder."""
    tokenizer = toy_tokenizer(template)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(toy_config(arch, len(tokenizer)))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def load_toy(
    folder: Path,
    arch: Arch = "llama",
    template: Template | None = "chatml",
    seed: int = 0,
    *,
    packed_weights: bool = True,
) -> LoadedModel:
    """Save a tiny random model to a folder and load it as any other, in float32 on the CPU."""
    name = str(toy_model(folder, arch, template, seed))
    return load_model(ModelConfig(name=name, device="cpu", packed_weights=packed_weights))
