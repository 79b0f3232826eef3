import copy
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pytest
import torch

from tests.helpers import difference
from tests.trainers.enumerable_mdp import THETA, enumerate_episodes, exact_gradient
from trainers.actors import ActionShape
from trainers.algorithms import Step
from trainers.algorithms.reinforce import Reinforce, Variant, credit
from trainers.settings import BehaviorSettings

GAMMA = 0.6


def moments(variant: Variant) -> tuple[torch.Tensor, torch.Tensor]:
    """Exact mean and total variance of the estimate of two episodes, over all pairs of them."""
    every = enumerate_episodes()
    chance, scores, count = every.chance(THETA), every.scores(THETA), len(every.rew[0])
    one, other = torch.meshgrid(torch.arange(count), torch.arange(count), indexing="ij")
    pairs = torch.stack([one.flatten(), other.flatten()], dim=1)
    likely = chance[pairs].prod(dim=1)
    estimates = torch.stack([estimate(every.rew[:, pair], scores[:, pair], variant) for pair in pairs])
    mean = (likely[:, None] * estimates).sum(dim=0)
    return mean, (likely[:, None] * (estimates - mean) ** 2).sum()


def estimate(rew: torch.Tensor, scores: torch.Tensor, variant: Variant) -> torch.Tensor:
    weights = credit(rew, torch.ones_like(rew, dtype=torch.bool), variant, GAMMA)
    return (weights[..., None] * scores).sum(dim=(0, 1)) / rew.shape[1]


def test_the_chances_of_all_episodes_sum_to_1() -> None:
    assert float(enumerate_episodes().chance(THETA).sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("variant", get_args(Variant))
def test_the_estimators_mean_is_the_exact_gradient(variant: Variant) -> None:
    mean, _ = moments(variant)
    exact = exact_gradient(THETA, GAMMA if variant == "discounted" else 1.0)
    torch.testing.assert_close(mean, exact, rtol=0, atol=1e-12)


def test_the_variance_falls_from_variant_to_variant() -> None:
    variances = [float(moments(variant)[1]) for variant in get_args(Variant)]
    assert all(after < 0.9 * before for before, after in pairwise(variances)), variances


def test_credit_is_worked_arithmetic() -> None:
    rew = torch.tensor([[1.0, 2.0], [4.0, 8.0], [16.0, 0.0]])
    running = torch.tensor([[True, True], [True, True], [True, False]])
    assert credit(rew, running, "plain", 0.5).T.tolist() == [[21, 21, 21], [10, 10, 0]]
    assert credit(rew, running, "baseline", 0.5).T.tolist() == [[11, 11, 21], [-11, -11, 0]]
    assert credit(rew, running, "reward_to_go", 0.5).T.tolist() == [[21 - 10, 20 - 8, 16], [10 - 21, 8 - 20, 0]]
    # 1 + 4/2 + 16/4 = 7, 2 + 8/2 = 6; 4 + 16/2 = 12
    assert credit(rew, running, "discounted", 0.5).T.tolist() == [[7 - 6, 12 - 8, 16], [6 - 7, 8 - 12, 0]]


def make(rows: int, num_episodes: int, **hyper: Any) -> Reinforce:
    settings = BehaviorSettings.model_validate(
        {
            "trainer_type": "reinforce",
            "hyperparameters": {"num_episodes": num_episodes, **hyper},
            "network_settings": {"hidden_units": 4, "num_layers": 1},
        }
    )
    return Reinforce(1, ActionShape(1), rows, settings, seed=0, device=torch.device("cpu"))


def play(learner: Reinforce, rew: list[float], done: list[bool], valid: list[bool] | None = None) -> None:
    obs = np.zeros((len(rew), 1), dtype=np.float32)
    ended = np.array(done)
    learner.act(obs, np.ones(len(rew), dtype=bool))
    ok = np.ones(len(rew), dtype=bool) if valid is None else np.array(valid)
    learner.observe(Step(np.array(rew, dtype=np.float32), ended, np.zeros_like(ended), obs, obs, ok))


def test_every_row_plays_as_many_episodes_and_no_step_beyond_them_counts() -> None:
    learner = make(rows=2, num_episodes=3)  # two of each row
    steps = (([1.0, 5.0], [True, False]), ([2.0, 6.0], [True, False]), ([9.0, 7.0], [True, True]))
    for earned, done in steps:
        play(learner, earned, done)
        assert not learner.ready()
    play(learner, [9, 8], [False, True])
    assert learner.ready()
    _, _, rew, running = learner.episodes.padded()
    assert rew.T.tolist() == [[1, 0, 0], [2, 0, 0], [5, 6, 7], [8, 0, 0]]
    assert running.sum(axis=0).tolist() == [1, 1, 3, 1]


def test_an_episode_that_saw_two_policies_is_not_learned_from() -> None:
    learner = make(rows=2, num_episodes=2)
    play(learner, [1, 1], [True, False])
    play(learner, [1, 1], [False, True])  # row 0 is amid its second episode, row 1 begins one
    learner.update(0.0)
    play(learner, [5, 1], [True, False])
    play(learner, [2, 3], [True, True])
    assert learner.ready()
    assert learner.episodes.padded()[2].T.tolist() == [[2, 0], [1, 3]]


def test_steps_without_a_report_are_passed_over() -> None:
    learner = make(rows=1, num_episodes=1)
    play(learner, [1], [False])
    play(learner, [0], [False], [False])
    play(learner, [3], [True])
    assert learner.episodes.padded()[2].T.tolist() == [[1, 3]]


def test_a_restored_learner_makes_the_same_next_update() -> None:
    learner, fresh = make(rows=2, num_episodes=2), make(rows=2, num_episodes=2)
    play(learner, [1, 2], [False, True])
    fresh.load_state_dict(copy.deepcopy(learner.state_dict()))
    for one in (learner, fresh):
        play(one, [4, 2], [True, False])
    assert difference(learner.update(0.0), fresh.update(0.0)) == ""
    assert difference(learner.state_dict(), fresh.state_dict()) == ""


@pytest.mark.parametrize("variant", get_args(Variant))
def test_an_update_makes_rewarded_actions_likelier(variant: Variant) -> None:
    learner = make(rows=32, num_episodes=64, learning_rate=0.05, variant=variant)
    obs, done = np.zeros((32, 1), dtype=np.float32), np.ones(32, dtype=bool)
    for _ in range(30):
        while not learner.ready():
            act = learner.act(obs, done)
            learner.observe(Step(act[:, 0], done, ~done, obs, obs, done))
        learner.update(0.0)
    assert learner.act_deterministic(obs)[0, 0] > 0.2
