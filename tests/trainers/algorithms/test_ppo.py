import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers import difference
from trainers.actors import ActionShape, GaussianActor
from trainers.algorithms import Step
from trainers.algorithms.actor_critic import explained_variance
from trainers.algorithms.ppo import (
    Ppo,
    adapted_penalty,
    adapted_rate,
    clipped_policy_loss,
    clipped_value_loss,
    penalized_policy_loss,
)
from trainers.settings import BehaviorSettings

GAMMA, LAM = 0.5, 0.8


def settings(**hyper: Any) -> BehaviorSettings:
    return BehaviorSettings.model_validate(
        {
            "time_horizon": hyper.pop("time_horizon", 1000),
            "max_steps": 1000,
            "hyperparameters": {"buffer_size": 4, "batch_size": 4, "num_epoch": 1, "lambd": LAM} | hyper,
            "network_settings": {"hidden_units": 4, "num_layers": 1, "normalize": hyper.pop("normalize", False)},
            "reward_signals": {"extrinsic": {"gamma": GAMMA}},
        }
    )


class Identity(nn.Module):
    """V(s) = s for one-number observations."""

    def forward(self, obs: Tensor) -> Tensor:
        return obs


def make_ppo(rows: int = 1, **hyper: Any) -> Ppo:
    return Ppo(1, ActionShape(1), rows, settings(**hyper), seed=0, device=torch.device("cpu"))


def col(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float32)[:, None]


def feed(
    ppo: Ppo,
    obs: list[float],
    rew: list[float],
    terminated: dict[int, float] | None = None,
    truncated: dict[int, float] | None = None,
    invalid: tuple[int, ...] = (),
) -> None:
    """One row's rollout; terminated and truncated map a step to its true last observation."""
    ends = (terminated or {}) | (truncated or {})
    for t, earned in enumerate(rew):
        ppo.act(col(obs[t]), np.array([t - 1 not in invalid]))
        ppo.observe(
            Step(
                np.array([earned], dtype=np.float32),
                np.array([t in (terminated or {})]),
                np.array([t in (truncated or {})]),
                col(obs[t + 1]),
                col(ends[t]) if t in ends else None,
                np.array([t not in invalid]),
            )
        )


def returns_of(ppo: Ppo) -> list[float]:
    """A + V of each sample, with V(s) = s."""
    ppo.critic = Identity()  # type: ignore[assignment]  # a critic whose values are known
    return [round(value, 5) for value in ppo._samples()[4][:, 0].tolist()]


@pytest.mark.parametrize(
    ("ratio", "adv", "loss"),
    [
        (1.5, 2.0, -1.2 * 2.0),  # good action, already likelier: no more credit than 1 + eps
        (0.5, 2.0, -0.5 * 2.0),  # good action, less likely: full slope back
        (0.5, -2.0, 0.8 * 2.0),  # bad action, already less likely: no more credit than 1 - eps
        (1.5, -2.0, 1.5 * 2.0),  # bad action, likelier: full slope back
        (1.1, 2.0, -1.1 * 2.0),
        (0.9, -2.0, 0.9 * 2.0),
    ],
)
def test_clipped_loss_in_every_case(ratio: float, adv: float, loss: float) -> None:
    old = torch.tensor([-1.3], dtype=torch.float64)
    new = old + math.log(ratio)
    assert float(clipped_policy_loss(new, old, torch.tensor([adv]).double(), 0.2)) == pytest.approx(loss)


@pytest.mark.parametrize(
    ("ratio", "adv", "moves"), [(1.5, 2.0, False), (0.5, 2.0, True), (0.5, -2.0, False), (1.5, -2.0, True)]
)
def test_clipping_stops_the_gradient_only_where_it_would_overshoot(ratio: float, adv: float, moves: bool) -> None:
    new = torch.tensor([math.log(ratio)], requires_grad=True)
    clipped_policy_loss(new, torch.zeros(1), torch.tensor([adv]), 0.2).backward()  # type: ignore[no-untyped-call]
    assert new.grad is not None
    assert bool(new.grad != 0) is moves


def test_clipped_loss_is_the_mean_over_samples() -> None:
    new, old = torch.log(torch.tensor([1.5, 0.5])), torch.zeros(2)
    assert float(clipped_policy_loss(new, old, torch.tensor([2.0, -2.0]), 0.2)) == pytest.approx((-2.4 + 1.6) / 2)


