import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers import difference
from trainers.actors import ActionShape
from trainers.intrinsic import IntrinsicReward, Transitions
from trainers.intrinsic.curiosity import BETA, Curiosity
from trainers.intrinsic.rnd import Rnd
from trainers.intrinsic.scale import ReturnScale
from trainers.settings import BehaviorSettings, NetworkSettings

SMALL = NetworkSettings(hidden_units=32, num_layers=1)
CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("one_thread")


def make(name: str, rows: int = 4, seed: int = 0, **more: Any) -> IntrinsicReward:
    signal = {"network_settings": {"hidden_units": 32, "num_layers": 1}, "learning_rate": 1e-3} | more
    settings = BehaviorSettings.model_validate({"reward_signals": {name: signal}}).reward_signals.intrinsic[name]
    torch.manual_seed(seed)
    return IntrinsicReward(name, 2, ActionShape(2), rows, settings, seed, CPU)


def walk(seed: int, around: float = 0.0, steps: int = 32, rows: int = 4) -> Transitions:
    """A rollout (T, N, 2) of s' = s + a / 2, near a place."""
    rng = torch.Generator().manual_seed(seed)
    obs = around + 0.3 * torch.randn(steps, rows, 2, generator=rng)
    act = 2.0 * torch.rand(steps, rows, 2, generator=rng) - 1.0
    return Transitions(obs, act, obs + 0.5 * act)


def flat(rollout: Transitions) -> Transitions:
    return Transitions(*(part.flatten(0, 1) for part in rollout))


def everywhere(rollout: Transitions) -> Tensor:
    return torch.ones(rollout.obs.shape[:2], dtype=torch.bool)


def test_a_scaled_reward_is_worked_arithmetic() -> None:
    scale = ReturnScale(rows=1, gamma=0.5)
    rew = torch.tensor([[4.0], [2.0], [100.0], [6.0]])
    scaled = scale(rew, torch.tensor([[True], [True], [False], [True]]))
    sums = np.array([4.0, 2.0 + 2.0, 6.0 + 2.0])  # the step without a transition does not count
    np.testing.assert_allclose(scaled[:, 0], np.array([4.0, 2.0, 0.0, 6.0]) / sums.std(), rtol=1e-6)
    assert scale.running.tolist() == [8.0]


def test_the_scale_goes_on_from_rollout_to_rollout() -> None:
    whole, halves = ReturnScale(2, 0.9), ReturnScale(2, 0.9)
    rew = torch.rand(10, 2, generator=torch.Generator().manual_seed(0))
    valid = torch.ones(10, 2, dtype=torch.bool)
    whole(rew, valid)
    halves(rew[:5], valid[:5])
    halves(rew[5:], valid[5:])
    assert halves.running.tolist() == whole.running.tolist()
    torch.testing.assert_close(halves.statistics.var, whole.statistics.var)


def test_rnd_rewards_the_predictors_squared_error_in_the_next_state() -> None:
    torch.manual_seed(0)
    rnd, rollout = Rnd(2, ActionShape(2), SMALL), walk(0)
    rnd.normalizer.update(rollout.next_obs.flatten(0, 1))
    x = (rollout.next_obs - rnd.normalizer.mean) / torch.sqrt(rnd.normalizer.var + 1e-8)
    expected = (rnd.predictor(x.clamp(-5, 5)) - rnd.target(x.clamp(-5, 5))).square().sum(-1)
    torch.testing.assert_close(rnd.reward(rollout), expected)
    assert rnd.losses(rollout)["rnd"].item() == pytest.approx(expected.mean().item())
    moved = rollout._replace(obs=rollout.obs + 1, act=-rollout.act)
    assert torch.equal(rnd.reward(moved), rnd.reward(rollout))


def test_rnds_target_stays_random() -> None:
    signal, rollout = make("rnd"), walk(0)
    before = copy.deepcopy(signal.model.target.state_dict())  # type: ignore[union-attr]  # an Rnd
    signal.update(flat(rollout), batch_size=32, num_epoch=3)
    assert difference(before, signal.model.target.state_dict()) == ""  # type: ignore[union-attr]


