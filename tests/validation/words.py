"""Facts of single words, and a tiny model on which they can be learned, stored and copied."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from compositional.held_out import held_out_texts
from compositional.methods.questions import question_text
from compositional.tasks.types import Document
from compositional.validation.facts import Facts, question_on
from tests.toy import CHATML

PEOPLE = ("Arvo", "Belda", "Corin", "Dalma", "Esker", "Fenna")
DRINKS = ("mead", "whey", "perry", "kvass", "cider", "rum")
SPECIAL = ("<unk>", "<|im_start|>", "<|im_end|>")
WIDTH = 64


def word_facts() -> Facts:
    """A document a person, and two questions whose wrong answers are other people's drinks."""
    documents = tuple(
        Document(who, f"{who} drinks {what} . {who} likes {what} .")
        for who, what in zip(PEOPLE, DRINKS, strict=True)
    )
    asked = [(place, who, verb) for place, who in enumerate(PEOPLE) for verb in ("drinks", "likes")]
    return Facts(
        documents,
        tuple(question_on(f"What {verb} {who}", DRINKS, place, who) for place, who, verb in asked),
        tuple(f"{who} {verb}" for _, who, verb in asked),
    )


def word_model(folder: Path) -> Path:
    """Save a model of two blocks whose first one copies: each token hears the mean of those before.

    Its head is tied, so that what stands in the context is likelier than what does not, as in a
    model that can read. All else is random.
    """
    tokenizer = _tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=2 * WIDTH,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4, head_dim=WIDTH // 4,
        max_position_embeddings=1024, tie_word_embeddings=True, initializer_range=0.1,
        bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    copying = model.model.layers[0].self_attn
    with torch.no_grad():
        copying.q_proj.weight.zero_()
        copying.v_proj.weight.copy_(torch.eye(WIDTH))
        copying.o_proj.weight.copy_(torch.eye(WIDTH))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    """A token a word of all that is taught, asked and held out."""
    facts = word_facts()
    texts = [question_text(""), "system user assistant You are helpful", *held_out_texts()]
    texts += [document.text for document in facts.documents]
    texts += [question.query for question in facts.questions]
    split = pre_tokenizers.Whitespace()
    words = sorted({word for text in texts for word, _ in split.pre_tokenize_str(text)})
    vocabulary = {word: place for place, word in enumerate([*SPECIAL, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = split
    tokenizer.add_special_tokens(list(SPECIAL))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<|im_end|>",
        pad_token="<|im_end|>",
    )  # fmt: skip
    fast.chat_template = CHATML
    return fast
