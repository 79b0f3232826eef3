"""Intrinsic rewards of learners from a replay buffer: told anew at every sampling, each with a Q of its own."""

import copy
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers import difference
from tests.trainers.algorithms.test_off_policy import ActionTimes, Constant, col, flags, run, tick
from trainers.action_value import least
from trainers.actors import ActionShape, Decision
from trainers.algorithms import ALGORITHMS, Step
from trainers.algorithms.off_policy import Batch, OffPolicy
from trainers.imitation.demonstrations import Shown
from trainers.intrinsic import IntrinsicReward, Transitions
from trainers.observation import Observation, Sensor
from trainers.settings import BehaviorSettings

SMALL = {"network_settings": {"hidden_units": 8, "num_layers": 1}}
GAIL = {"demo_path": "a.demo", "use_actions": True, **SMALL}
NOVEL: dict[str, dict[str, Any]] = {"rnd": {"strength": 0.25, "gamma": 0.9, **SMALL}, "curiosity": {**SMALL}}


pytestmark = pytest.mark.usefixtures("one_thread")


def make(kind: str, signals: dict[str, Any], rows: int = 2, more: dict[str, Any] | None = None, **hyper: Any) -> Any:
    settings = BehaviorSettings.model_validate(
        {
            "trainer_type": kind,
            "hyperparameters": {"batch_size": 8, "buffer_size": 64, "tau": 0.1, "learning_rate": 0.01} | hyper,
            "network_settings": {"hidden_units": 8, "num_layers": 1},
            "reward_signals": {"extrinsic": {"gamma": 0.5}} | signals,
        }
        | (more or {})
    )
    learner = ALGORITHMS[kind](1, ActionShape(1), rows, settings, 0, torch.device("cpu"))
    assert isinstance(learner, OffPolicy)
    return learner


def stored(learner: OffPolicy) -> dict[str, Tensor]:
    return learner.replay.read(np.arange(learner.replay.size))


@pytest.mark.parametrize("kind", ["ddpg", "td3", "sac"])
def test_a_batch_holds_the_tasks_reward_and_strength_times_what_the_models_of_now_pay(kind: str) -> None:
    learner = make(kind, NOVEL)
    run(learner, steps=6)
    for _ in range(2):  # before and after the models have learned more
        (batch,) = learner.draw_batches(1)
        transitions = Transitions(batch.obs, batch.act, batch.next_obs)
        novelty = learner.intrinsic.signals
        assert torch.equal(batch.rew[0], batch.obs[:, 0])  # the reward is the observation
        torch.testing.assert_close(batch.rew[1], 1.0 * novelty["curiosity"].reward_again(transitions))
        torch.testing.assert_close(batch.rew[2], 0.25 * novelty["rnd"].reward_again(transitions))
        run(learner, steps=3, seed=1)
    assert [head.label for head in learner.heads] == ["extrinsic", "intrinsic/curiosity", "intrinsic/rnd"]


def test_what_is_stored_is_not_what_was_new_when_it_was_stored() -> None:
    learner = make("sac", {"rnd": {"learning_rate": 0.05, **SMALL}})
    run(learner, steps=8)
    columns, model = stored(learner), learner.intrinsic.signals["rnd"].model
    before = learner.intrinsic.all_paid(columns)[:, 1].mean()
    for _ in range(100):
        learner.intrinsic.signals["rnd"].update(learner.intrinsic._transitions(columns), 16, 1)
    assert learner.intrinsic.all_paid(columns)[:, 1].mean() < 0.2 * before
    assert "rew" not in {name for name, _ in model.named_buffers()}
    assert columns["rew"].shape == (16, 1)


def test_statistics_are_those_of_the_same_steps_lived_through_as_a_rollout() -> None:
    learner = make("td3", NOVEL, steps_per_update=1000)
    twin: IntrinsicReward = make("td3", NOVEL).intrinsic.signals["rnd"]
    run(learner, steps=10)
    columns = {name: column.reshape(10, 2, -1) for name, column in stored(learner).items()}
    for t in range(10):
        step = Transitions(*(columns[name][t : t + 1] for name in Transitions._fields))
        twin.reward(step, torch.ones(1, 2, dtype=torch.bool))
    mine = learner.intrinsic.signals["rnd"]
    assert difference(mine.scale.state_dict(), twin.scale.state_dict()) == ""
    assert difference(mine.model.normalizer.state_dict(), twin.model.normalizer.state_dict()) == ""


