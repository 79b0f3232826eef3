"""PPO with several value heads: costs that bind, advantages that add up, restarts to the bit."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_shaping import Reward, RewardScorer
from tests.helpers import difference
from trainers.actors import ActionShape
from trainers.algorithms import Step
from trainers.algorithms.algorithm import Metrics
from trainers.algorithms.cost_control import CostControl, episode_sums
from trainers.algorithms.ppo import Ppo
from trainers.heads import Head, head_rewards, heads_of
from trainers.rollout import Rollout
from trainers.settings import BehaviorSettings

ROWS, EPISODE = 16, 5
HERE = "python:tests.trainers.algorithms.test_several_heads"


def push(action: np.ndarray) -> np.ndarray:
    """What the reward wants more of."""
    return action[:, 0]


def effort(action: np.ndarray) -> np.ndarray:
    """What it costs."""
    squared: np.ndarray = np.square(action[:, 0])
    return squared


EFFORT: dict[str, Any] = {"term": f"{HERE}:effort"}
TERMS = {"push": {"term": f"{HERE}:push", "weight": 1.0}, "haste": {"term": "time", "weight": -0.5}}


def behavior(costs: dict[str, Any] | None = None, *, per_term: bool = False, strength: float = 1.0) -> BehaviorSettings:
    learn = {"buffer_size": 8 * ROWS, "batch_size": 64, "num_epoch": 4, "learning_rate": 1e-2, "beta": 0.0}
    return BehaviorSettings.model_validate(
        {
            "hyperparameters": learn | {"learning_rate_schedule": "constant"},
            "network_settings": {"hidden_units": 8, "num_layers": 1},
            "reward_signals": {"extrinsic": {"gamma": 0.9, "strength": strength}},
            "reward_shaping": {"terms": TERMS, "costs": costs or {}},
            "per_term_critic": per_term,
        }
    )


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two threads wait for each other more than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Bench:
    """Rows whose episodes last five steps, and whose observation is the step: a rollout of eight ends within one."""

    def __init__(self, behavior: BehaviorSettings) -> None:
        assert behavior.reward_shaping is not None
        self.ppo = Ppo(1, ActionShape(1), ROWS, behavior, seed=0, device=torch.device("cpu"))
        self.heads = heads_of(behavior)
        self.scorer = RewardScorer(
            Reward(behavior.reward_shaping, []), ROWS, behavior.reward_signals.extrinsic.strength
        )
        self.scorer.begin({})
        self.time = 0

    def step(self) -> None:
        every = np.ones(ROWS, dtype=bool)
        action = self.ppo.act(self._obs(), every)
        self.time += 1
        done = every & (self.time % EPISODE == 0)
        infos: dict[str, Any] = {}
        rew = self.scorer.score(action, np.zeros(ROWS), done, ~every, infos)
        final = self._obs() if done.any() else None
        self.ppo.observe(Step(rew, done, ~every, self._obs(), final, every, head_rewards(self.heads, rew, infos)))

    def fill(self) -> None:
        while not self.ppo.ready():
            self.step()

    def update(self) -> Metrics:
        self.fill()
        return self.ppo.update(0.0)

    def _obs(self) -> np.ndarray:
        return np.full((ROWS, 1), self.time % EPISODE, dtype=np.float32)


def mean_of(name: str, metrics: list[Metrics]) -> float:
    return float(np.mean([each[name] for each in metrics if name in each]))


@pytest.mark.parametrize(("per", "limit"), [("episode", 1.0), ("step", 0.2)])
def test_a_cost_that_binds_is_brought_to_its_limit(per: str, limit: float) -> None:
    bench = Bench(behavior({"effort": {**EFFORT, "limit": limit, "per": per}}))
    first = [bench.update() for _ in range(110)][-30:]
    assert mean_of(f"cost/effort/per_{per}", first) == pytest.approx(limit, rel=0.15)
    assert mean_of("cost/effort/multiplier", first) > 0.3
    assert mean_of("cost/effort/limit", first) == pytest.approx(limit)
    assert bench.ppo.act_deterministic(np.zeros((1, 1), np.float32))[0, 0] > 0.2  # the reward still counts


def test_the_same_cost_goes_far_beyond_a_limit_that_does_not_bind() -> None:
    bench = Bench(behavior({"effort": {**EFFORT, "limit": 50.0}}))
    last = [bench.update() for _ in range(50)][-10:]
    assert mean_of("cost/effort/per_episode", last) > 2.5
    assert mean_of("cost/effort/multiplier", last) == 0


def test_a_cost_that_may_not_be_at_all_wins_over_the_reward() -> None:
    bench = Bench(behavior({"effort": {**EFFORT, "limit": 0.0, "multiplier": {"kp": 5.0, "ki": 0.5}}}))
    for _ in range(40):
        bench.update()
    assert abs(bench.ppo.act_deterministic(np.zeros((1, 1), np.float32))[0, 0]) < 0.2


def test_the_advantage_is_the_rewards_less_the_multipliers_times_the_costs() -> None:
    costs = {"a": {**EFFORT, "limit": 1.0, "multiplier": {"initial": 0.5}}}
    costs["b"] = {"term": "time", "limit": 4.0, "multiplier": {"initial": 1.5}}
    bench = Bench(behavior(costs, per_term=True))
    bench.fill()
    # (A_push + A_haste - 0.5 A_a - 1.5 A_b) / (1 + 0.5 + 1.5)
    assert bench.ppo.costs.weights().tolist() == pytest.approx([1 / 3, 1 / 3, -0.5 / 3, -1.5 / 3])
    samples = bench.ppo._samples()
    raw = (samples.returns - samples.val) @ torch.tensor([1.0, 1.0, -0.5, -1.5]) / 3.0
    torch.testing.assert_close(samples.adv, (raw - raw.mean()) / raw.std(correction=0), atol=1e-5, rtol=1e-4)


def test_without_costs_every_advantage_counts_once() -> None:
    assert CostControl(heads_of(behavior(per_term=True)), {}, ROWS).weights().tolist() == [1, 1]


def with_values(bench: Bench, split: tuple[float, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages, before they are normalised, and values, where head k's is split[k] times the observation."""
    ppo = bench.ppo
    weight = torch.tensor(split)[:, None]
    ppo.critic = torch.nn.Linear(1, len(split), bias=False)  # type: ignore[assignment]
    ppo.critic.weight.data = weight
    samples = ppo._samples()
    return (samples.returns - samples.val).sum(dim=1), samples.val.sum(dim=1)