def test_explained_variance_is_1_for_perfect_values_and_0_for_a_constant() -> None:
    returns = torch.tensor([1.0, 2.0, 3.0, 6.0])
    assert explained_variance(returns, returns) == 1.0
    assert explained_variance(torch.full((4,), 9.0), returns) == 0.0
    assert explained_variance(-returns, returns) == pytest.approx(1 - 4)


def test_explained_variance_of_constant_returns_is_nan() -> None:
    assert math.isnan(explained_variance(torch.tensor([1.0, 2.0]), torch.ones(2)))


def test_returns_of_an_unbroken_rollout_are_worked_arithmetic() -> None:
    ppo = make_ppo(buffer_size=2, batch_size=2)
    feed(ppo, obs=[1, 2, 4], rew=[10, 20])
    # delta_1 = 20 + 0.5*4 - 2 = 20; delta_0 = 10 + 0.5*2 - 1 = 10; A_0 = 10 + 0.4*20 = 18
    assert returns_of(ppo) == [19.0, 22.0]


def test_a_truncated_step_is_worth_the_true_final_observation() -> None:
    ppo = make_ppo(buffer_size=3, batch_size=3)
    feed(ppo, obs=[1, 2, 100, 4], rew=[10, 20, 30], truncated={1: 6.0})
    # step 1: 20 + 0.5*V(6) = 23, not 20 + 0.5*V(100); step 0: delta 10 + 1 - 1, trace 0.4 * (23 - 2)
    # step 2: 30 + 0.5*4
    assert returns_of(ppo) == [19.4, 23.0, 32.0]


def test_a_terminated_step_is_worth_its_reward_alone() -> None:
    ppo = make_ppo(buffer_size=3, batch_size=3)
    feed(ppo, obs=[1, 2, 100, 4], rew=[10, 20, 30], terminated={1: 6.0})
    assert returns_of(ppo) == [1 + 10 + 0.4 * 18, 20.0, 32.0]


def test_time_horizon_cuts_the_trace_but_not_the_value() -> None:
    ppo = make_ppo(buffer_size=3, batch_size=3, time_horizon=2)
    feed(ppo, obs=[1, 2, 3, 4], rew=[10, 20, 30])
    # step 1 is the last of its trace: 20 + 0.5*3; step 0: 10 + 1 + 0.4*(21.5 - 2); step 2: 30 + 0.5*4
    assert returns_of(ppo) == [11 + 0.4 * 19.5, 21.5, 32.0]


def test_each_row_gets_its_own_final_observation() -> None:
    ppo = make_ppo(rows=2, buffer_size=2, batch_size=2)
    ppo.act(col(1, 1), np.array([True, True]))
    both = Step(
        np.array([10, 20], dtype=np.float32),
        np.array([False, True]),
        np.array([True, False]),
        col(50, 60),
        col(6, 7),
        np.array([True, True]),
    )
    ppo.observe(both)
    assert returns_of(ppo) == [10 + 0.5 * 6, 20.0]


def test_rows_that_reported_nothing_are_no_samples() -> None:
    ppo = make_ppo()
    feed(ppo, obs=[1, 2, 2, 3, 4], rew=[1, 0, 1, 1], invalid=(1,))
    assert {len(part) for part in ppo._samples()} == {3}


def test_a_step_without_a_report_does_not_count_as_time() -> None:
    waited, prompt = make_ppo(), make_ppo(buffer_size=3, batch_size=3)
    feed(waited, obs=[1, 2, 2, 3, 4], rew=[10, 0, 20, 30], invalid=(1,))
    feed(prompt, obs=[1, 2, 3, 4], rew=[10, 20, 30])
    assert returns_of(waited) == returns_of(prompt)


def test_a_late_report_is_credited_to_the_action_that_was_sent() -> None:
    ppo = make_ppo(buffer_size=2, batch_size=2)
    feed(ppo, obs=[1, 1, 2], rew=[0, 5], invalid=(0,))  # asked at step 0, answered at step 1
    sent = ppo.rollout.act[0].clone()
    _, act, *_ = ppo._samples()
    assert act.tolist() == sent.tolist()


def test_advantages_are_normalised() -> None:
    ppo = make_ppo()
    feed(ppo, obs=[1, 2, 3, 4, 5], rew=[1, -2, 3, 7])
    adv = ppo._samples()[3]
    assert float(adv.mean()) == pytest.approx(0, abs=1e-6)
    assert float(adv.std(correction=0)) == pytest.approx(1, abs=1e-5)


