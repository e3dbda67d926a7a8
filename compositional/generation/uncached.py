"""The plain way to decode, which the fast one must equal: one prompt, no cache, no padding."""

from collections.abc import Sequence

import torch

from compositional.generation.answers import Answer
from compositional.generation.token_bias import TokenBias
from compositional.models.language_model import LanguageModel


@torch.no_grad()
def greedy(
    model: LanguageModel,
    prompt: Sequence[int],
    limit: int,
    forced: Sequence[int] | None = None,
    bias: TokenBias | None = None,
) -> Answer:
    """Take the likeliest token again and again, the whole sequence computed anew each time.

    Args:
        model: The model with all that is attached to it.
        prompt: Token ids.
        limit: The most tokens of the answer.
        forced: Rows; the next of them (then the end) replaces the first token and every token that
            is a row or ends the answer.
        bias: What is added to logits of tokens that the answer does not hold yet.
    """
    answer: list[int] = []
    left = None if forced is None else list(forced)
    while len(answer) < limit:
        whole = torch.tensor([[*prompt, *answer]], device=model.device)
        logits = model.backbone(whole, use_cache=False).logits[0, -1]
        for biased, value in [] if bias is None else zip(bias.ids, bias.values, strict=True):
            if biased not in answer:
                logits[biased] += value
        token = int(logits.argmax())
        if left is not None and (
            not answer or token >= model.num_text_ids or token in model.stop_ids
        ):
            token = left.pop(0) if left else model.stop_ids[0]
        if token in model.stop_ids:
            return Answer(tuple(answer), ended=True)
        answer.append(token)
    return Answer(tuple(answer), ended=False)
