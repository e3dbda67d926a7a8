"""Greedy decoding in slots: where one answer ends, the next prompt takes its place at once.

Each slot's keys and values stand at the left of a buffer of their own, so nothing is padded or
moved when slots begin and end at different times. Prompts enter in packs without padding, with
logits at their last tokens only.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from compositional.generation.answers import Answer
from compositional.generation.shared_prefix import attending_to_prefix, shared_prefix
from compositional.generation.slot_cache import SlotCache
from compositional.generation.token_bias import Biases, TokenBias, biased
from compositional.models.language_model import LanguageModel
from compositional.models.parts import KeyValues, run_parts, slices_of
from compositional.settings import EvaluationConfig

REFILL_AT = (
    0.25  # share of free slots: a pass over the weights a prompt would cost more than idling
)
SHRINK_AT = 0.5


@dataclass
class Request:
    """A prompt and what of its answer there is.

    Attributes:
        prompt: Token ids, without the shared prefix.
        forced: Row ids that replace chosen rows, in order; None to take what the model chooses.
        limit: The most tokens of the answer.
        bias: On logits; None for none.
        ids: The answer so far.
        ended: Whether the end token came.
    """

    prompt: Sequence[int]
    forced: deque[int] | None
    limit: int
    bias: TokenBias | None = None
    ids: list[int] = field(default_factory=list)
    ended: bool = False

    def accept(self, token: int, model: LanguageModel) -> bool:
        """Take the likeliest next token, or what is forced; return whether the answer goes on."""
        chooses = not self.ids or token >= model.num_text_ids or token in model.stop_ids
        if self.forced is not None and chooses:
            token = self.forced.popleft() if self.forced else model.stop_ids[0]
        self.ended = token in model.stop_ids
        if not self.ended:
            self.ids.append(token)
        return not self.ended and len(self.ids) < self.limit


class SlotDecoder:
    """Answers prompts, `num_slots` of them side by side.

    Args:
        model: A model that `can_decode_in_slots`.
        requests: The prompts, in the order in which they enter.
        num_slots: Answers side by side.
        prefix: Keys and values of what all prompts begin with; None for nothing.
        on_step: Called after every pass with the number of answers that it completed; what it
            raises ends the decoding.
    """

    def __init__(
        self,
        model: LanguageModel,
        requests: Sequence[Request],
        num_slots: int,
        prefix: KeyValues | None,
        on_step: Callable[[int], object],
    ) -> None:
        self.model = model
        self.waiting = deque(requests)
        self.slots: list[Request | None] = [None] * min(num_slots, len(requests))
        self.prefix = prefix
        self.on_step = on_step
        self.capacity = max((len(r.prompt) + r.limit for r in requests), default=0)
        self.cache: SlotCache | None = None
        self.num_complete = 0

    @torch.inference_mode()
    def run(self) -> None:
        """Answer all requests."""
        while self.waiting or any(self.slots):
            num_free = self.slots.count(None)
            if self.waiting and num_free >= len(self.slots) * REFILL_AT:
                self._admit()
            elif not self.waiting and num_free >= len(self.slots) * SHRINK_AT:
                self._shrink()
            self._step()
            self._tell()

    def _tell(self) -> None:
        """Say how many answers are complete since the last time."""
        self.on_step(self.num_complete)
        self.num_complete = 0

    def _admit(self) -> None:
        """Run waiting prompts and put them into free slots."""
        free = [place for place, request in enumerate(self.slots) if request is None]
        entering = [self.waiting.popleft() for _ in free[: len(self.waiting)]]
        for chosen in slices_of([len(request.prompt) for request in entering]):
            prompts = [request.prompt for request in entering[chosen]]
            ends = torch.tensor([len(prompt) for prompt in prompts]).cumsum(dim=0) - 1
            logits, states = run_parts(
                self.model, prompts, prefix=self.prefix, logits_to_keep=ends.to(self.model.device)
            )
            if self.cache is None:
                self.cache = SlotCache(states[0], len(self.slots), self.capacity)
            tokens = _likeliest(logits, entering[chosen])
            for place, request, own, token in zip(
                free[chosen], entering[chosen], states, tokens, strict=False
            ):
                self.cache.fill(place, own)
                self._accept(place, request, token, self.cache)
            self._tell()

    def _accept(self, place: int, request: Request, token: int, cache: SlotCache) -> None:
        """Give a request its next token; free its slot where the answer is complete."""
        if request.accept(token, self.model):
            self.slots[place] = request
        else:
            self.slots[place] = None
            cache.clear(place)
            self.num_complete += 1

    def _shrink(self) -> None:
        """Drop the slots that nothing will use again."""
        busy = [place for place, request in enumerate(self.slots) if request is not None]
        if busy and self.cache is not None:
            self.slots = [self.slots[place] for place in busy]
            self.cache.keep(busy)

    def _step(self) -> None:
        """Compute the next token of every busy slot."""
        busy = [(place, request) for place, request in enumerate(self.slots) if request]
        if not busy or self.cache is None:
            return
        last = [request.ids[-1] if request else self.model.chat.pad_id for request in self.slots]
        tokens = _likeliest(next_logits(self.model, last, self.cache, self.prefix), self.slots)
        self.cache.advance([place for place, _ in busy])
        for place, request in busy:
            self._accept(place, request, tokens[place], self.cache)


def decode_in_slots(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    settings: EvaluationConfig,
    forced: Sequence[Sequence[int]] | None,
    on_step: Callable[[int], object],
    biases: Biases | None = None,
) -> list[Answer]:
    """Answer prompts in slots; see `padded.decode_padded` for the arguments."""
    shared = shared_prefix(prompts)
    on_step(0)
    with torch.inference_mode():
        prefix = run_parts(model, [shared], logits_to_keep=1)[1][0] if shared else None
    rows = [None] * len(prompts) if forced is None else [deque(ids) for ids in forced]
    requests = [
        Request(prompt[len(shared) :], expected, settings.max_new_tokens, bias)
        for prompt, expected, bias in zip(
            prompts, rows, biases or [None] * len(prompts), strict=True
        )
    ]
    SlotDecoder(model, requests, settings.batch_size, prefix, on_step).run()
    return [Answer(tuple(request.ids), request.ended) for request in requests]


def _likeliest(logits: Tensor, requests: Sequence[Request | None]) -> list[int]:
    """Return the likeliest next token of each row [n, V + m] under its request's bias."""
    biases = [None if request is None else request.bias for request in requests]
    emitted = [[] if request is None else request.ids for request in requests]
    tokens: list[int] = biased(logits, biases, emitted).argmax(dim=-1).tolist()
    return tokens


def next_logits(
    model: LanguageModel, last: Sequence[int], cache: SlotCache, prefix: KeyValues | None
) -> Tensor:
    """Write the last token of each slot into the cache; return what may follow, [slots, V + m]."""
    num_shared = 0 if prefix is None else int(prefix[0][0].shape[2])
    with attending_to_prefix(model.backbone, prefix):
        logits: Tensor = model.backbone(
            input_ids=torch.tensor(last, device=model.device)[:, None],
            attention_mask=cache.mask(model.backbone.dtype),
            position_ids=cache.lengths[:, None] + num_shared,
            past_key_values=cache,
            use_cache=True,
        ).logits
    return logits[:, -1]
