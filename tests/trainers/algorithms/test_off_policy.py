"""What DDPG, TD3 and SAC owe to the loop, and each of their equations by worked arithmetic."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers import difference
from trainers.actors import ActionShape, Decision
from trainers.algorithms import ALGORITHMS, Step
from trainers.algorithms.ddpg import Ddpg
from trainers.algorithms.off_policy import Batch, OffPolicy
from trainers.algorithms.sac import Sac
from trainers.algorithms.td3 import Td3
from trainers.settings import BehaviorSettings

KINDS = ("ddpg", "td3", "sac")
GAMMA = 0.5
ONE = ActionShape(1)


pytestmark = pytest.mark.usefixtures("one_thread")


def make(
    kind: str,
    rows: int = 2,
    normalize: bool = False,
    obs_size: int = 1,
    shape: ActionShape = ONE,
    memory: dict[str, int] | None = None,
    **hyper: Any,
) -> OffPolicy:
    settings = BehaviorSettings.model_validate(
        {
            "trainer_type": kind,
            "hyperparameters": {"batch_size": 8, "buffer_size": 64, "tau": 0.1, "learning_rate": 0.01} | hyper,
            "network_settings": {"hidden_units": 8, "num_layers": 1, "normalize": normalize, "memory": memory},
            "reward_signals": {"extrinsic": {"gamma": GAMMA}},
        }
    )
    algorithm = ALGORITHMS[kind](obs_size, shape, rows, settings, 0, torch.device("cpu"))
    assert isinstance(algorithm, OffPolicy)
    return algorithm


def col(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float32)[:, None]


def flags(*values: bool) -> np.ndarray:
    return np.array(values)


def tick(
    algorithm: OffPolicy,
    obs: np.ndarray,
    next_obs: np.ndarray,
    terminated: np.ndarray | None = None,
    truncated: np.ndarray | None = None,
    final_obs: np.ndarray | None = None,
    valid: np.ndarray | None = None,
    requesting: np.ndarray | None = None,
) -> np.ndarray:
    """Act and observe; the reward is the observation."""
    yes, no = np.ones(len(obs), dtype=bool), np.zeros(len(obs), dtype=bool)
    act: np.ndarray = algorithm.act(obs, yes if requesting is None else requesting)
    ends = (no if terminated is None else terminated, no if truncated is None else truncated)
    algorithm.observe(Step(obs[:, 0], *ends, next_obs, final_obs, yes if valid is None else valid))
    return act


def run(algorithm: OffPolicy, steps: int, seed: int = 0) -> list[np.ndarray]:
    """Random observations; learns when it is ready."""
    rng, acts = np.random.default_rng(seed), []
    obs = rng.normal(size=(2, 1)).astype(np.float32)
    for _ in range(steps):
        next_obs = rng.normal(size=(2, 1)).astype(np.float32)
        done = rng.random(2) < 0.2
        acts.append(tick(algorithm, obs, next_obs, truncated=done, final_obs=next_obs + 1))
        obs = next_obs
        if algorithm.ready():
            algorithm.update(0.0)
    return acts


def all_stored(algorithm: OffPolicy) -> dict[str, list[float]]:
    columns = algorithm.replay.read(np.arange(algorithm.replay.size))
    return {name: column[:, 0].tolist() for name, column in columns.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_transitions_are_stored_with_the_true_last_observation(kind: str) -> None:
    algorithm = make(kind)
    ends = {"terminated": flags(True, False), "truncated": flags(False, True), "final_obs": col(7, 8)}
    first = tick(algorithm, col(1, 2), col(3, 4))
    second = tick(algorithm, col(3, 4), col(5, 6), **ends)
    stored = all_stored(algorithm)
    assert stored["obs"] == [1, 2, 3, 4]
    assert stored["next_obs"] == [3, 4, 7, 8]
    assert stored["terminated"] == [0, 0, 1, 0]
    assert stored["rew"] == [1, 2, 3, 4]
    assert stored["act"] == [*first[:, 0].tolist(), *second[:, 0].tolist()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_late_report_is_stored_with_the_action_that_was_sent(kind: str) -> None:
    algorithm = make(kind)
    sent = tick(algorithm, col(1, 2), col(3, 2), valid=flags(True, False))
    again = tick(algorithm, col(3, 2), col(5, 6), requesting=flags(True, False))
    assert again[1] == sent[1]
    stored = algorithm.replay.read(np.array([1]))
    assert algorithm.replay.size == 3
    assert (float(stored["obs"]), float(stored["next_obs"]), float(stored["act"])) == (2, 6, float(sent[1, 0]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("steps_per_update", "updates"), [(1, 8), (4, 2), (0.5, 16), (3, 2)])
def test_a_gradient_step_is_due_for_so_many_transitions(kind: str, steps_per_update: float, updates: int) -> None:
    algorithm = make(kind, steps_per_update=steps_per_update)
    run(algorithm, steps=4)
    assert algorithm.updates == updates


@pytest.mark.parametrize("kind", KINDS)
def test_actions_are_uniform_until_the_buffer_has_begun_and_nothing_is_learned_before(kind: str) -> None:
    algorithm = make(kind, rows=1000, buffer_size=4000, buffer_init_steps=2000)
    obs = np.zeros((1000, 1), np.float32)
    acts = np.concatenate([tick(algorithm, obs, obs) for _ in range(2)])
    assert acts.min() == pytest.approx(-1, abs=0.01)
    assert acts.max() == pytest.approx(1, abs=0.01)
    assert acts.var() == pytest.approx(1 / 3, rel=0.05)
    assert algorithm.ready()  # the transition that fills it is the first to count
    assert abs(tick(algorithm, obs, obs)).mean() != pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_actions_stay_in_the_box(kind: str) -> None:
    more: dict[str, Any] = {} if kind == "sac" else {"noise": {"std": 5.0}}
    acts = np.concatenate(run(make(kind, **more), steps=30))
    assert np.abs(acts).max() <= 1
    assert len(np.unique(acts)) > 2


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_reports_its_losses_and_clears_what_is_due(kind: str) -> None:
    algorithm = make(kind)
    tick(algorithm, col(1, 2), col(3, 4))
    metrics = algorithm.update(0.0)
    assert {"losses/value_loss", "losses/policy_loss", "value/q_mean", "policy/learning_rate"} <= metrics.keys()
    assert all(math.isfinite(value) for value in metrics.values())
    assert not algorithm.ready()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalize", [True, False])
def test_a_restored_learner_goes_on_to_the_bit(kind: str, normalize: bool) -> None:
    noise: dict[str, Any] = {} if kind == "sac" else {"noise": {"type": "ornstein_uhlenbeck"}}
    one, other = (make(kind, normalize=normalize, buffer_init_steps=10, steps_per_update=3, **noise) for _ in range(2))
    run(one, steps=23)
    run(other, steps=3, seed=5)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert other.load_replay_state(copy.deepcopy(one.replay_state())) == ""
    for algorithm in (one, other):
        run(algorithm, steps=9, seed=1)
    assert difference(one.state_dict(), other.state_dict()) == ""
    assert difference(one.replay_state(), other.replay_state()) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_buffer_that_was_not_saved_begins_empty_and_says_so(kind: str) -> None:
    algorithm = make(kind, save_replay_buffer=False)
    run(algorithm, steps=3)
    assert algorithm.replay_state() is None
    assert "save_replay_buffer" in make(kind).load_replay_state(None)
    assert "another size" in make(kind, buffer_size=32).load_replay_state(make(kind).replay_state())


@pytest.mark.parametrize("kind", KINDS)
def test_what_another_run_starts_from_acts_at_once(kind: str) -> None:
    """Its first actions are the inherited policy's, not random ones."""
    source, heir = make(kind), make(kind, buffer_init_steps=20)
    run(source, steps=5)
    heir.load_state_dict(heir.state_dict() | {key: source.state_dict()[key] for key in source.learned})
    assert difference(heir.actor.state_dict(), source.actor.state_dict()) == ""
    heir.explore = lambda obs: torch.full((len(obs), 1), 0.25)  # type: ignore[method-assign]
    assert tick(heir, col(1, 2), col(3, 4)).tolist() == [[0.25], [0.25]]