@pytest.mark.parametrize(
    ("given", "steps"), [({}, 8), ({"reward_signal_steps_per_update": 4}, 4), ({"reward_signal_num_update": 0.5}, 32)]
)
def test_the_models_take_a_step_for_so_many_transitions(given: dict[str, Any], steps: int) -> None:
    learner = make("sac", NOVEL, steps_per_update=2, **given)
    with mock.patch.object(IntrinsicReward, "_descend", side_effect=lambda batch: {"rnd": batch.obs.sum()}) as descend:
        run(learner, steps=8)
    sizes = [len(call.args[0].obs) for call in descend.call_args_list]
    assert sizes == [8] * steps * len(NOVEL)


def test_statistics_begin_at_once_and_learning_with_the_policys() -> None:
    learner = make("sac", NOVEL, buffer_init_steps=7)
    signal = learner.intrinsic.signals["rnd"]
    for _ in range(3):
        tick(learner, col(1, 2), col(3, 4))
    assert (learner.intrinsic._owed, float(signal.model.normalizer.count)) == (0.0, 6.0)
    tick(learner, col(1, 2), col(3, 4))
    assert learner.intrinsic._owed == 2.0


def test_a_scale_of_sums_that_are_all_alike_is_1() -> None:
    learner = make("sac", NOVEL, rows=1)
    tick(learner, col(1), col(3))
    signal = learner.intrinsic.signals["rnd"]
    transitions = learner.intrinsic._transitions(stored(learner))
    assert torch.equal(signal.reward_again(transitions), signal.model.reward(transitions))


BATCH = Batch(
    obs=torch.tensor([[1.0], [2.0]]),
    act=torch.tensor([[0.5], [-0.5]]),
    rew=torch.tensor([[10.0, 20.0], [1.0, 2.0], [3.0, 4.0]]),
    next_obs=torch.tensor([[3.0], [4.0]]),
    terminated=torch.tensor([0.0, 1.0]),
)


class ThreeHeads(ActionTimes):
    """Q_k = w_k a + s of every head and one network."""

    def forward(self, obs: Tensor, act: Tensor) -> Tensor:
        return super().forward(obs, act)[0].unsqueeze(1)


def with_three_heads(kind: str, **hyper: Any) -> Any:
    """The task's, novelty, and what was shown; target values are 2 a + s, 4 a + s, 8 a + s."""
    learner = make(kind, {"rnd": {"gamma": 0.75, **SMALL}, "gail": {"gamma": 0.25, **GAIL}}, **hyper)
    learner.critic, learner.target_critic = ThreeHeads(1.0, 1.0, 1.0), ThreeHeads(2.0, 4.0, 8.0)
    learner.critic_optimizer = torch.optim.SGD(learner.critic.parameters(), lr=1.0)
    return learner


def test_every_head_has_its_discount_and_only_novelty_survives_the_tasks_end() -> None:
    ddpg = with_three_heads("ddpg")
    target = ddpg.target(BATCH, torch.tensor([[0.25], [0.25]]))
    assert target.tolist() == [
        [10 + 0.5 * 3.5, 20.0],
        [1 + 0.75 * 4.0, 2 + 0.75 * 5.0],
        [3 + 0.25 * 5.0, 4.0],
    ]


def test_the_range_of_rewards_bounds_the_tasks_own_alone() -> None:
    ddpg = with_three_heads("ddpg", reward_range=[-1.0, 0.0])
    target = ddpg.target(BATCH, torch.tensor([[0.25], [0.25]]))
    assert target[0].tolist() == [0.0, 0.0]
    assert target[1:].min() > 0.0


