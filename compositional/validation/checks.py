"""What a milestone consists of: each check gives a figure and what it must reach.

None of them holds by construction: a rate of 0, a memory that keeps nothing, an adapter that
reaches nothing or a state that leaves something out each make one fail.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from compositional.held_out import HeldOutProbe
from compositional.intervals import Figure, percentile_interval
from compositional.methods.ace import Ace
from compositional.report.formats import interval_text
from compositional.resampling import Resamples
from compositional.retention import Array
from compositional.states import load_state, save_state, tensors_sha256
from compositional.validation.facts import of_predictions
from compositional.validation.trial import Trial, logits_of

MIN_GAIN = 0.1
"""Nats a token by which the right choice must gain on the wrong ones, by the interval's low end."""
MIN_DAMAGE = 0.1
"""Nats a token that the control must lose on held-out text, by the interval's low end."""
RESTORED_WITHIN = 1e-6
"""A restored state may differ by this share of the largest value: a GPU adds in any order."""
CAUSAL_WITHIN = 1e-4
"""Sums of other shapes round otherwise; what looks ahead differs by a hundred times as much."""


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Attributes:
        figure: In words and numbers.
        threshold: What it must reach.
        passed: Whether it does.
    """

    figure: str
    threshold: str
    passed: bool


@dataclass(frozen=True)
class Check:
    """One thing that a milestone looks at.

    Attributes:
        what: Names it in a line.
        measure: Measures it on a trial, whose earlier checks have run.
    """

    what: str
    measure: Callable[[Trial], Outcome]


def _attached(trial: Trial) -> Outcome:
    """Compare what the strategy computes before it is taught with the model alone."""
    return _none_differ(trial.observe(trial.method, trial.model), trial.untouched)


def _attached_untrained(trial: Trial) -> Outcome:
    """Compare after a lesson of no passes, which attaches what trains; then take it back."""
    initial = trial.initial
    trial.method.learn(trial.bench.facts.round(0), trial.run)
    outcome = _attached(trial)
    trial.method.load_state_dict(initial)
    return outcome


def _none_differ(found: Tensor, expected: Tensor) -> Outcome:
    num_other = int((found != expected).sum())
    figure = f"{num_other:,} of {len(expected):,} values differ"
    return Outcome(figure, "0 differ", num_other == 0)


def _learned(trial: Trial) -> Outcome:
    """Compare the lead of right endings of taught sentences over wrong ones with that before."""
    _ = trial.taught
    gains = trial.bench.endings(trial.model, trial.run) - trial.bench.untaught_endings
    return _gained(trial, gains, "sentences")


def _answered(trial: Trial) -> Outcome:
    """Compare the lead of right answers to questions over wrong ones with that before."""
    _ = trial.taught
    facts = trial.bench.facts
    predictions = trial.method.answer(facts.hidden(), trial.run)
    gains = facts.leads(of_predictions(predictions)) - trial.bench.untaught_answers
    return _gained(trial, gains, "questions")


def _gained(trial: Trial, gains: Array, what: str) -> Outcome:
    base_ids = [question.base_ids for question in trial.bench.facts.questions]
    return above(trial, gains, base_ids, MIN_GAIN, f"nats a token, {len(gains)} {what}")


def _damaged(trial: Trial) -> Outcome:
    """Compare the loss on held-out texts with that of the model alone."""
    _ = trial.taught
    losses = HeldOutProbe(trial.model).measure(trial.model)
    rises = np.array(losses) - np.array(trial.bench.untaught_held_out)
    base_ids = [(str(place),) for place in range(len(losses))]
    return above(trial, rises, base_ids, MIN_DAMAGE, f"nats a token, {len(losses)} texts")


def above(
    trial: Trial, values: Array, base_ids: Sequence[Sequence[str]], least: float, unit: str
) -> Outcome:
    """Hold a mean's interval against what its low end must reach.

    Args:
        trial: Its seed draws the resamples.
        values: One value a question or text.
        base_ids: Values that share one are drawn together.
        least: What the low end must reach.
        unit: What the values are.
    """
    resamples = Resamples.draw({"all": base_ids}, trial.bench.config.seed)
    interval = percentile_interval(resamples.cell_means("all", values))
    mean = float(values.mean())
    figure = f"{mean:+.2f} {interval_text(Figure(mean, interval))} {unit}"
    is_whole = bool(np.isfinite(values).all())
    passed = is_whole and interval is not None and interval.low >= least
    return Outcome(figure, f"low end {least:g} or more", passed)


def _restored(trial: Trial) -> Outcome:
    """Save the taught state, load it on another fresh model, and compare."""
    taught = trial.taught
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_state(path, trial.method.state_dict())
        model = trial.bench.load()
        other = trial.settings.build(model, trial.bench.facts.benchmark(trial.passes))
        other.load_state_dict(load_state(path))
    return _within(_share(trial.observe(other, model), taught), RESTORED_WITHIN)


def _causal(trial: Trial) -> Outcome:
    """Change the last third of a taught text, and compute it behind cached keys and values."""
    _ = trial.taught
    model, ids = trial.model, trial.probe_ids
    cut = 2 * len(ids) // 3
    whole = logits_of(model, ids)
    changed = logits_of(model, ids[:cut] + ids[: len(ids) - cut])
    cache = DynamicCache(config=model.backbone.config)
    cached = torch.cat([logits_of(model, part, cache) for part in (ids[:cut], ids[cut:])])
    shares = [_share(changed[:cut], whole[:cut]), _share(cached, whole)]
    return _within(float(np.max(shares)), CAUSAL_WITHIN)


def _share(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference as a share of the largest value."""
    return float((found - expected).abs().max() / expected.abs().max())


