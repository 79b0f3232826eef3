"""The discriminator, and what it pays."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers import difference
from trainers.actors import ActionShape
from trainers.heads import heads_of
from trainers.imitation.demonstrations import Shown
from trainers.imitation.gail import BETA_STEP, CODE_NATS, Gail
from trainers.intrinsic import IntrinsicReward, RolloutRewards, Transitions
from trainers.rollout import Rollout
from trainers.settings import BehaviorSettings

CPU = torch.device("cpu")
KINDS = [{}, {"use_actions": True}, {"use_actions": True, "use_vail": True}]


pytestmark = pytest.mark.usefixtures("one_thread")


def make(seed: int = 0, **more: Any) -> tuple[IntrinsicReward, Gail]:
    signal = {"demo_path": "a.demo", "network_settings": {"hidden_units": 32, "num_layers": 1}, "learning_rate": 1e-2}
    settings = BehaviorSettings.model_validate({"reward_signals": {"gail": signal | more}}).reward_signals.intrinsic
    torch.manual_seed(seed)
    reward = IntrinsicReward("gail", 2, ActionShape(2), 4, settings["gail"], seed, CPU)
    assert isinstance(reward.model, Gail)
    return reward, reward.model


def acting(seed: int, sign: float, around: float = 0.0, steps: int = 128) -> Transitions:
    """A rollout (T, 4, 2) of a = (s + sign) / 2 with noise, near a place."""
    rng = torch.Generator().manual_seed(seed)
    obs = around + torch.randn(steps, 4, 2, generator=rng)
    act = (0.5 * (obs + sign) + 0.05 * torch.randn(steps, 4, 2, generator=rng)).clamp(-1, 1)
    return Transitions(obs, act, obs)


def flat(rollout: Transitions) -> Transitions:
    return Transitions(*(part.flatten(0, 1) for part in rollout))


def shown_by(rollout: Transitions) -> Shown:
    return Shown(*flat(rollout)[:2])


def learn(reward: IntrinsicReward, policy: Transitions, times: int = 15) -> None:
    valid = torch.ones(policy.obs.shape[:2], dtype=torch.bool)
    for _ in range(times):
        reward.reward(policy, valid)
        reward.update(flat(policy), batch_size=256, num_epoch=2)


def estimate(model: Gail, rollout: Transitions) -> float:
    """The mean of D."""
    with torch.no_grad():
        return float(1.0 - torch.exp(-model.reward(rollout)).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_the_discriminator_tells_what_was_shown_from_what_the_policy_does(kind: dict[str, bool]) -> None:
    reward, model = make(**kind)
    model.show(shown_by(acting(0, 1.0)), CPU)
    policy = acting(1, -1.0) if kind.get("use_actions") else acting(1, 1.0, around=2.0)
    unseen = acting(2, 1.0)
    learn(reward, policy)
    assert estimate(model, policy) < 0.4
    assert estimate(model, unseen) > 0.6


def test_without_actions_only_what_was_seen_counts() -> None:
    _, model = make()
    here = acting(0, 1.0)
    assert torch.equal(model.reward(here), model.reward(here._replace(act=-here.act)))


def test_the_reward_of_what_was_shown_falls_to_log_2_where_the_policy_does_the_same() -> None:
    reward, model = make(use_actions=True)
    shown = acting(0, 1.0)
    model.show(shown_by(shown), CPU)
    learn(reward, acting(1, -1.0))
    with torch.no_grad():
        apart = float(model.reward(shown).mean())
    learn(reward, acting(2, 1.0), times=25)
    with torch.no_grad():
        alike = float(model.reward(shown).mean())
    assert apart > 1.5
    assert alike == pytest.approx(math.log(2.0), abs=0.1)


class Identity(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def test_loss_reward_and_penalty_are_those_of_the_equations() -> None:
    _, model = make()
    model.shown = Shown(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2))  # a fresh normaliser changes nothing
    model.encoder, model.estimate = Identity(), torch.nn.Linear(2, 1)  # type: ignore[assignment]  # D = sigma(w x)
    w = torch.tensor([0.6, -0.8])
    with torch.no_grad():
        model.estimate.weight.copy_(w[None])
        model.estimate.bias.zero_()
    policy = Transitions(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2), torch.zeros(1, 2))
    d = 1.0 / (1.0 + math.exp(1.0))  # w x = 0.6 - 1.6
    losses = model.losses(policy)
    assert model.reward(policy).item() == pytest.approx(-math.log(1 - d), rel=1e-5)
    assert losses["gail"].item() == pytest.approx(-math.log(d) - math.log(1 - d), rel=1e-5)
    assert losses["gail_gradient"].item() == pytest.approx(10 * (d * (1 - d) * 1.0 - 1) ** 2, rel=1e-4)  # |w| = 1


def test_the_code_is_charged_for_what_it_tells_beyond_its_bound() -> None:
    _, model = make(use_vail=True)
    code = torch.zeros(3, 128)
    code[:, :2] = 2.0  # KL of N(2, 1) twice: 2 * 4 / 2 nats
    assert model._code_loss(code).item() == 0.0  # beta was 0
    assert model.beta.item() == pytest.approx(BETA_STEP * (4.0 - CODE_NATS))
    assert model._code_loss(0 * code).item() == pytest.approx(BETA_STEP * (4.0 - CODE_NATS) * -CODE_NATS)
    for _ in range(10):
        model._code_loss(0 * code)
    assert model.beta.item() == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_discriminator_makes_the_same_next_rewards_and_update(kind: dict[str, bool]) -> None:
    (reward, model), (fresh, other) = make(**kind), make(seed=7, **kind)
    model.show(shown_by(acting(0, 1.0)), CPU)
    other.show(shown_by(acting(0, 1.0)), CPU)
    learn(reward, acting(1, -1.0), times=2)
    fresh.load_state_dict(copy.deepcopy(reward.state_dict()))
    for one in (reward, fresh):
        learn(one, acting(2, -1.0), times=2)
    assert difference(reward.state_dict(), fresh.state_dict()) == ""


def test_its_return_ends_with_the_episode_and_may_be_undiscounted() -> None:
    signals = {"extrinsic": {}, "rnd": {}, "gail": {"demo_path": "a.demo", "gamma": 1.0, "strength": 0.5}}
    heads = heads_of(BehaviorSettings.model_validate({"reward_signals": signals}))
    assert [head.label for head in heads] == ["extrinsic", "intrinsic/rnd", "intrinsic/gail"]
    assert [head.episodic for head in heads] == [True, False, True]
    assert (heads[2].gamma, heads[2].scale) == (1.0, 0.5)


def test_choices_are_told_apart_by_their_one_hot_actions() -> None:
    behavior = BehaviorSettings.model_validate(
        {"reward_signals": {"gail": {"demo_path": "a.demo", "use_actions": True, "learning_rate": 1e-2}}}
    )
    shape = ActionShape(0, (3,))
    torch.manual_seed(0)
    rewards = RolloutRewards(heads_of(behavior), behavior, 2, shape, 4, 0, CPU)
    seen = torch.randn(256, 2, generator=torch.Generator().manual_seed(1))
    rewards.show({"a.demo": Shown(seen, torch.full((256, 1), 2.0))})
    rollout = Rollout(32, 4, 2 + 3, 1, len(heads_of(behavior)))
    rollout.length, rollout.valid[:] = 32, True
    rollout.obs[..., :2] = torch.randn(33, 4, 2, generator=torch.Generator().manual_seed(2))
    rollout.act[:16], rollout.act[16:] = 2.0, 0.0  # the shown choice first, then another
    for _ in range(20):
        rewards.pay(rollout, 64, 2)
    paid = rollout.rew.sum(dim=-1)
    assert paid[:16].mean() > 2.0 * paid[16:].mean()
