"""Prompts that no trained value reaches: their keys and values are computed without gradients.

Where only memory rows train, nothing before the first row of a sequence depends on them. The
prompt then runs under `no_grad` into keys and values, which are the same in every epoch and are
kept as far as a budget of memory allows, and only the target runs with gradients. The same loss
and gradients as `target_logits`, by less work.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from compositional.models.language_model import LanguageModel
from compositional.training.batching import TokenSequence
from compositional.training.packing import slices_of
from compositional.training.targets import target_logits

Prompt = tuple[int, ...]
# For each layer the keys and the values of a prompt but its last token, [1, heads, tokens, d].
KeyValues = list[tuple[Tensor, Tensor]]

TOLERANCE = 0.05


class FrozenPrompts:
    """Computes what targets need of their prompts, and keeps it under a budget.

    Which prompts are kept, and with which others each was computed, depends on the rows and the
    budget alone, so that a training that was cut off goes on bit for bit.

    Args:
        model: The model; what stands before the targets must not train.
        sequences: Rows whose prompts to keep, of 2 tokens or more each, in order, as far as they
            fit.
        max_bytes: The most that kept keys and values may take.
    """

    def __init__(
        self, model: LanguageModel, sequences: Sequence[TokenSequence], max_bytes: int
    ) -> None:
        self.model = model
        self.num_bytes = 0
        self._kept: dict[Prompt, KeyValues] = {}
        prompts = list(dict.fromkeys(sequence.prompt for sequence in sequences))
        for chosen in slices_of([len(prompt) for prompt in prompts]):
            computed = self._compute(prompts[chosen])
            size = sum(k.nbytes + v.nbytes for states in computed for k, v in states)
            if self.num_bytes + size > max_bytes:
                break
            self.num_bytes += size
            self._kept.update(zip(prompts[chosen], computed, strict=True))

    def target_logits(self, sequences: Sequence[TokenSequence]) -> tuple[Tensor, Tensor]:
        """Predict every target token; see `targets.target_logits`."""
        lengths = [len(sequence.prompt) + len(sequence.target) for sequence in sequences]
        logits = [self._logits(sequences[chosen]) for chosen in slices_of(lengths)]
        targets = [token for sequence in sequences for token in sequence.target]
        return torch.cat(logits), torch.tensor(targets, device=self.model.device)

    def _logits(self, sequences: Sequence[TokenSequence]) -> Tensor:
        """Run the targets of one pack behind their prompts, [t, V + m]."""
        missing = [s.prompt for s in sequences if s.prompt not in self._kept]
        fresh = dict(zip(missing, self._compute(missing), strict=True)) if missing else {}
        states = [self._kept.get(s.prompt) or fresh[s.prompt] for s in sequences]
        layers = [
            (torch.cat([k for k, _ in layer], dim=2), torch.cat([v for _, v in layer], dim=2))
            for layer in zip(*states, strict=True)
        ]
        return _run(
            self.model,
            [(s.prompt[-1], *s.target[:-1]) for s in sequences],
            [len(s.prompt) - 1 for s in sequences],
            DynamicCache(layers),
        )[0]

    @torch.no_grad()
    def _compute(self, prompts: list[Prompt]) -> list[KeyValues]:
        """Return the keys and values of some prompts, computed in one pack."""
        cache = DynamicCache()
        _run(self.model, [prompt[:-1] for prompt in prompts], [0] * len(prompts), cache, head=1)
        lengths = [len(prompt) - 1 for prompt in prompts]
        layers = [
            zip(keys.split(lengths, dim=2), values.split(lengths, dim=2), strict=True)
            for keys, values, _ in cache
        ]
        return [list(states) for states in zip(*layers, strict=True)]


def _run(
    model: LanguageModel,
    parts: Sequence[Prompt],
    lengths_before: Sequence[int],
    cache: DynamicCache,
    head: int = 0,
) -> Tensor:
    """Run parts of sequences end to end, each seeing itself and its own keys in the cache.

    Args:
        model: The model.
        parts: Token ids of each part.
        lengths_before: How many tokens of each sequence stand in the cache, in the same order.
        cache: Their keys and values; those of the parts are added.
        head: Compute logits at so many last positions only; 0 for all.
    """
    device = model.device
    lengths = torch.tensor([len(part) for part in parts])
    before = torch.tensor(lengths_before)
    numbers = torch.arange(len(parts))
    owner = numbers.repeat_interleave(lengths)
    positions = torch.cat(
        [torch.arange(b, b + n) for b, n in zip(lengths_before, lengths.tolist(), strict=True)]
    )
    key_owner = torch.cat([numbers.repeat_interleave(before), owner])
    key_positions = torch.cat([*(torch.arange(b) for b in lengths_before), positions])
    sees = (owner[:, None] == key_owner) & (positions[:, None] >= key_positions)
    dtype = model.backbone.dtype
    mask = torch.zeros(sees.shape, dtype=dtype).masked_fill_(~sees, torch.finfo(dtype).min)
    logits: Tensor = model.backbone(
        input_ids=torch.tensor([[token for part in parts for token in part]], device=device),
        attention_mask=mask[None, None].to(device),
        position_ids=positions[None].to(device),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=head,
    ).logits
    return logits


@torch.no_grad()
def can_freeze_prompts(model: LanguageModel) -> bool:
    """Tell whether a model's targets can run behind keys and values of their prompts.

    Tried on the model itself, as in `models/packing_probe.py`: the logits of a target must not
    change by a bit where another sequence of the pack changes, and must be those of
    `target_logits` but for rounding.
    """
    if not (model.packs_sequences and model.attends_to_all):
        return False
    ids = [token % model.num_text_ids for token in range(3, 21)]
    one, two, last = (
        TokenSequence(tuple(ids[start : start + 3]), tuple(ids[start + 3 : start + 6]))
        for start in (0, 6, 12)
    )
    after_one, after_two = (
        FrozenPrompts(model, [], 0).target_logits([first, last])[0][-3:] for first in (one, two)
    )
    plain = target_logits(model, [last])[0]
    is_close = (after_one - plain).abs().max() <= TOLERANCE * plain.float().std()
    return bool(is_close) and torch.equal(after_one, after_two)