def _within(share: float, most: float) -> Outcome:
    return Outcome(
        f"largest difference {share:.1e} of the largest value", f"{most:g} at most", share <= most
    )


def _forgotten(trial: Trial) -> Outcome:
    """Take out what was taught; the model must be as it was, and have been another before."""
    taught = trial.taught
    forget = getattr(trial.method, "forget", None)
    if forget is None:
        trial.method.load_state_dict(trial.initial)
    else:
        for document in trial.bench.facts.documents:
            forget(document.name)
    left = trial.observe(trial.method, trial.model)
    num_taught = int((taught != trial.untouched).sum())
    num_left = int((left != trial.untouched).sum())
    weights_now = tensors_sha256(trial.model.backbone.named_parameters())
    same = weights_now == trial.untouched_weights
    weights = "the same weights" if same else "OTHER WEIGHTS"
    return Outcome(
        f"{num_left:,} values differ, {weights}; {num_taught:,} did when taught",
        "0 differ, the same weights, some before",
        same and num_left == 0 < num_taught,
    )


def _noted(trial: Trial) -> Outcome:
    """Count the entries of the playbook that the strategy wrote."""
    _ = trial.taught
    method = trial.method
    assert isinstance(method, Ace)
    count, tally = len(method.playbook.entries), method.tally
    figure = f"{count} of {tally.usable} usable replies, {tally.skipped} left out"
    return Outcome(figure, "1 or more", count >= 1)


ATTACHED = Check("attached, it changes no value", _attached)
ATTACHED_UNTRAINED = Check("attached but untrained, it changes no value", _attached_untrained)
LEARNED = Check("right endings of taught sentences gain on wrong ones", _learned)
ANSWERED = Check("right answers gain on wrong ones", _answered)
RESTORED = Check("a saved state gives the same values", _restored)
CAUSAL = Check("nothing looks ahead, cached or not", _causal)
NOTED = Check("the playbook has entries", _noted)
DAMAGED = Check("the control loses on held-out text", _damaged)
FORGOTTEN = Check("without it, the model is as it was", _forgotten)