def test_curiosity_rewards_half_the_squared_error_of_the_predicted_features() -> None:
    torch.manual_seed(0)
    icm, rollout = Curiosity(2, ActionShape(2), SMALL), walk(0)
    now, after = icm.phi(rollout.obs), icm.phi(rollout.next_obs)  # the fresh normaliser changes nothing here
    predicted = icm.forward_model(torch.cat((now, rollout.act), dim=-1))
    expected = 0.5 * (predicted - after).square().sum(-1)
    torch.testing.assert_close(icm.reward(rollout), expected)
    losses = icm.losses(rollout)
    assert losses["curiosity_forward"].item() == pytest.approx(BETA * expected.mean().item(), rel=1e-5)
    wrong = (icm.predict_action(rollout) - rollout.act).square().sum(-1).mean()
    assert losses["curiosity_inverse"].item() == pytest.approx((1 - BETA) * wrong.item(), rel=1e-5)


@pytest.mark.parametrize("name", ["rnd", "curiosity"])
def test_novelty_falls_where_the_agent_has_been_and_stays_high_elsewhere(name: str) -> None:
    signal = make(name, learning_rate=5e-3)
    here, there = walk(1), walk(2, around=3.0)
    signal.reward(here, everywhere(here))
    with torch.no_grad():
        new = float(signal.model.reward(here).mean())
    for seed in range(10, 60):
        signal.update(flat(walk(seed)), batch_size=64, num_epoch=2)
    with torch.no_grad():
        known, still_new = (float(signal.model.reward(part).mean()) for part in (here, there))
    assert known < 0.1 * new
    assert still_new > 10 * known


def test_icms_inverse_model_learns_the_action_of_a_small_deterministic_system() -> None:
    signal, unseen = make("curiosity"), walk(99)
    signal.reward(unseen, everywhere(unseen))
    assert isinstance(signal.model, Curiosity)
    for seed in range(60):
        signal.update(flat(walk(seed)), batch_size=64, num_epoch=2)
    error = (signal.model.predict_action(unseen) - unseen.act).square().mean()
    assert error.item() < 0.02 * unseen.act.square().mean().item()


def test_the_inverse_models_loss_of_choices_is_their_negative_log_likelihood() -> None:
    torch.manual_seed(0)
    shape = ActionShape(1, (2, 3))
    icm, obs = Curiosity(2, shape, SMALL), torch.randn(6, 2)
    act = torch.tensor([[0.9, 1.0, 2.0]] * 6)
    transitions = Transitions(obs, shape.encode(act), obs + 1)
    predicted = icm.predict_action(transitions)
    expected = (predicted[:, 0] - 0.3).square()
    for logits, choice in ((predicted[:, 1:3], 1), (predicted[:, 3:], 2)):
        expected = expected + torch.nn.functional.cross_entropy(logits, torch.full((6,), choice), reduction="none")
    found = icm.losses(transitions)["curiosity_inverse"]
    assert found.item() == pytest.approx((1 - BETA) * expected.mean().item(), rel=1e-5)


@pytest.mark.parametrize("name", ["rnd", "curiosity"])
def test_a_restored_signal_makes_the_same_next_rewards_and_update(name: str) -> None:
    signal, fresh = make(name), make(name, seed=7)

    def go_on(one: IntrinsicReward, seed: int) -> Any:
        rollout = walk(seed)
        return one.reward(rollout, everywhere(rollout)), one.update(flat(rollout), batch_size=50, num_epoch=2)

    go_on(signal, 0)
    fresh.load_state_dict(copy.deepcopy(signal.state_dict()))
    assert difference(go_on(signal, 1), go_on(fresh, 1)) == ""
    assert difference(signal.state_dict(), fresh.state_dict()) == ""


def test_a_signal_may_go_on_with_another_number_of_rows() -> None:
    signal, wider = make("rnd", rows=4), make("rnd", rows=6)
    rollout = walk(0)
    signal.reward(rollout, everywhere(rollout))
    wider.load_state_dict(signal.state_dict())
    assert isinstance(wider.scale, ReturnScale)
    assert wider.scale.running.tolist() == [0.0] * 6


@pytest.mark.parametrize("name", ["rnd", "curiosity"])
def test_rewards_do_not_depend_on_the_scale_of_the_observations(name: str) -> None:
    rewards = []
    for factor in (1.0, 1000.0):
        rollout = walk(0)
        scaled = rollout._replace(obs=factor * rollout.obs, next_obs=factor * rollout.next_obs)
        rewards.append(make(name).reward(scaled, everywhere(scaled)))
    torch.testing.assert_close(rewards[0], rewards[1], rtol=1e-3, atol=1e-4)
