"""Answers that fit a JSON Schema: tokens that would leave it are never chosen (llguidance).

One prompt at a time, with cached keys and values. What the schema forces, such as the names of
fields, is not computed token by token but read with the next pass.
"""

import json
from typing import Any

import llguidance.hf
import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from torch import Tensor
from transformers import DynamicCache, PreTrainedTokenizerFast

from compositional.errors import ModelError
from compositional.generation.answers import Answer
from compositional.models.language_model import LanguageModel
from compositional.tasks.types import JsonObject

# Blanks as Python writes them, and no others: small models would go on with blanks for ever.
_SPACING: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class ConstrainedDecoder:
    """Decodes one answer at a time.

    Args:
        model: The model with all that is attached to it.

    Raises:
        ModelError: If its tokenizer is none of the tokenizers library.
    """

    def __init__(self, model: LanguageModel) -> None:
        if not isinstance(model.tokenizer, PreTrainedTokenizerFast):
            raise ModelError(
                "replies by a schema need a tokenizer of the tokenizers library, not a "
                f"{type(model.tokenizer).__name__}: use another model, or a server"
            )
        self.model = model
        self._fast: PreTrainedTokenizerFast = model.tokenizer
        self._tokenizer: LLTokenizer | None = None

    @torch.inference_mode()
    def decode(
        self,
        prompt: list[int],
        schema: JsonObject | None,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Answer:
        """Answer a prompt.

        Args:
            prompt: Token ids.
            schema: What the answer must fit; None for anything. Where the limit of tokens cuts the
                answer, it does not fit.
            max_tokens: The longest answer.
            temperature: 0 takes the likeliest token each time.
            seed: Of sampling; no other randomness is touched.

        Raises:
            ModelError: If the schema is none, or has what cannot be enforced.
        """
        matcher = None if schema is None else self._matcher(schema)
        rng = torch.Generator().manual_seed(seed)
        cache = DynamicCache(config=self.model.backbone.config)
        answer = _forced(matcher)
        new = [*prompt, *answer]
        while len(answer) < max_tokens:
            logits = self._logits(new, cache)
            if matcher is not None:
                logits = logits.masked_fill(~_allowed(matcher, len(logits)), -torch.inf)
            token = _choose(logits, temperature, rng)
            if token in self.model.stop_ids:
                return Answer(tuple(answer), ended=True)
            if matcher is not None:
                _consume(matcher, token)
            new = [token, *_forced(matcher)]
            answer += new
            if matcher is not None and matcher.is_stopped() and len(answer) <= max_tokens:
                return Answer(tuple(answer), ended=True)
        return Answer(tuple(answer[:max_tokens]), ended=False)

    def _logits(self, ids: list[int], cache: DynamicCache) -> Tensor:
        """Return what may follow, [V + m], in fp32 on the CPU."""
        logits: Tensor = self.model.backbone(
            input_ids=torch.tensor([ids], device=self.model.device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        return logits[0, -1].float().cpu()

    def _matcher(self, schema: JsonObject) -> LLMatcher:
        """Return what follows a schema from its beginning."""
        if self._tokenizer is None:
            self._tokenizer = llguidance.hf.from_tokenizer(
                self._fast,
                n_vocab=self.model.num_text_ids,
                eos_token=self.model.chat.end_id,
            )
        text = json.dumps(schema)
        matcher = LLMatcher(
            self._tokenizer, LLMatcher.grammar_from_json_schema(text, overrides=_SPACING)
        )
        if matcher.is_error():
            raise ModelError(f"the schema {text:.80} cannot be enforced: {matcher.get_error()}")
        return matcher


def _forced(matcher: LLMatcher | None) -> list[int]:
    """Return the tokens that alone can follow, and go on behind them."""
    if matcher is None or matcher.is_stopped():
        return []
    tokens = matcher.compute_ff_tokens()
    for token in tokens:
        _consume(matcher, token)
    return tokens


def _consume(matcher: LLMatcher, token: int) -> None:
    if not matcher.consume_token(token):
        raise ModelError(f"a reply by a schema broke off: {matcher.get_error()}")


def _allowed(matcher: LLMatcher, num_ids: int) -> Tensor:
    """Return which tokens stay in the schema, [V + m]; no memory row does."""
    packed = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
    bits = np.unpackbits(packed, bitorder="little")[:num_ids]
    allowed = torch.zeros(num_ids, dtype=torch.bool)
    allowed[: len(bits)] = torch.from_numpy(bits.astype(bool))
    return allowed


def _choose(logits: Tensor, temperature: float, rng: torch.Generator) -> int:
    if temperature == 0:
        return int(logits.argmax())
    return int(torch.multinomial((logits / temperature).softmax(dim=-1), 1, generator=rng))
