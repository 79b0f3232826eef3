from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trainers.actors import ActionShape
from trainers.algorithms import Step
from trainers.algorithms.a2c import A2c
from trainers.algorithms.a3c import A3c
from trainers.settings import BehaviorSettings

GAMMA = 0.5
OFF = np.zeros(1, dtype=bool)


class Identity(nn.Module):
    """V(s) = s."""

    def forward(self, obs: Tensor) -> Tensor:
        return obs


def make(kind: type[A2c] = A2c, **hyper: Any) -> A2c:
    settings = BehaviorSettings.model_validate(
        {
            "trainer_type": kind.__name__.lower(),
            "time_horizon": 1000,
            "hyperparameters": {"buffer_size": 3, "max_grad_norm": None, "learning_rate_schedule": "constant"} | hyper,
            "network_settings": {"hidden_units": 4, "num_layers": 1},
            "reward_signals": {"extrinsic": {"gamma": GAMMA}},
        }
    )
    return kind(1, ActionShape(1), 1, settings, seed=0, device=torch.device("cpu"))


def feed(learner: A2c, truncated_at: int | None = None) -> None:
    """Observations 1, 2, 3, 4 with rewards 10, 20, 30; at a time limit the true last observation is 8."""
    for t, rew in enumerate([10.0, 20.0, 30.0]):
        learner.act(np.array([[1.0 + t]], dtype=np.float32), ~OFF)
        cut = np.array([t == truncated_at])
        final = np.array([[8.0]], dtype=np.float32) if cut.any() else None
        obs = np.array([[2.0 + t]], dtype=np.float32)
        learner.observe(Step(np.array([rew], dtype=np.float32), OFF, cut, obs, final, ~OFF))


@pytest.mark.parametrize(
    ("lam", "adv"),
    [
        # lambda 0, the temporal difference r + V(s')/2 - V(s)
        (0.0, [10 + 1 - 1, 20 + 1.5 - 2, 30 + 2 - 3]),
        # lambda 1, Monte Carlo: the discounted sum of what came, and V of where it was cut off
        (1.0, [10 + 10 + 7.5 + 0.5 - 1, 20 + 15 + 1 - 2, 30 + 2 - 3]),
        # between: delta_t + lambda/2 A_(t+1)
        (0.4, [10 + 0.2 * (19.5 + 0.2 * 29), 19.5 + 0.2 * 29, 29]),
    ],
)
def test_the_advantage_between_td_and_monte_carlo_is_worked_arithmetic(lam: float, adv: list[float]) -> None:
    learner = make(lambd=lam)
    learner.critic = Identity()  # type: ignore[assignment]  # values that are known
    feed(learner)
    assert learner._batch().adv.tolist() == pytest.approx(adv)


def test_a_time_limit_bootstraps_from_the_true_last_observation() -> None:
    learner = make(lambd=0.0)
    learner.critic = Identity()  # type: ignore[assignment]  # values that are known
    feed(learner, truncated_at=1)
    assert learner._batch().adv.tolist() == [10.0, 20 + 0.5 * 8 - 2, 29.0]


def test_the_loss_is_the_one_of_the_notes() -> None:
    learner = make(beta=0.1, value_coefficient=0.7, lambd=0.0)
    feed(learner)
    samples = learner._batch()
    loss, parts = learner._loss(samples, 0.1)
    logp_of, entropy = learner.actor.log_prob_and_entropy(samples.obs, samples.act)
    logp, val = logp_of.tolist(), learner.critic(samples.obs)
    policy = -sum(a * lp for a, lp in zip(samples.adv.tolist(), logp, strict=True)) / 3
    value = float((samples.returns - val).square().sum()) / 3
    assert loss.item() == pytest.approx(policy + 0.7 * value - 0.1 * entropy.item(), rel=1e-5)
    assert parts["losses/policy_loss"].item() == pytest.approx(policy, rel=1e-5)


def test_an_update_is_one_step_of_rmsprop() -> None:
    learner = make(learning_rate=0.01, rms_decay=0.9, rms_epsilon=1e-5)
    before = [parameter.detach().clone() for parameter in learner.parameters]
    feed(learner)
    learner.update(0.0)
    for old, new in zip(before, learner.parameters, strict=True):
        assert new.grad is not None
        expected = old - 0.01 * new.grad / ((0.1 * new.grad**2).sqrt() + 1e-5)
        torch.testing.assert_close(new.detach(), expected)
    assert not learner.ready()


def test_one_worker_of_a3c_takes_the_papers_step_of_the_global_networks() -> None:
    learner = make(A3c, learning_rate=0.01, rms_decay=0.9, rms_epsilon=0.1, num_workers=2)
    assert isinstance(learner, A3c)
    before = [parameter.detach().clone() for parameter in learner.parameters]
    feed(learner)
    learner.update(0.0)
    for old, new in zip(before, learner.parameters, strict=True):
        assert new.grad is not None
        torch.testing.assert_close(new.detach(), old - 0.01 * new.grad / (0.1 * new.grad**2 + 0.1).sqrt())
    assert learner.shared.step == 3
    for own, shared in zip(learner.actor.parameters(), learner.shared.actor.parameters(), strict=True):
        assert torch.equal(own, shared)
        assert own.data_ptr() != shared.data_ptr()
