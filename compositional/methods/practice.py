"""Practising on a document: fill its gaps, see whether the document agrees, remember what it said.

An episode is one gap, one turn long: the policy draws one of the choices, and the reward is how far
it is what stood there. In a pass every gap is filled once, from what earlier passes left.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compositional.documents.normalising import token_f1
from compositional.methods.advantages import Vector, advantages, improved_policy
from compositional.methods.experiences import Experiences
from compositional.methods.gaps import Gap

ALIKE = 1.0
"""While it practises, what is remembered of a gap is of that gap alone."""


@dataclass(frozen=True)
class Exercise:
    """A gap with its choices.

    Attributes:
        gap: What is to be filled.
        choices: The actions.
        logits: What the model thinks of each, z.
    """

    gap: Gap
    choices: tuple[str, ...]
    logits: Vector


@dataclass(frozen=True)
class Rules:
    """How a policy practises.

    Attributes:
        passes: How often every gap is filled.
        kl_weight: Lambda of the policy.
        bonus: Of choices that were not tried yet.
        is_shuffled: Whether the rewards of a pass are dealt out to its gaps at random.
    """

    passes: int
    kl_weight: float
    bonus: float
    is_shuffled: bool = False


def practise(
    source: str, exercises: Sequence[Exercise], rules: Rules, rng: np.random.Generator
) -> tuple[Experiences, list[float]]:
    """Fill the gaps of a document, pass after pass.

    Args:
        source: Name of the document.
        exercises: Its gaps, one or more.
        rules: How.
        rng: The draws of the policy.

    Returns:
        What was experienced, and the mean reward of each pass.
    """
    experiences = Experiences()
    means = []
    for _ in range(rules.passes):
        chosen = [_chosen(experiences, exercise, rules, rng) for exercise in exercises]
        rewards = np.array(
            [reward_of(c, e.gap.answer) for c, e in zip(chosen, exercises, strict=True)]
        )
        if rules.is_shuffled:
            rewards = rng.permutation(rewards)
        for exercise, action, reward in zip(exercises, chosen, rewards, strict=True):
            experiences.add(source, exercise.gap.state, action, float(reward))
        means.append(float(rewards.mean()))
    return experiences, means


def reward_of(given: str, right: str) -> float:
    """Return how good an answer is, from -1 (no word right) to 1: twice its F1 of words less 1."""
    return 2 * token_f1(given, [right]) - 1


def _chosen(
    experiences: Experiences, exercise: Exercise, rules: Rules, rng: np.random.Generator
) -> str:
    """Return the choice that the policy draws."""
    places = experiences.near(exercise.gap.state, 1, ALIKE)
    advantage = advantages(experiences.returns(places), exercise.choices, rules.bonus)
    probabilities = improved_policy(exercise.logits, advantage, rules.kl_weight)
    return exercise.choices[int(rng.choice(len(exercise.choices), p=probabilities))]
