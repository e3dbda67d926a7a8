"""Drift: how far a model's next-token distribution has moved from its backbone's.

Over the base model's own greedy answers to plain prompts that have nothing to do with tools, the
mean of KL(base || now) over the answers' positions, in nats. The distribution now is over the
vocabulary and all memory rows. The prompts go in without any method's own instruction, so a
method that changes prompts alone has a drift of 0 by construction.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files

import torch
from torch import Tensor

from compositional.generation.generate import generate
from compositional.models.language_model import LanguageModel
from compositional.probes import DRIFT
from compositional.run_context import RunContext
from compositional.stopping import heed_stop
from compositional.training.batching import TokenSequence
from compositional.training.targets import target_logits

MAX_ANSWER_TOKENS = 32
PROMPTS_A_BATCH = 10


def plain_prompts() -> list[str]:
    """Return the 50 prompts that ship with the project."""
    text = files("compositional").joinpath("plain_prompts.json").read_text(encoding="utf-8")
    prompts: list[str] = json.loads(text)
    return prompts


class DriftProbe:
    """The base model's answers to plain prompts, with its log-probabilities along them.

    Args:
        model: The model before anything is attached or trained.
        run: Decoding settings, the store of answers, and whether to stop.
        prompts: The prompts; None for those that ship with the project.
    """

    name = DRIFT
    has_first_row = False

    def __init__(
        self, model: LanguageModel, run: RunContext, prompts: Sequence[str] | None = None
    ) -> None:
        self._run = run
        chosen = plain_prompts() if prompts is None else prompts
        ids = [model.chat.prompt_ids(prompt) for prompt in chosen]
        limit = replace(run.evaluation, max_new_tokens=MAX_ANSWER_TOKENS)
        answers = generate(model, ids, replace(run, evaluation=limit), "drift")
        self._sequences = [
            TokenSequence(tuple(prompt), (*answer.ids, model.chat.end_id))
            for prompt, answer in zip(ids, answers, strict=True)
        ]
        self._base = list(self._log_probabilities(model))

    def measure(self, model: LanguageModel) -> list[float]:
        """Return the mean KL over the answer's positions, for each prompt, in nats.

        Raises:
            PreemptedError: If the run was asked to stop.
        """
        divergences: list[float] = []
        for base, now in zip(self._base, self._log_probabilities(model), strict=True):
            kl = (base.exp() * (base - now[:, : base.shape[1]])).sum(dim=1)
            divergences.append(float(kl.mean()))
        return divergences

    @torch.no_grad()
    def _log_probabilities(self, model: LanguageModel) -> Iterator[Tensor]:
        """Yield each sequence's log-probabilities where its targets are predicted, [t, V + m]."""
        for start in range(0, len(self._sequences), PROMPTS_A_BATCH):
            heed_stop(self._run)
            batch = self._sequences[start : start + PROMPTS_A_BATCH]
            logits, _ = target_logits(model, batch)
            for rows in logits.split([len(sequence.target) for sequence in batch]):
                yield rows.float().log_softmax(dim=-1).cpu()
