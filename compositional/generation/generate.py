"""Batched greedy decoding, by transformers' own `generate`.

Prompts are sorted by length, padded on the left and decoded in batches with a KV cache. A prefix
that all prompts share is computed once, where no layer has a sliding window. Tokens may be forced
at the places where a sequence chooses a memory row: decoding with ground-truth tools, inside the
cached loop.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any, cast

import torch
import transformers
from torch import Tensor
from transformers import DynamicCache, GenerationConfig, LogitsProcessor, LogitsProcessorList

from compositional.files import canonical_json, sha256_text
from compositional.generation.answers import Answer
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext

MIN_SHARED_PREFIX_TOKENS = 32


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


def generate(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    run: RunContext,
    what: str,
    forced: Sequence[Sequence[int]] | None = None,
) -> list[Answer]:
    """Answer prompts greedily.

    Args:
        model: The model with all that is attached to it.
        prompts: Token ids of each prompt.
        run: Decoding settings, the store of answers, the progress line.
        what: What the progress line calls it.
        forced: For each prompt the row ids that replace chosen rows, in order.

    Returns:
        The answers, in the order of the prompts.

    Raises:
        ModelError: If the longest prompt and an answer at the limit do not fit the window.
    """
    longest = max(map(len, prompts), default=0)
    model.check_fits(longest, run.evaluation.max_new_tokens, f"a prompt of {longest}")
    keys = _keys(model, prompts, run, forced)
    kept = {key: answer for key in keys if (answer := run.answers.get(key)) is not None}
    places = {key: place for place, key in enumerate(keys) if key not in kept}
    fresh = _decode(model, prompts, forced, list(places.values()), run, what)
    run.answers.put({key: fresh[place] for key, place in places.items()})
    return [replace(kept[key], reused=True) if key in kept else fresh[places[key]] for key in keys]


def _decode(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    forced: Sequence[Sequence[int]] | None,
    places: list[int],
    run: RunContext,
    what: str,
) -> dict[int, Answer]:
    """Decode the prompts at some places, longest first, in batches."""
    order = sorted(places, key=lambda place: -len(prompts[place]))
    prefix = shared_prefix([prompts[place] for place in order]) if model.attends_to_all else []
    prefix_cache = _prefill(model, prefix) if prefix else None
    answers: dict[int, Answer] = {}
    size = run.evaluation.batch_size
    with run.progress.bar(what, len(order)) as bar:
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            decoded = _decode_batch(
                model,
                [prompts[place] for place in chosen],
                run.evaluation.max_new_tokens,
                len(prefix),
                prefix_cache,
                None if forced is None else [forced[place] for place in chosen],
            )
            answers.update(zip(chosen, decoded, strict=True))
            bar.update(len(chosen))
    return answers


def _keys(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    run: RunContext,
    forced: Sequence[Sequence[int]] | None,
) -> list[str]:
    """Return for each prompt the hash of everything that its answer depends on."""
    shared = canonical_json(
        {
            "model": model.fingerprint(),
            "dtype": str(model.backbone.dtype),
            "device": str(model.device),
            "max_new_tokens": run.evaluation.max_new_tokens,
            "batch_size": run.evaluation.batch_size,
            "threads": torch.get_num_threads(),
            "versions": [torch.__version__, transformers.__version__],
        }
    )
    rows = [None] * len(prompts) if forced is None else [list(ids) for ids in forced]
    return [
        sha256_text(shared + canonical_json([list(prompt), expected]))
        for prompt, expected in zip(prompts, rows, strict=True)
    ]


def shared_prefix(prompts: Sequence[Sequence[int]]) -> list[int]:
    """Return the tokens that all prompts begin with, where computing them once is worth it.

    Every prompt keeps at least one token of its own.
    """
    if len(prompts) < 2:
        return []
    first, last = min(map(list, prompts)), max(map(list, prompts))
    pairs = zip(first[:-1], last[:-1], strict=False)
    prefix = [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    return prefix if len(prefix) >= MIN_SHARED_PREFIX_TOKENS else []


@torch.inference_mode()
def _prefill(model: LanguageModel, prefix: list[int]) -> DynamicCache:
    """Compute the KV cache of a prefix once."""
    cache = DynamicCache(config=model.backbone.config)
    ids = torch.tensor([prefix], device=model.device)
    model.backbone(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


@torch.inference_mode()
def _decode_batch(
    model: LanguageModel,
    prompts: list[Sequence[int]],
    max_new_tokens: int,
    prefix_length: int,
    prefix_cache: DynamicCache | None,
    forced: list[Sequence[int]] | None,
) -> list[Answer]:
    """Decode one batch; padding stands between the shared prefix and each prompt's own part."""
    length = max(len(prompt) for prompt in prompts)
    pad_id = model.chat.pad_id
    ids = torch.full((len(prompts), length), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        own = len(prompt) - prefix_length
        ids[row, :prefix_length] = torch.tensor(prompt[:prefix_length], dtype=torch.long)
        ids[row, length - own :] = torch.tensor(prompt[prefix_length:], dtype=torch.long)
        mask[row, :prefix_length] = 1
        mask[row, length - own :] = 1
    cache = None
    if prefix_cache is not None:
        cache = copy.deepcopy(prefix_cache)
        cache.batch_repeat_interleave(len(prompts))
    processors = LogitsProcessorList()
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
        past_key_values=cache,
    )
    return [_cut(row, set(model.stop_ids)) for row in output[:, length:].tolist()]


def _cut(ids: list[int], end_ids: set[int]) -> Answer:
    """Cut an answer at its first end token."""
    for place, token in enumerate(ids):
        if token in end_ids:
            return Answer(tuple(ids[:place]), ended=True)
    return Answer(tuple(ids), ended=False)