@pytest.mark.parametrize("kind", KINDS)
def test_all_networks_see_one_normaliser_that_has_seen_every_transition_once(kind: str) -> None:
    algorithm = make(kind, normalize=True)
    run(algorithm, steps=6)
    obs = np.array(all_stored(algorithm)["obs"])
    normalizer = algorithm.normalizer
    assert normalizer is not None
    assert float(normalizer.count) == 12
    assert float(normalizer.mean) == pytest.approx(obs.mean(), abs=1e-6)
    assert float(normalizer.var) == pytest.approx(obs.var(), rel=1e-5)
    networks = [getattr(algorithm, part) for part in algorithm.parts if "optimizer" not in part]
    seen = [module for network in networks for module in network.modules() if isinstance(module, type(normalizer))]
    assert len(seen) == (4 if kind != "sac" else 3)
    assert all(module is normalizer for module in seen)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_steps_move_learned_and_target_networks(kind: str) -> None:
    algorithm = make(kind)
    networks = {part: getattr(algorithm, part) for part in algorithm.parts if "optimizer" not in part}
    before = {part: copy.deepcopy(network.state_dict()) for part, network in networks.items()}
    run(algorithm, steps=4)
    for part, network in networks.items():
        for name, value in network.state_dict().items():
            assert not torch.equal(value, before[part][name]), (part, name)


