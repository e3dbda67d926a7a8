"""Advantages of actions from what they returned, and the policy that they make best: JitRL.

Li et al. 2026 (arXiv 2601.18510): nothing trains. An action's advantage in a state is the mean
return of that action less the mean return of all actions, over remembered states like this one. It
is added to the action's logit, which is the exact optimum of a trade of gain against change.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

Vector = NDArray[np.float64]


def advantages(
    returns: Mapping[str, Sequence[float]], actions: Sequence[str], bonus: float | None = None
) -> Vector:
    """Return the advantage of each action: A(s, a) = mean G(s, a) - mean G(s, .).

    Args:
        returns: What each action that was tried returned, in states like this one; actions that
            are no choice now count for the mean of all.
        actions: Those to choose among.
        bonus: Where new actions are to be explored: one that was never tried counts as the mean of
            all plus `bonus` / n, n the number of returns. None where they are not: it counts as a
            return of 0, which says neither good nor bad.

    Returns:
        A value an action; all 0 where nothing was tried.
    """
    everything = [value for values in returns.values() for value in values]
    if not everything:
        return np.zeros(len(actions))
    average = float(np.mean(everything))
    untried = 0.0 if bonus is None else average + bonus / len(everything)
    estimated = [float(np.mean(returns[a])) if a in returns else untried for a in actions]
    return np.array(estimated) - average


def improved_logits(logits: Vector, advantage: Vector, kl_weight: float) -> Vector:
    """Return z' = z + A / lambda, whose softmax maximises E[A] - lambda KL(policy || softmax(z)).

    Args:
        logits: z of each action.
        advantage: A of each action.
        kl_weight: Lambda, above 0; infinity leaves the logits as they are.
    """
    return logits + advantage / kl_weight


def improved_policy(logits: Vector, advantage: Vector, kl_weight: float) -> Vector:
    """Return the probability of each action under `improved_logits`."""
    probabilities: Vector = softmax(improved_logits(logits, advantage, kl_weight))
    return probabilities
