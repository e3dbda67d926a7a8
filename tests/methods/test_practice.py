"""Learning from rewards: on a bandit, and on the gaps of a document."""

from collections.abc import Callable

import numpy as np
import pytest

from compositional.methods.advantages import advantages, improved_policy
from compositional.methods.experiences import Experiences
from compositional.methods.gaps import choices_at, gaps_of
from compositional.methods.practice import Exercise, Rules, practise, reward_of

STATE = "the same room"
SEEDS = range(12)
NUM_STEPS = 150
TEXT = (
    "Kor Alman built the Marlow mill in 1712. The mill stands at the river Vunda. Bread was baked "
    "there by his daughter Temba. She sold 400 loaves every Sunday in Steadholm."
)
Feedback = Callable[[float], float]
"""What is heard, given what an action was worth."""


def real(seed: int) -> Feedback:
    return lambda reward: reward


def shuffled(seed: int) -> Feedback:
    """Rewards of the same bandit, dealt out at random."""
    deck = list(np.random.default_rng(seed + 100).permutation(bandit(seed, None)[1]))
    return lambda _: float(deck.pop())


def made_up(seed: int) -> Feedback:
    rng = np.random.default_rng(seed + 100)
    return lambda _: float(rng.uniform(-1, 1))


def bandit(seed: int, feedback: Feedback | None) -> tuple[np.ndarray, list[float]]:
    """Play a bandit of 5 to 10 arms; without feedback by the logits alone.

    Returns:
        What each step lost against the best arm, and its reward.
    """
    rng = np.random.default_rng(seed)
    num_arms = 5 + seed % 6
    means = rng.uniform(-1.0, 0.4, size=num_arms)
    means[rng.integers(num_arms)] = 1.0
    logits = rng.normal(size=num_arms)
    arms = [str(arm) for arm in range(num_arms)]
    experiences, lost, rewards = Experiences(), [], []
    for _ in range(NUM_STEPS):
        returns = experiences.returns(experiences.near(STATE, 1, 0.0))
        policy = improved_policy(logits, advantages(returns, arms, bonus=1.0), 0.1)
        arm = int(rng.choice(num_arms, p=policy))
        lost.append(1.0 - means[arm])
        rewards.append(float(means[arm] + rng.normal(scale=0.2)))
        if feedback is not None:
            experiences.add("bandit", STATE, arms[arm], feedback(rewards[-1]))
    return np.array(lost), rewards


def test_regret_falls_with_real_feedback() -> None:
    for seed in SEEDS:
        lost, without = bandit(seed, real(seed))[0], bandit(seed, None)[0]
        assert lost[-50:].mean() < 0.2 * lost[:10].mean()
        assert lost.sum() < 0.5 * without.sum()
        assert without[-50:].mean() > 0.5 * without[:50].mean()


@pytest.mark.parametrize("meaningless", [shuffled, made_up])
def test_feedback_that_means_nothing_gains_nothing(
    meaningless: Callable[[int], Feedback],
) -> None:
    control = np.mean([bandit(seed, meaningless(seed))[0].sum() for seed in SEEDS])
    gained = np.mean([bandit(seed, real(seed))[0].sum() for seed in SEEDS])
    without = np.mean([bandit(seed, None)[0].sum() for seed in SEEDS])
    assert control > 0.8 * without
    assert gained < 0.3 * control


def exercises(seed: int) -> list[Exercise]:
    rng = np.random.default_rng(seed)
    gaps = gaps_of(TEXT, 10)
    choices = choices_at(gaps, 4, rng)
    return [Exercise(g, own, rng.normal(size=4)) for g, own in zip(gaps, choices, strict=True)]


def test_a_reward_is_how_far_an_answer_is_right() -> None:
    assert reward_of("the Kor Alman", "Kor Alman") == 1.0
    assert reward_of("Vunda", "Kor Alman") == -1.0
    assert reward_of("Alman", "Kor Alman") == pytest.approx(2 * 2 / 3 - 1)


def test_practice_makes_better_and_shuffled_rewards_do_not() -> None:
    gained: dict[bool, list[float]] = {False: [], True: []}
    for seed in SEEDS:
        for is_shuffled, gains in gained.items():
            rules = Rules(8, 0.1, 1.0, is_shuffled)
            _, means = practise("a", exercises(seed), rules, np.random.default_rng(seed))
            gains.append(means[-1] - means[0])
    assert min(gained[False]) > 0.5
    assert abs(np.mean(gained[True])) < 0.15


def test_what_was_experienced_is_that_of_every_pass_and_the_same_by_seed() -> None:
    rules = Rules(3, 0.1, 1.0)
    found, means = practise("a", exercises(0), rules, np.random.default_rng(5))
    again, means_again = practise("a", exercises(0), rules, np.random.default_rng(5))
    assert found.by_source == again.by_source
    assert means == means_again
    assert found.num_returns == 3 * len(exercises(0))
    everything = [
        value for actions in found.by_source["a"].values() for r in actions.values() for value in r
    ]
    assert np.mean(everything) == pytest.approx(np.mean(means))
    for exercise in exercises(0):
        for action, values in found.by_source["a"][exercise.gap.state].items():
            assert set(values) == {reward_of(action, exercise.gap.answer)}


def test_shuffling_deals_out_the_rewards_of_a_pass() -> None:
    plain, means = practise("a", exercises(0), Rules(1, 0.1, 1.0), np.random.default_rng(5))
    dealt, same = practise("a", exercises(0), Rules(1, 0.1, 1.0, True), np.random.default_rng(5))
    kept = [
        sorted(v for actions in e.by_source["a"].values() for r in actions.values() for v in r)
        for e in (plain, dealt)
    ]
    assert kept[0] == kept[1]
    assert means == pytest.approx(same)
    assert plain.by_source != dealt.by_source