def test_an_update_makes_rewarded_actions_likelier() -> None:
    ppo = make_ppo(rows=1, buffer_size=64, batch_size=64, learning_rate=1e-2, num_epoch=4, beta=0.0)
    obs = np.zeros((1, 1), dtype=np.float32)
    for _ in range(30):
        while not ppo.ready():
            done = np.array([True])
            act = ppo.act(obs, done)
            ppo.observe(Step(act[:, 0], done, ~done, obs, obs, done))
        ppo.update(0.0)
    assert ppo.act_deterministic(obs)[0, 0] > 0.3


@pytest.mark.parametrize(
    ("progress", "lr", "clip", "beta"), [(0.0, 1e-3, 0.3, 1e-2), (1.0, 1e-10, 0.1, 1e-5), (3.0, 1e-10, 0.1, 1e-5)]
)
def test_linear_schedules_reach_ml_agents_floors(progress: float, lr: float, clip: float, beta: float) -> None:
    ppo = make_ppo(learning_rate=1e-3, epsilon=0.3, beta=1e-2)
    feed(ppo, obs=[1, 2, 3, 4, 5], rew=[1, 2, 3, 4])
    metrics = ppo.update(progress)
    assert metrics["policy/learning_rate"] == pytest.approx(lr)
    assert metrics["policy/clip_range"] == pytest.approx(clip)
    assert metrics["policy/entropy_coef"] == pytest.approx(beta)


def test_actions_sent_are_clamped_but_those_learned_from_are_not() -> None:
    ppo = make_ppo(rows=1)
    assert isinstance(ppo.actor, GaussianActor)
    ppo.actor.log_std.data.fill_(3.0)
    sent, kept = [], []
    for _ in range(4):
        sent.append(ppo.act(col(0), np.array([True]))[0, 0])
        kept.append(float(ppo.rollout.act[ppo.rollout.length, 0, 0]))
        none = np.array([False])
        ppo.observe(Step(np.zeros(1, np.float32), none, none, col(0), None, ~none))
    assert max(abs(a) for a in kept) > 3
    np.testing.assert_allclose(sent, np.clip(kept, -3, 3) / 3, rtol=1e-6)


def test_the_gradient_is_clipped_to_its_norm() -> None:
    free, bound = make_ppo(max_grad_norm=None), make_ppo(max_grad_norm=1e-9)
    for ppo in (free, bound):
        feed(ppo, obs=[1, 2, 3, 4, 5], rew=[1, 2, 3, 400])
        ppo.update(0.0)
    norms = [math.sqrt(sum(float(p.grad.square().sum()) for p in ppo.parameters if p.grad is not None))
             for ppo in (free, bound)]  # fmt: skip
    assert norms[0] > 1
    assert norms[1] <= 1.001e-9


def test_the_first_pass_over_fresh_samples_has_ratio_1() -> None:
    ppo = make_ppo()
    feed(ppo, obs=[1, 2, 3, 4, 5], rew=[1, 2, 3, 4])
    metrics = ppo.update(0.0)
    assert metrics["policy/kl"] == pytest.approx(0, abs=1e-6)
    assert metrics["policy/clip_fraction"] == 0
    assert metrics["losses/policy_loss"] == pytest.approx(0, abs=1e-6)  # normalised advantages average to 0


def test_a_restored_learner_makes_the_same_next_update() -> None:
    ppo, fresh = make_ppo(num_epoch=3, batch_size=2), make_ppo(num_epoch=3, batch_size=2)
    feed(ppo, obs=[1, 2, 3, 4, 5], rew=[1, 2, 3, 4])
    ppo.update(0.0)
    fresh.load_state_dict(copy.deepcopy(ppo.state_dict()))
    for learner in (ppo, fresh):
        feed(learner, obs=[5, 4, 3, 2, 1], rew=[1, -2, 3, 4], truncated={2: 7.0})
    assert difference(ppo.update(0.5), fresh.update(0.5)) == ""
    assert difference(ppo.state_dict(), fresh.state_dict()) == ""


def test_an_update_with_a_single_sample_keeps_the_weights_finite() -> None:
    ppo = make_ppo(buffer_size=1, batch_size=1)
    feed(ppo, obs=[1, 2], rew=[1])
    metrics = ppo.update(0.0)
    assert math.isfinite(metrics["losses/policy_loss"])
    assert all(parameter.isfinite().all() for parameter in ppo.parameters)


def test_after_a_reset_of_all_rows_the_rollout_begins_anew() -> None:
    ppo = make_ppo()
    feed(ppo, [5.0, 6.0, 7.0, 8.0], [1.0, 1.0, 1.0], truncated={1: 9.0})
    ppo.abandon_episodes()
    feed(ppo, [0.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0])
    assert ppo.ready()
    assert ppo.rollout.obs[:, 0, 0].tolist() == [0.0] * 5
    assert ppo.rollout.final_obs == []


