"""Prioritised replay against the formulas of Schaul et al. 2016."""

import copy

import numpy as np
import pytest

from trainers.priorities import LEAST_ERROR, PrioritizedReplay, SumTree
from trainers.replay import Replay


def filled(errors: list[float], alpha: float = 0.6, capacity: int = 8) -> PrioritizedReplay:
    """One row whose transitions have these errors."""
    replay = PrioritizedReplay(capacity, 1, {"rew": 1}, seed=0, alpha=alpha)
    for number in range(len(errors)):
        replay.add({"rew": np.array([number])}, np.array([True]), np.array([False]))
    replay.set_errors(np.arange(len(errors)), np.array(errors, dtype=np.float32))
    return replay


@pytest.mark.parametrize("capacity", [1, 2, 5, 8, 100])
def test_a_sum_tree_finds_leaves_by_cumulated_weight(capacity: int) -> None:
    tree, rng = SumTree(capacity), np.random.default_rng(capacity)
    weights = rng.integers(0, 5, capacity).astype(float)
    weights[0] += 1.0
    tree[np.arange(capacity)] = weights
    assert tree.total == weights.sum()
    targets = np.arange(weights.sum())
    expected = np.searchsorted(np.cumsum(weights), targets, side="right")
    np.testing.assert_array_equal(tree.find(targets), expected)


def test_a_leaf_without_weight_is_never_found() -> None:
    tree = SumTree(4)
    tree[np.array([1])] = 0.1
    assert tree.find(np.array([0.0, 0.05, 0.1, 0.2])).tolist() == [1] * 4  # rounding may go a little beyond the total


def test_transitions_are_drawn_as_often_as_their_priority_says() -> None:
    errors = [0.0, 0.5, 1.0, 4.0]
    replay = filled(errors)
    priorities = (np.array(errors) + LEAST_ERROR) ** 0.6  # eq. 1
    drawn = np.bincount(np.concatenate([replay.sample(64) for _ in range(500)]), minlength=4)
    np.testing.assert_allclose(drawn / drawn.sum(), priorities / priorities.sum(), atol=0.005)


def test_importance_weights_are_worked_arithmetic() -> None:
    replay = filled([1.0, 4.0], alpha=0.5)
    share = np.sqrt(np.array([1.0, 4.0]) + LEAST_ERROR)
    odds = 2 * share / share.sum()
    for beta in (0.0, 0.4, 1.0):
        expected = odds**-beta / (odds**-beta).max()
        np.testing.assert_allclose(replay.weights(np.array([0, 1, 1]), beta), expected[[0, 1, 1]], rtol=1e-6)


def test_with_beta_1_the_weighted_mean_is_the_uniform_one() -> None:
    replay = filled([0.1, 1.0, 3.0, 9.0], alpha=0.9)
    indices = np.concatenate([replay.sample(100) for _ in range(400)])
    weights = replay.weights(indices, 1.0)
    assert (weights * indices).sum() / weights.sum() == pytest.approx(np.arange(4).mean(), abs=0.03)


def test_what_is_new_has_the_largest_priority() -> None:
    replay = filled([0.1, 5.0, 0.1], alpha=1.0)
    (index,) = replay.add({"rew": np.array([7])}, np.array([True]), np.array([False]))
    np.testing.assert_allclose(replay.weights(np.array([1, index]), 1.0), [1.0, 1.0])


def test_alpha_0_draws_uniformly() -> None:
    replay = filled([0.0, 1.0, 100.0, 1e4], alpha=0.0)
    drawn = np.bincount(np.concatenate([replay.sample(64) for _ in range(200)]), minlength=4)
    np.testing.assert_allclose(drawn / drawn.sum(), 0.25, atol=0.01)


def test_only_what_is_stored_is_drawn_and_what_is_overwritten_is_new() -> None:
    replay = filled([1.0, 2.0], capacity=5)
    assert set(np.concatenate([replay.sample(50) for _ in range(20)])) == {0, 1}
    full = filled([1.0, 2.0, 3.0], alpha=1.0, capacity=3)
    (index,) = full.add({"rew": np.array([9])}, np.array([True]), np.array([False]))
    assert index == 0
    np.testing.assert_allclose(full.weights(np.array([0, 2]), 1.0), [1.0, 1.0])


def test_a_restored_replay_draws_the_same() -> None:
    replay, fresh = filled([0.3, 2.0, 7.0]), filled([1.0])
    replay.sample(10)
    state = copy.deepcopy(replay.state_dict())
    assert fresh.fits(state)
    fresh.load_state_dict(state)
    for _ in range(3):
        found, expected = fresh.sample(32), replay.sample(32)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(fresh.weights(found, 0.4), replay.weights(expected, 0.4))
        for one in (fresh, replay):
            one.set_errors(found, found.astype(np.float32) + 0.1)
    assert not fresh.fits(Replay(8, 1, {"rew": 1}, seed=0).state_dict())
