"""Meta-learning of where second MLPs begin: a start from which documents are learned well.

First-order: a text is learned from the initialisation by the method's own inner steps, then the
initialisation moves a share of the way to what was learned (Reptile, Nichol et al. 2018, arXiv
1803.02999, algorithm 1). TTT-E2E (arXiv 2512.23675) differentiates through the inner steps, which
takes second derivatives and the memory of all steps; the first order takes neither.
"""

from collections.abc import Sequence

import torch

from compositional.models.language_model import LanguageModel
from compositional.models.second_mlp import SecondMlps
from compositional.run_context import RunContext
from compositional.training.text_lesson import TextTraining, learn_text


def meta_learn(
    model: LanguageModel,
    second: SecondMlps,
    texts: Sequence[str],
    epochs: int,
    passes: int,
    inner: TextTraining,
    outer_rate: float,
    run: RunContext,
) -> list[float]:
    """Move the initialisation of second MLPs, text by text; it is what they hold at the end.

    Args:
        model: The model that they are attached to.
        second: The second MLPs; what they hold at the start is where the initialisation begins.
        texts: Texts to learn from, one or more.
        epochs: How often each of them is taken, in a new order each time.
        passes: Passes over a text in its inner steps.
        inner: How a text is learned.
        outer_rate: Share of the way to what was learned, falling in equal steps to 0.
        run: Streams, counters, progress, and whether to stop.

    Returns:
        The loss of the first inner step and of the last, by text: [2 * epochs * len(texts)].
    """
    initial = second.state_dict()
    named = second.named_parameters()
    losses: list[float] = []
    total = epochs * len(texts)
    for step in range(total):
        order = run.streams.generator("meta", step // len(texts)).permutation(len(texts))
        text = texts[int(order[step % len(texts)])]
        second.load_state_dict(initial)
        found = learn_text(f"meta {step}", model, text, passes, list(named.values()), inner, run)
        run.losses.pop(f"meta {step}")
        losses += [found[0], found[-1]]
        share = outer_rate * (1 - step / total)
        with torch.no_grad():
            for name, parameter in named.items():
                initial[name].lerp_(parameter, share)
    second.load_state_dict(initial)
    return losses