class ActionTimes(nn.Module):
    """Q_i(s, a) = w_i a + s."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weights)[:, None])

    def forward(self, obs: Tensor, act: Tensor) -> Tensor:
        value: Tensor = self.weight * act[:, 0] + obs[:, 0]
        return value.unsqueeze(0)


class Constant(nn.Module):
    """mu(s) = a."""

    def __init__(self, act: float) -> None:
        super().__init__()
        self.act = nn.Parameter(torch.tensor(act))

    def action(self, obs: Tensor) -> Tensor:
        return self.act.expand(len(obs), 1)


BATCH = Batch(
    obs=torch.tensor([[1.0], [2.0]]),
    act=torch.tensor([[0.5], [-0.5]]),
    rew=torch.tensor([[10.0, 20.0]]),
    next_obs=torch.tensor([[3.0], [4.0]]),
    terminated=torch.tensor([0.0, 1.0]),
)


def with_networks(algorithm: Any, critic: nn.Module, target_critic: nn.Module, actor: nn.Module | None) -> None:
    """Known networks, moved by plain gradient descent at rate 1."""
    algorithm.critic, algorithm.target_critic = critic, target_critic
    algorithm.critic_optimizer = torch.optim.SGD(critic.parameters(), lr=1.0)
    if actor is not None:
        algorithm.actor, algorithm.target_actor = actor, copy.deepcopy(actor)
        algorithm.actor_optimizer = torch.optim.SGD(actor.parameters(), lr=1.0)


def test_ddpgs_target_bootstraps_through_a_time_limit_and_not_past_the_tasks_end() -> None:
    ddpg = make("ddpg")
    assert isinstance(ddpg, Ddpg)
    with_networks(ddpg, ActionTimes(1.0), ActionTimes(2.0), Constant(0.25))
    # 10 + 0.5 (2 * 0.25 + 3); the second one's task ended
    assert ddpg.target(BATCH, ddpg.target_actor.action(BATCH.next_obs)).tolist() == [[11.75, 20.0]]


def test_a_ddpg_step_is_worked_arithmetic() -> None:
    ddpg: Any = make("ddpg")
    with_networks(ddpg, ActionTimes(1.0), ActionTimes(2.0), Constant(0.25))
    metrics = ddpg.gradient_step(BATCH)
    # errors 11.75 - 1.5 and 20 - 1.5; the critic's gradient is the mean of -2 error a
    errors = (10.25, 18.5)
    assert metrics["losses/value_loss"].item() == pytest.approx((errors[0] ** 2 + errors[1] ** 2) / 2)
    weight = 1.0 + (errors[0] * 0.5 - errors[1] * 0.5)
    assert ddpg.critic.weight.item() == pytest.approx(weight)
    # then the actor, with the new critic: d/da mean(w a + s) = w
    assert metrics["losses/policy_loss"].item() == pytest.approx(-(weight * 0.25 + 1.5))
    assert ddpg.actor.act.item() == pytest.approx(0.25 + weight)
    # then the targets: tau 0.1
    assert ddpg.target_critic.weight.item() == pytest.approx(0.1 * weight + 0.9 * 2.0)
    assert ddpg.target_actor.act.item() == pytest.approx(0.1 * (0.25 + weight) + 0.9 * 0.25)


def test_td3_takes_the_smaller_of_two_targets() -> None:
    td3 = make("td3")
    assert isinstance(td3, Td3)
    with_networks(td3, ActionTimes(1.0, 1.0), ActionTimes(2.0, -4.0), Constant(0.25))
    next_act = torch.tensor([[0.5], [0.5]])
    assert td3.target(BATCH, next_act).tolist() == [[10 + 0.5 * (-4 * 0.5 + 3), 20.0]]


@pytest.mark.parametrize(("noise", "act"), [(0.1, 0.27), (10.0, 0.75), (-10.0, -0.25), (-0.1, 0.23)])
def test_td3_smooths_its_target_with_clipped_noise(noise: float, act: float) -> None:
    td3: Any = make("td3")
    td3.target_actor = Constant(0.25)
    assert float(td3.smoothed_action(torch.zeros(1, 1), torch.tensor([[noise]]))) == pytest.approx(act)


def test_td3s_smoothed_actions_stay_in_the_box() -> None:
    td3: Any = make("td3")
    td3.target_actor = Constant(0.9)
    assert float(td3.smoothed_action(torch.zeros(1, 1), torch.tensor([[10.0]]))) == 1.0


def test_td3_moves_actor_and_targets_in_every_policy_delayth_step() -> None:
    td3: Any = make("td3", policy_delay=3)
    moved = []
    for _ in range(6):
        before = copy.deepcopy([td3.actor.state_dict(), td3.target_critic.state_dict(), td3.critic.state_dict()])
        td3.gradient_step(BATCH)
        td3.updates += 1
        now = [td3.actor.state_dict(), td3.target_critic.state_dict(), td3.critic.state_dict()]
        moved.append([difference(one, other) != "" for one, other in zip(before, now, strict=True)])
    assert moved == [[False, False, True], [False, False, True], [True, True, True]] * 2


def decides(sac: Any, act: Tensor, logp: Tensor) -> None:
    """Let the policy's decision be known; its weights have a part in it, of zero."""
    none = sum(parameter.sum() for parameter in sac.actor.parameters()) * 0.0
    sac.decide = lambda _: Decision(act + none, logp + none, [])


