"""The plain way to decode, which the fast one must equal: one prompt, no cache, no padding."""

from collections.abc import Sequence

import torch

from compositional.generation.answers import Answer
from compositional.models.language_model import LanguageModel


@torch.no_grad()
def greedy(
    model: LanguageModel,
    prompt: Sequence[int],
    limit: int,
    forced: Sequence[int] | None = None,
) -> Answer:
    """Take the likeliest token again and again, the whole sequence computed anew each time.

    Args:
        model: The model with all that is attached to it.
        prompt: Token ids.
        limit: The most tokens of the answer.
        forced: Rows; the next of them (then the end) replaces the first token and every token that
            is a row or ends the answer.
    """
    answer: list[int] = []
    left = None if forced is None else list(forced)
    while len(answer) < limit:
        whole = torch.tensor([[*prompt, *answer]], device=model.device)
        logits = model.backbone(whole, use_cache=False).logits[0, -1]
        token = int(logits.argmax())
        if left is not None and (
            not answer or token >= model.num_text_ids or token in model.stop_ids
        ):
            token = left.pop(0) if left else model.stop_ids[0]
        if token in model.stop_ids:
            return Answer(tuple(answer), ended=True)
        answer.append(token)
    return Answer(tuple(answer), ended=False)
