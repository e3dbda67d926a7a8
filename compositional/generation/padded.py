"""Batched greedy decoding by transformers' own `generate`: the plain way.

Prompts are padded on the left and decoded in batches with a KV cache, each to its longest answer.
Tokens may be forced at the places where a sequence chooses a memory row: decoding with
ground-truth tools, inside the cached loop.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from compositional.generation.answers import Answer
from compositional.generation.token_bias import Biases, biased
from compositional.models.language_model import LanguageModel
from compositional.settings import EvaluationConfig


class ForcedRows(LogitsProcessor):
    """Replaces each choice of a row, or of the end, by the next expected one.

    Args:
        expected: For each sequence the row ids in order; after them comes the end.
        num_text_ids: Ids from here on are rows.
        stop_ids: The tokens that end an answer; the first of them is forced.
        prompt_length: Where the answers begin.
    """

    def __init__(
        self,
        expected: Sequence[Sequence[int]],
        num_text_ids: int,
        stop_ids: Sequence[int],
        prompt_length: int,
    ) -> None:
        self.expected = expected
        self.num_text_ids = num_text_ids
        self.stop_ids = stop_ids
        self.prompt_length = prompt_length

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores [b, V + m] in which a chosen row or end is the expected one."""
        answers = input_ids[:, self.prompt_length :]
        done = (answers >= self.num_text_ids).sum(dim=1).tolist()
        best = scores.argmax(dim=-1).tolist()
        at_start = answers.shape[1] == 0
        for row, rows_expected in enumerate(self.expected):
            if at_start or best[row] >= self.num_text_ids or best[row] in self.stop_ids:
                left = rows_expected[done[row] :]
                forced = left[0] if left else self.stop_ids[0]
                scores[row] = -torch.inf
                scores[row, forced] = 0.0
        return scores


class AddedBias(LogitsProcessor):
    """Adds to each sequence's logits its bias.

    Args:
        biases: Of each sequence; None for none.
        prompt_length: Where the answers begin.
    """

    def __init__(self, biases: Biases, prompt_length: int) -> None:
        self.biases = biases
        self.prompt_length = prompt_length

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scores, [b, V + m], with the biases."""
        return biased(scores, self.biases, input_ids[:, self.prompt_length :].tolist())


class Watch(LogitsProcessor):
    """Calls back before every token, and changes nothing.

    Args:
        callback: What to call; what it raises ends the decoding.
    """

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002 - transformers'
        """Return the scores as they are."""
        self.callback()
        return scores


def decode_padded(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    settings: EvaluationConfig,
    forced: Sequence[Sequence[int]] | None,
    on_step: Callable[[int], object],
    biases: Biases | None = None,
) -> list[Answer]:
    """Answer prompts in batches of their order.

    Args:
        model: The model with all that is attached to it.
        prompts: Token ids of each prompt.
        settings: The batch size and the most new tokens.
        forced: For each prompt the row ids that replace chosen rows, in order; None for none.
        on_step: Called before every token with 0, and with the number of answers that a batch
            completed.
        biases: For each prompt what is added to logits; None for none.
    """
    answers: list[Answer] = []
    for start in range(0, len(prompts), settings.batch_size):
        chosen = slice(start, start + settings.batch_size)
        rows = None if forced is None else forced[chosen]
        watch = Watch(lambda: on_step(0))
        added = None if biases is None else biases[chosen]
        answers += _decode_batch(
            model, prompts[chosen], settings.max_new_tokens, rows, watch, added
        )
        on_step(len(prompts[chosen]))
    return answers


@torch.inference_mode()
def _decode_batch(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    forced: Sequence[Sequence[int]] | None,
    watch: Watch,
    biases: Biases | None,
) -> list[Answer]:
    """Decode one batch."""
    length = max(len(prompt) for prompt in prompts)
    pad_id = model.chat.pad_id
    ids = torch.full((len(prompts), length), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, length - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
        mask[row, length - len(prompt) :] = 1
    processors = LogitsProcessorList([watch])
    if biases is not None:
        processors.append(AddedBias(biases, length))
    if forced is not None:
        processors.append(ForcedRows(forced, model.num_text_ids, model.stop_ids, length))
    settings = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=model.stop_ids,
        pad_token_id=pad_id,
        use_cache=True,
    )
    output: Tensor = cast(Any, model.backbone).generate(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        generation_config=settings,
        logits_processor=processors,
    )
    return [_cut(row, set(model.stop_ids)) for row in output[:, length:].tolist()]


def _cut(ids: list[int], end_ids: set[int]) -> Answer:
    """Cut an answer at its first end token."""
    for place, token in enumerate(ids):
        if token in end_ids:
            return Answer(tuple(ids[:place]), ended=True)
    return Answer(tuple(ids), ended=False)
