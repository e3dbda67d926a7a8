"""Prompts that no trained value reaches: their keys and values are computed without gradients.

Where only memory rows train, nothing before the first row of a sequence depends on them. The
prompt then runs under `no_grad` into keys and values, which are the same in every epoch and are
kept as far as a budget of memory allows, and only the target runs with gradients. The same loss
and gradients as `targets.logits_by_pack`, by less work.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from compositional.models.language_model import LanguageModel
from compositional.models.parts import KeyValues, run_parts, slices_of
from compositional.training.batching import TokenSequence
from compositional.training.targets import target_logits

Prompt = tuple[int, ...]

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
        before_pack: Called before each pack of prompts is computed; what it raises ends that.
    """

    def __init__(
        self,
        model: LanguageModel,
        sequences: Sequence[TokenSequence],
        max_bytes: int,
        before_pack: Callable[[], object] = lambda: None,
    ) -> None:
        self.model = model
        self.num_bytes = 0
        self._kept: dict[Prompt, KeyValues] = {}
        prompts = list(dict.fromkeys(sequence.prompt for sequence in sequences))
        for chosen in slices_of([len(prompt) for prompt in prompts]):
            before_pack()
            computed = self._compute(prompts[chosen])
            size = sum(k.nbytes + v.nbytes for states in computed for k, v in states)
            if self.num_bytes + size > max_bytes:
                break
            self.num_bytes += size
            self._kept.update(zip(prompts[chosen], computed, strict=True))

    def logits_by_pack(self, sequences: Sequence[TokenSequence]) -> Iterator[tuple[Tensor, Tensor]]:
        """Predict every target token, pack by pack; see `targets.logits_by_pack`."""
        lengths = [len(sequence.prompt) + len(sequence.target) for sequence in sequences]
        for chosen in slices_of(lengths):
            pack = sequences[chosen]
            targets = [token for sequence in pack for token in sequence.target]
            yield self.pack_logits(pack), torch.tensor(targets, device=self.model.device)

    def pack_logits(self, sequences: Sequence[TokenSequence]) -> Tensor:
        """Run the targets of one pack behind their prompts, [t, V + m]."""
        missing = [s.prompt for s in sequences if s.prompt not in self._kept]
        fresh = dict(zip(missing, self._compute(missing), strict=True)) if missing else {}
        before = [self._kept.get(s.prompt) or fresh[s.prompt] for s in sequences]
        return run_parts(self.model, [(s.prompt[-1], *s.target[:-1]) for s in sequences], before)[0]

    @torch.no_grad()
    def _compute(self, prompts: list[Prompt]) -> list[KeyValues]:
        """Return the keys and values of prompts but their last tokens, computed in one pack."""
        return run_parts(self.model, [prompt[:-1] for prompt in prompts], logits_to_keep=1)[1]


@torch.no_grad()
def can_freeze_prompts(model: LanguageModel) -> bool:
    """Tell whether a model's targets can run behind keys and values of their prompts.

    Tried on the model itself, as in `models/packing_probe.py`: the logits of a target must not
    change by a bit where another sequence of the pack changes, and must be those of
    `targets.target_logits` but for rounding.
    """
    if not (model.packs_sequences and model.attends_to_all):
        return False
    ids = [token % model.num_text_ids for token in range(3, 21)]
    one, two, last = (
        TokenSequence(tuple(ids[start : start + 3]), tuple(ids[start + 3 : start + 6]))
        for start in (0, 6, 12)
    )
    prompts = FrozenPrompts(model, [], 0)
    after_one, after_two = (prompts.pack_logits([first, last])[-3:] for first in (one, two))
    plain = target_logits(model, [last])[0]
    is_close = (after_one - plain).abs().max() <= TOLERANCE * plain.float().std()
    return bool(is_close) and torch.equal(after_one, after_two)