def test_the_actor_climbs_the_sum_of_all_heads() -> None:
    ddpg = with_three_heads("ddpg")
    ddpg.actor, ddpg.target_actor = Constant(0.25), Constant(0.25)
    ddpg.actor_optimizer = torch.optim.SGD(ddpg.actor.parameters(), lr=1.0)
    metrics = ddpg.improve_actor(BATCH)
    assert metrics["losses/policy_loss"].item() == pytest.approx(-(3 * 0.25 + 3 * 1.5))
    assert ddpg.actor.act.item() == pytest.approx(0.25 + 3.0)


def known(sac: Any, act: Tensor, logp: float) -> Any:
    """Let the policy's decision be known."""
    sac.decide = lambda _: Decision(act, torch.full((2,), logp), [])
    return sac


def test_the_entropy_is_paid_once_into_the_tasks_head() -> None:
    sac = with_three_heads("sac")
    act = torch.tensor([[0.25], [0.25]])
    zero, some = (known(sac, act, logp).target(BATCH, BATCH.next_obs, torch.tensor([0.1])) for logp in (0.0, -3.0))
    torch.testing.assert_close(some - zero, torch.tensor([[0.5 * 0.3, 0.0], [0.0, 0.0], [0.0, 0.0]]))


def test_the_critic_whose_heads_come_to_less_together_tells_them_all() -> None:
    values = torch.tensor([[[1.0, 5.0], [2.0, 3.0]], [[9.0, 1.0], [2.0, 4.0]]])  # (K, I, B)
    assert least(values).tolist() == [[2.0, 5.0], [2.0, 1.0]]
    one = torch.randn(1, 2, 7)
    assert torch.equal(least(one), one.amin(dim=1))


@pytest.mark.parametrize("kind", ["ddpg", "td3", "sac"])
def test_a_restored_learner_of_novelty_goes_on_to_the_bit(kind: str) -> None:
    one, other = (make(kind, NOVEL, steps_per_update=3, reward_signal_steps_per_update=5) for _ in range(2))
    run(one, steps=13)
    run(other, steps=3, seed=5)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert other.load_replay_state(copy.deepcopy(one.replay_state())) == ""
    for learner in (one, other):
        run(learner, steps=9, seed=1)
    assert difference(one.state_dict(), other.state_dict()) == ""
    assert difference(one.replay_state(), other.replay_state()) == ""


@pytest.mark.parametrize("kind", ["ddpg", "td3", "sac"])
def test_a_signal_of_strength_0_changes_no_bit_of_the_rest_but_is_logged(kind: str) -> None:
    plain, probed = make(kind, {}), make(kind, {name: {**of, "strength": 0.0} for name, of in NOVEL.items()})
    for learner in (plain, probed):
        run(learner, steps=10)
    for part in (*plain.parts, "generator", "heads", "updates"):
        assert difference(plain.state_dict()[part], probed.state_dict()[part]) == "", part
    assert difference(plain.replay_state(), probed.replay_state()) == ""
    tick(probed, col(1, 2), col(3, 4))
    assert {"intrinsic/rnd", "losses/rnd", "intrinsic/curiosity"} <= probed.update(0.0).keys()


def bandit(learner: OffPolicy, updates: int) -> float:
    """Episodes of one step, without a reward; returns where the policy ends up."""
    obs, done = np.zeros((learner.replay.rows, 1), np.float32), np.ones(learner.replay.rows, dtype=bool)
    while learner.updates < updates:
        learner.act(obs, done)
        learner.observe(Step(0 * obs[:, 0], done, ~done, obs, obs, done))
        if learner.ready():
            learner.update(0.0)
    return float(learner.act_deterministic(obs)[0, 0])


