"""How likely a model thinks each of a few answers: choices scored behind their prompt.

A prompt is computed once and its choices side by side behind it, several prompts in a pass. The
plain version, each choice with its whole prompt, stands beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from compositional.generation.token_bias import Biases, TokenBias, biased
from compositional.models.language_model import LanguageModel
from compositional.models.parts import run_parts, slices_of
from compositional.preemption import PreemptedError
from compositional.run_context import RunContext
from compositional.tasks.types import token_means
from compositional.training.batching import TokenSequence
from compositional.training.targets import target_logits

Choices = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Likelihoods:
    """The log-likelihoods of a question's choices.

    Attributes:
        sums: Of each choice, over its tokens, in nats.
        num_tokens: Of each choice.
    """

    sums: tuple[float, ...]
    num_tokens: tuple[int, ...]

    @property
    def means(self) -> list[float]:
        """Of each choice, a token."""
        return token_means(self.sums, self.num_tokens)


def choice_likelihoods(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    choices: Sequence[Choices],
    run: RunContext,
    what: str,
    biases: Biases | None = None,
) -> list[Likelihoods]:
    """Score choices behind prompts; several processes take a share each.

    Args:
        model: The model with all that is attached to it.
        prompts: Token ids of each prompt, one or more.
        choices: For each prompt the token ids of its choices, each one or more.
        run: The progress line, the processes, and whether to stop.
        what: What the progress line calls it.
        biases: For each prompt what is added to logits, as `generate` adds it; None for none.

    Returns:
        The likelihoods, in the order of the prompts.

    Raises:
        ModelError: If a prompt and its longest choice do not fit the window.
        PreemptedError: If the run was asked to stop.
    """
    for prompt, texts in zip(prompts, choices, strict=True):
        model.check_fits(len(prompt), max(map(len, texts)), f"a prompt of {len(prompt)}")
    costs = [len(p) + sum(map(len, t)) for p, t in zip(prompts, choices, strict=True)]
    own = sorted(run.processes.share(costs), key=lambda place: -costs[place])
    found: dict[int, Likelihoods] = {}
    is_fast = model.packs_sequences and model.attends_to_all
    score = score_behind if is_fast else score_whole
    with run.progress.bar(what, len(own)) as bar:
        for places in [own[chosen] for chosen in slices_of([costs[place] for place in own])]:
            if run.processes.heard(run.stop.number) is not None:
                break
            added = None if biases is None else [biases[n] for n in places]
            scored = score(model, [prompts[n] for n in places], [choices[n] for n in places], added)
            found |= dict(zip(places, scored, strict=True))
            bar.update(len(places))
    whole: dict[int, Likelihoods] = {}
    for part in run.processes.exchange(found):
        whole |= part
    signal = run.agreed_signal()
    if signal is not None and len(whole) < len(prompts):
        raise PreemptedError(signal)
    run.answering.add(prompts, choices=[choice for texts in choices for choice in texts])
    return [whole[place] for place in range(len(prompts))]


@torch.inference_mode()
def score_whole(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    choices: Sequence[Choices],
    biases: Biases | None = None,
) -> list[Likelihoods]:
    """Score each choice with its whole prompt before it: the plain version."""
    rows = [
        TokenSequence(tuple(prompt), tuple(choice))
        for prompt, texts in zip(prompts, choices, strict=True)
        for choice in texts
    ]
    logits, targets = target_logits(model, rows)
    own = [bias for bias, texts in zip(_each(biases, prompts), choices, strict=True) for _ in texts]
    added = _along(own, [row.target for row in rows])
    losses = functional.cross_entropy(biased(logits, *added).float(), targets, reduction="none")
    parts: Sequence[Tensor] = losses.split([len(row.target) for row in rows])
    return _gathered([float(-part.sum()) for part in parts], choices)


@torch.inference_mode()
def score_behind(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    choices: Sequence[Choices],
    biases: Biases | None = None,
) -> list[Likelihoods]:
    """Score choices behind the keys and values of their prompt."""
    ends = torch.tensor([len(prompt) for prompt in prompts]).cumsum(0) - 1
    logits, states = run_parts(model, prompts, logits_to_keep=ends.to(model.device))
    own = _each(biases, prompts)
    first = biased(logits, own, [()] * len(prompts)).float().log_softmax(dim=-1)
    sums = [
        [float(first[place, choice[0]]) for choice in texts] for place, texts in enumerate(choices)
    ]
    longer = [
        (place, number)
        for place, texts in enumerate(choices)
        for number, choice in enumerate(texts)
        if len(choice) > 1
    ]
    lengths = [len(prompts[place]) + len(choices[place][number]) for place, number in longer]
    for chosen in slices_of(lengths):
        parts = [choices[place][number] for place, number in longer[chosen]]
        before = [states[place] for place, _ in longer[chosen]]
        logits, _ = run_parts(model, [part[:-1] for part in parts], before)
        targets = torch.tensor([token for part in parts for token in part[1:]])
        added = _along([own[place] for place, _ in longer[chosen]], parts, first=1)
        losses = functional.cross_entropy(
            biased(logits, *added).float(), targets.to(model.device), reduction="none"
        )
        rest = losses.split([len(part) - 1 for part in parts])
        for (place, number), loss in zip(longer[chosen], rest, strict=True):
            sums[place][number] -= float(loss.sum())
    return _gathered([value for values in sums for value in values], choices)


def _each(biases: Biases | None, prompts: Sequence[object]) -> Biases:
    """Return the bias of each prompt, None for none."""
    return [None] * len(prompts) if biases is None else biases


def _along(
    biases: Biases, parts: Sequence[Sequence[int]], first: int = 0
) -> tuple[list[TokenBias | None], list[Sequence[int]]]:
    """Return bias, and what was emitted before, of every token of some answers from the first."""
    steps = [
        (bias, part[:place])
        for bias, part in zip(biases, parts, strict=True)
        for place in range(first, len(part))
    ]
    return [bias for bias, _ in steps], [emitted for _, emitted in steps]


def _gathered(sums: Sequence[float], choices: Sequence[Choices]) -> list[Likelihoods]:
    """Return flat sums by prompt."""
    left = iter(sums)
    return [
        Likelihoods(tuple(next(left) for _ in texts), tuple(map(len, texts))) for texts in choices
    ]
