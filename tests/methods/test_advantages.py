"""JitRL's mathematics, against hand computation and numerical optimisation."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from compositional.methods.advantages import (
    advantages,
    improved_logits,
    improved_policy,
)


def test_an_advantage_is_a_mean_less_the_mean_of_all() -> None:
    returns = {"a": [1.0, 0.0], "b": [-1.0], "elsewhere": [1.0, 1.0, 1.0]}
    # The mean of all six returns is 3 / 6.
    assert advantages(returns, ["a", "b"]) == pytest.approx([0.0, -1.5])


def test_what_was_never_tried_returns_nothing_or_is_explored() -> None:
    returns = {"a": [1.0, 1.0, -1.0]}
    assert advantages(returns, ["a", "new"]) == pytest.approx([0.0, -1 / 3])
    assert advantages(returns, ["a", "new"], bonus=0.6) == pytest.approx([0.0, 0.2])
    more = {"a": [1.0, 1.0, -1.0] * 10}
    assert advantages(more, ["a", "new"], bonus=0.6) == pytest.approx([0.0, 0.02])


def test_an_empty_memory_and_an_infinite_lambda_change_nothing() -> None:
    logits = np.array([0.3, -2.0, 1.5])
    nothing = advantages({}, ["a", "b", "c"], bonus=1.0)
    assert np.array_equal(nothing, np.zeros(3))
    assert np.array_equal(improved_logits(logits, nothing, 0.1), logits)
    assert np.array_equal(improved_logits(logits, np.array([5.0, -5.0, 1.0]), math.inf), logits)
    far = improved_policy(logits, np.array([5.0, -5.0, 1.0]), 1e9)
    assert far == pytest.approx(softmax(logits), abs=1e-8)


def objective(policy: np.ndarray, base: np.ndarray, advantage: np.ndarray, weight: float) -> float:
    """E[A] - lambda KL(policy || base)."""
    return float(policy @ advantage - weight * policy @ np.log(policy / base))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("weight", [0.2, 1.0, 5.0])
def test_the_closed_form_is_what_optimisation_finds(seed: int, weight: float) -> None:
    rng = np.random.default_rng(seed)
    logits, advantage = rng.normal(size=(2, int(rng.integers(2, 11))))
    base = softmax(logits)
    closed = improved_policy(logits, advantage, weight)
    found = minimize(
        lambda free: -objective(softmax(free), base, advantage, weight),
        np.zeros(len(logits)),
        method="BFGS",
        options={"gtol": 1e-9},
    )
    assert softmax(found.x) == pytest.approx(closed, abs=1e-4)
    # Its value is lambda log E[exp(A / lambda)] under the model's own policy.
    best = objective(closed, base, advantage, weight)
    assert best == pytest.approx(weight * logsumexp(advantage / weight, b=base))
    assert -found.fun == pytest.approx(best, abs=1e-6)
    assert -found.fun <= best + 1e-12
    for _ in range(200):
        other = rng.dirichlet(np.ones(len(logits)))
        assert objective(other, base, advantage, weight) <= best + 1e-12
    nearby = improved_policy(logits, advantage, weight * 1.05)
    assert objective(nearby, base, advantage, weight) < best


def test_a_constant_in_all_advantages_changes_no_policy() -> None:
    logits, advantage = np.array([0.1, 0.7, -0.4]), np.array([1.0, -1.0, 0.0])
    moved = improved_policy(logits, advantage + 3.0, 0.5)
    assert moved == pytest.approx(improved_policy(logits, advantage, 0.5))