def test_of_all_that_was_done_what_was_shown_is_paid_most() -> None:
    """Uniformly random actions against demonstrations of 0."""
    gail = {**GAIL, "learning_rate": 0.01, "network_settings": {"hidden_units": 32, "num_layers": 1}}
    learner = make("sac", {"gail": gail}, rows=256, buffer_size=2560, batch_size=64, steps_per_update=8)
    act = 0.05 * torch.randn(256, 1, generator=torch.Generator().manual_seed(0))
    learner.show({"a.demo": Shown(torch.zeros(256, 1), act)})
    learner.random_action = lambda obs: 2.0 * torch.rand(len(obs), 1) - 1.0
    learner.explore = learner.random_action
    obs, done = np.zeros((256, 1), np.float32), np.ones(256, dtype=bool)
    for _ in range(10):
        learner.act(obs, done)
        learner.observe(Step(obs[:, 0], done, ~done, obs, obs, done))
    assert {"intrinsic/gail", "losses/gail", "losses/gail_gradient"} <= learner.intrinsic.learn(learner.replay).keys()
    everything = torch.linspace(-1.0, 1.0, 41)[:, None]
    columns = dict.fromkeys(("obs", "rew", "next_obs"), torch.zeros_like(everything)) | {"act": everything}
    paid = learner.intrinsic.all_paid(columns)[:, 1]
    assert float(everything[paid.argmax()]) == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("kind", ["ddpg", "td3", "sac"])
def test_cloning_draws_the_policy_to_what_was_shown_by_a_minibatch_per_gradient_step(kind: str) -> None:
    cloning = {"behavioral_cloning": {"demo_path": "a.demo", "strength": 3.0}}
    learner = make(kind, {"extrinsic": {"strength": 0.0}}, rows=8, more=cloning, steps_per_update=4)
    learner.show({"a.demo": Shown(torch.zeros(100, 1), torch.full((100, 1), -0.7))})
    with mock.patch.object(learner.cloning, "_descend", wraps=learner.cloning._descend) as descend:
        assert bandit(learner, updates=150) == pytest.approx(-0.7, abs=0.15)
    assert [len(call.args[0]) for call in descend.call_args_list] == [8] * learner.updates


def test_ends_and_gaps_are_no_transitions_of_the_models() -> None:
    learner = make("sac", NOVEL)
    tick(learner, col(1, 2), col(3, 4), truncated=flags(True, False), final_obs=col(7, 0), valid=flags(True, False))
    (transitions,) = [learner.intrinsic._transitions(stored(learner))]
    assert (transitions.obs.tolist(), transitions.next_obs.tolist()) == ([[1.0]], [[7.0]])
    assert float(learner.intrinsic.signals["rnd"].model.normalizer.mean) == 7.0
    assert float(learner.intrinsic.signals["rnd"].scale.running[1]) == 0.0


def test_numbers_choices_memory_signals_and_novelty_go_together() -> None:
    memory = {"memory": {"memory_size": 8, "sequence_length": 4}, "hidden_units": 8, "normalize": True}
    settings = BehaviorSettings.model_validate(
        {
            "trainer_type": "sac",
            "hyperparameters": {"batch_size": 8, "buffer_size": 64},
            "network_settings": memory,
            "reward_signals": {"extrinsic": {}} | NOVEL,
        }
    )
    seen, shape = Observation((Sensor("observation", (2,)),), signals=3), ActionShape(1, (2, 3))
    sac = ALGORITHMS["sac"](seen, shape, 2, settings, 0, torch.device("cpu"))
    assert isinstance(sac, OffPolicy)
    rng, yes = np.random.default_rng(0), flags(True, True)
    rows = np.ones((2, 2 + 3 + 5), np.float32)
    for t in range(12):
        sac.act(rows, yes)
        rows = np.concatenate((rng.normal(size=(2, 5)), np.ones((2, 5))), axis=1, dtype=np.float32)
        ends = yes if t % 5 == 4 else ~yes
        sac.observe(Step(np.ones(2, np.float32), ends, ~yes, rows, rows if ends.any() else None, yes))
    (batch,) = sac.draw_batches(1)
    assert batch.rew.shape == (3, len(batch.act))
    assert (batch.rew[0] == 1.0).all()
    assert (batch.rew[1:] > 0.0).all()
    metrics = sac.update(0.0)
    assert np.isfinite(list(metrics.values())).all()
    assert {"value/q_mean/extrinsic", "value/q_mean/intrinsic/rnd", "policy/entropy/branch_1"} <= metrics.keys()
    normalizer = sac.critic.normalizer
    assert normalizer is not None
    assert (float(normalizer.count), len(normalizer.mean)) == (24.0, 5)
