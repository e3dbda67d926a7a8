"""The tiny Llama as a GGUF file, as llama.cpp and transformers read it."""

from collections.abc import Sequence
from pathlib import Path

import gguf

from compositional.models.loading import LoadedModel

GGUF_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}


def save_gguf(loaded: LoadedModel, path: Path, merges: Sequence[str] = ()) -> None:
    """Write the tiny Llama as a GGUF file, with a byte-level tokenizer.

    Args:
        loaded: The tiny Llama.
        path: The file.
        merges: Of the tokenizer; llama.cpp reads no file without any.
    """
    config = loaded.model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config.vocab_size)
    vocabulary = loaded.tokenizer.get_vocab()
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(sorted(vocabulary, key=lambda token: vocabulary[token]))
    writer.add_token_types([3] * 3 + [1] * (len(vocabulary) - 3))
    writer.add_token_scores([0.0] * len(vocabulary))  # no merges: every byte is a token
    if merges:
        writer.add_token_merges(list(merges))
        writer.add_add_bos_token(False)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(loaded.tokenizer.chat_template)
    for name, tensor in loaded.model.state_dict().items():
        if name == "lm_head.weight":
            continue
        values = tensor.numpy()
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        for kind, count in heads.items():
            if kind in name:  # a GGUF keeps the rotary pairs side by side
                values = (values.reshape(count, 2, -1, values.shape[-1]).swapaxes(1, 2)).reshape(
                    values.shape
                )
        layered = name.removeprefix("model.layers.")
        if layered == name:
            target = GGUF_NAMES[name]
        else:
            layer, _, rest = layered.partition(".")
            target = f"blk.{layer}.{GGUF_NAMES[rest]}"
        writer.add_tensor(target, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