@settings(max_examples=20)
@given(st.floats(-3, 3), st.floats(0.0, 4.0))
def test_advantages_of_terms_sum_to_that_of_the_total_where_their_values_do(push: float, strength: float) -> None:
    whole, split = Bench(behavior(strength=strength)), Bench(behavior(strength=strength, per_term=True))
    for bench in (whole, split):
        bench.fill()
    assert torch.equal(whole.ppo.rollout.act, split.ppo.rollout.act)
    one, other = with_values(whole, (2.0,)), with_values(split, (push, 2.0 - push))
    torch.testing.assert_close(other[1], one[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(other[0], one[0], atol=1e-4, rtol=1e-4)


def test_a_critic_per_term_learns_and_tells_who_drives_the_policy() -> None:
    bench = Bench(behavior(per_term=True))
    last = [bench.update() for _ in range(60)][-5:]
    assert bench.ppo.act_deterministic(np.zeros((1, 1), np.float32))[0, 0] > 0.5
    shares = {name: mean_of(f"advantage_share/{name}", last) for name in ("push", "haste")}
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["push"] > 0.6  # haste is paid whatever one does: its advantages are the critic's errors
    assert {"value/explained_variance/push", "value/explained_variance/haste"} <= last[0].keys()


def test_one_head_has_nothing_to_share() -> None:
    assert not any(name.startswith(("advantage_share/", "cost/")) for name in Bench(behavior()).update())


@pytest.mark.parametrize("steps", [0, 3, 6])
def test_a_run_with_costs_is_resumed_to_the_bit_within_a_rollout(steps: int) -> None:
    described = behavior({"effort": {**EFFORT, "limit": 1.0}, "rate": {**EFFORT, "limit": 0.1, "per": "step"}})
    bench, fresh = Bench(described), Bench(described)
    for _ in range(2):
        bench.update()
    for _ in range(steps):
        bench.step()
    fresh.ppo.load_state_dict(copy.deepcopy(bench.ppo.state_dict()))
    fresh.time = bench.time
    for _ in range(2):
        assert difference(bench.update(), fresh.update()) == ""
    assert difference(bench.ppo.state_dict(), fresh.ppo.state_dict()) == ""


def test_a_reset_of_all_rows_forgets_what_the_episodes_under_way_have_cost() -> None:
    bench = Bench(behavior({"effort": {**EFFORT, "limit": 1.0}}))
    bench.update()
    assert bench.ppo.costs.state_dict()["spent"].any()  # eight steps: three of an episode under way
    bench.ppo.abandon_episodes()
    assert not bench.ppo.costs.state_dict()["spent"].any()


def test_with_another_number_of_rows_multipliers_stay_and_episodes_begin_anew() -> None:
    bench = Bench(behavior({"effort": {**EFFORT, "limit": 0.1}}))
    bench.update()
    control = CostControl(bench.heads, bench.ppo.settings.reward_shaping.costs, 3)  # type: ignore[union-attr]
    control.load_state_dict(bench.ppo.costs.state_dict())
    assert control.weights().tolist() == bench.ppo.costs.weights().tolist()
    assert control.state_dict()["spent"].tolist() == [[0], [0], [0]]


def test_episode_sums_are_worked_arithmetic_across_rollouts() -> None:
    cost = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])[..., None]
    done = np.array([[False, True], [True, False], [False, False]])
    ended, spent = episode_sums(cost, done, np.array([[0.5], [5.0]]))
    assert ended.tolist() == [[15.0], [3.5]]
    assert spent.tolist() == [[4.0], [60.0]]