def test_sacs_target_is_soft_and_takes_the_smaller_critic() -> None:
    sac = make("sac")
    assert isinstance(sac, Sac)
    with_networks(sac, ActionTimes(1.0, 1.0), ActionTimes(2.0, -4.0), None)
    decides(sac, torch.tensor([[0.5], [0.5]]), torch.tensor([-3.0, 5.0]))
    target = sac.target(BATCH, BATCH.next_obs, torch.tensor([0.1]))
    assert target[0].tolist() == pytest.approx([10 + 0.5 * (1.0 + 0.1 * 3.0), 20.0])


@pytest.mark.parametrize(("logp", "rises"), [(-5.0, False), (5.0, True)])
def test_the_temperature_rises_where_the_policy_is_too_certain(logp: float, rises: bool) -> None:
    """Eq. 18 by hand: d/d log_alpha = -alpha (logp + H), H = -1 for one action."""
    sac: Any = make("sac", init_entcoef=0.2)
    with_networks(sac, ActionTimes(1.0, 1.0), ActionTimes(2.0, -4.0), None)
    decides(sac, torch.zeros(2, 1), torch.full((2,), logp))
    sac.temperature_optimizer = torch.optim.SGD(sac.temperature.parameters(), lr=0.1)
    metrics = sac.gradient_step(BATCH)
    assert float(metrics["policy/entropy_coef"]) == pytest.approx(0.2)
    assert metrics["policy/entropy"].item() == -logp
    moved = sac.temperature.log_alpha.item() - math.log(0.2)
    assert moved == pytest.approx(0.1 * 0.2 * (logp - 1.0), rel=1e-4)
    assert (moved > 0) is rises


def test_sacs_policy_loss_is_alpha_logp_minus_the_smaller_critic() -> None:
    sac: Any = make("sac", init_entcoef=0.2)
    with_networks(sac, ActionTimes(0.0, 0.0), ActionTimes(0.0, 0.0), None)
    sac.critic_optimizer = torch.optim.SGD(sac.critic.parameters(), lr=0.0)
    sac.critic.weight.data = torch.tensor([[3.0], [2.0]])
    decides(sac, torch.full((2, 1), 0.5), torch.full((2,), -4.0))
    assert sac.gradient_step(BATCH)["losses/policy_loss"].item() == pytest.approx(0.2 * -4.0 - (2 * 0.5 + 1.5))


@pytest.mark.parametrize("kind", KINDS)
def test_rewarded_actions_are_found_in_what_others_did(kind: str) -> None:
    """A bandit that pays a, from uniformly random actions alone."""
    algorithm = make(kind, rows=256, buffer_init_steps=256, buffer_size=256, batch_size=64, steps_per_update=2)
    obs, done = np.zeros((256, 1), np.float32), np.ones(256, dtype=bool)
    act = algorithm.act(obs, done)
    algorithm.observe(Step(act[:, 0], done, ~done, obs, obs, done))
    algorithm.update(0.0)
    assert algorithm.updates == 128
    assert algorithm.act_deterministic(obs)[0, 0] > 0.3