def test_the_penalized_loss_is_worked_arithmetic() -> None:
    old = torch.zeros(2, dtype=torch.float64)
    new = torch.log(torch.tensor([1.5, 0.5]).double())
    divergence = ((1.5 - 1 - math.log(1.5)) + (0.5 - 1 - math.log(0.5))) / 2
    loss = penalized_policy_loss(new, old, torch.tensor([2.0, -2.0]).double(), 3.0)
    assert float(loss) == pytest.approx(3.0 * divergence - (1.5 * 2 - 0.5 * 2) / 2)


@pytest.mark.parametrize(
    ("kl", "after"), [(0.0066, 1.0), (0.0067, 2.0), (0.01, 2.0), (0.0149, 2.0), (0.0151, 4.0), (1.0, 4.0)]
)
def test_the_penalty_halves_below_and_doubles_above_its_band(kl: float, after: float) -> None:
    assert adapted_penalty(2.0, kl, target=0.01) == after


@pytest.mark.parametrize(
    ("rate", "kl", "after"),
    [
        (1e-3, 0.021, 1e-3 / 1.5),
        (1e-3, 0.019, 1e-3),
        (1e-3, 0.0051, 1e-3),
        (1e-3, 0.0049, 1.5e-3),
        (1e-3, 0.0, 1e-3),  # the first step of an update: nothing has been seen yet
        (1.2e-5, 1.0, 1e-5),
        (9e-3, 0.001, 1e-2),
    ],
)
def test_the_learning_rate_follows_the_divergence_between_its_bounds(rate: float, kl: float, after: float) -> None:
    assert adapted_rate(rate, kl, target=0.01) == pytest.approx(after)


@pytest.mark.parametrize(
    ("val", "loss"),
    [
        (3.0, 0.9**2 * 1.0),  # 0.1 from the return of 3, had it not been clipped to 2.1
        (2.05, 0.95**2),
        (0.0, 9.0),  # clipped to 1.9, which is nearer: the larger error counts
    ],
)
def test_the_clipped_value_loss_is_the_larger_one(val: float, loss: float) -> None:
    one = torch.tensor([[val]]).double()
    found = clipped_value_loss(one, torch.tensor([[2.0]]).double(), torch.tensor([[3.0]]).double(), 0.1)
    assert float(found) == pytest.approx(loss)


def practise(ppo: Ppo, updates: int) -> list[dict[str, float]]:
    """Updates on a task of one step, whose reward is the action."""
    rows = len(ppo._last_act)
    obs, done = np.zeros((rows, 1), dtype=np.float32), np.ones(rows, dtype=bool)
    found = []
    for _ in range(updates):
        while not ppo.ready():
            act = ppo.act(obs, done)
            ppo.observe(Step(act[:, 0], done, ~done, obs, obs, done))
        found.append(ppo.update(0.0))
    return found


def test_the_penalty_keeps_the_divergence_near_its_target() -> None:
    about = {"buffer_size": 256, "batch_size": 64, "num_epoch": 4, "learning_rate": 0.02, "beta": 0.0}
    target = 0.02
    kept = practise(make_ppo(rows=64, objective="kl", kl_target=target, learning_rate_schedule="constant", **about), 24)
    free = practise(
        make_ppo(rows=64, objective="kl", kl_coefficient=0.0, learning_rate_schedule="constant", **about), 9
    )
    settled = [update["policy/kl"] for update in kept[12:]]
    assert target / 3 < sum(settled) / len(settled) < 2 * target
    assert max(update["policy/kl"] for update in free) > 4 * target
    assert kept[-1]["policy/kl_coef"] != 1.0
    assert {update["policy/kl_coef"] for update in free} == {0.0}


def test_an_adaptive_learning_rate_moves_and_is_restored() -> None:
    about = {"learning_rate_schedule": "adaptive", "num_epoch": 4, "batch_size": 16, "buffer_size": 64}
    ppo, fresh = make_ppo(rows=16, **about), make_ppo(rows=16, **about)
    rates = [update["policy/learning_rate"] for update in practise(ppo, 4)]
    assert len(set(rates)) > 1
    fresh.load_state_dict(copy.deepcopy(ppo.state_dict()))
    assert difference(practise(ppo, 2), practise(fresh, 2)) == ""


def test_schedules_that_follow_an_adaptive_learning_rate_are_constant() -> None:
    hyper: Any = settings(learning_rate_schedule="adaptive").hyperparameters
    assert (hyper.beta_schedule, hyper.epsilon_schedule) == ("constant", "constant")