def control_of(per: str, steps: int) -> tuple[CostControl, Rollout]:
    settings = behavior({"effort": {**EFFORT, "limit": 2.0, "per": per, "multiplier": {"kp": 0.0, "ki": 1.0}}})
    assert settings.reward_shaping is not None
    heads: tuple[Head, ...] = heads_of(settings)
    rollout = Rollout(steps, 2, 1, 1, len(heads))
    rollout.valid[:] = True
    return CostControl(heads, settings.reward_shaping.costs, 2), rollout


def test_where_no_episode_ends_a_limit_per_episode_moves_nothing() -> None:
    control, rollout = control_of("episode", 2)
    rollout.rew[..., 1] = 3.0  # in units of the limit
    metrics = control.update(rollout)
    assert metrics == {"cost/effort/per_step": 6, "cost/effort/limit": 2, "cost/effort/multiplier": 0}
    rollout.terminated[1, 0] = 1.0  # the episode began two steps before this rollout
    metrics = control.update(rollout)
    assert metrics["cost/effort/per_episode"] == pytest.approx(4 * 6)
    assert metrics["cost/effort/multiplier"] == pytest.approx(4 * 3 - 1)


def test_a_limit_per_step_counts_the_steps_that_were_reported() -> None:
    control, rollout = control_of("step", 2)
    rollout.rew[:, 0, 1] = 3.0
    rollout.valid[:, 1] = False
    metrics = control.update(rollout)
    assert metrics["cost/effort/per_step"] == 6
    assert metrics["cost/effort/multiplier"] == pytest.approx(2)
