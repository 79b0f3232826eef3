"""DQN against the Bellman optimum, and each of its options against worked arithmetic."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from trainers.actors import ActionShape
from trainers.algorithms import Step
from trainers.algorithms.dqn import Dqn, Experience, n_step
from trainers.replay import Replay
from trainers.settings import BehaviorSettings

GAMMA = 0.8
STATES, GOAL = 5, 4


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


def make_dqn(obs_size: int = STATES, branches: tuple[int, ...] = (2,), rows: int = 1, **hyper: Any) -> Dqn:
    network = {"hidden_units": 32, "num_layers": 1, "dueling": hyper.pop("dueling", False)}
    settings = BehaviorSettings.model_validate(
        {
            "trainer_type": "dqn",
            "hyperparameters": {"batch_size": 32, "buffer_size": 4000, **hyper},
            "network_settings": network,
            "reward_signals": {"extrinsic": {"gamma": GAMMA}},
        }
    )
    return Dqn(obs_size, ActionShape(0, branches), rows, settings, seed=0, device=torch.device("cpu"))


def seen(states: np.ndarray, choices: int = 2) -> np.ndarray:
    """One-hot states; at the left end there is no way to the left."""
    allowed = np.ones((len(states), choices), dtype=np.float32)
    allowed[states == 0, 0] = 0.0
    return np.concatenate((np.eye(STATES, dtype=np.float32)[states], allowed), axis=1)


def bellman_optimum() -> np.ndarray:
    """Value iteration on a chain: right costs 0.1, reaching the goal pays 1 and ends; left pays 0.05."""
    values = np.zeros((STATES, 2))
    values[0, 0] = -np.inf
    for _ in range(200):
        best = values.max(axis=1)
        best[GOAL] = 0.0
        for state in range(GOAL):
            if state > 0:
                values[state, 0] = 0.05 + GAMMA * best[state - 1]
            values[state, 1] = (1.0 if state + 1 == GOAL else -0.1) + GAMMA * best[state + 1]
    return values[:GOAL]


def walk(dqn: Dqn, steps: int, rows: int) -> None:
    """Let it learn on the chain; 20 steps are an episode's limit."""
    states, ages = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
    every = np.ones(rows, dtype=bool)
    for _ in range(steps):
        chosen = dqn.act(seen(states), every)[:, 0]
        assert not ((states == 0) & (chosen == 0)).any()
        after = states + np.where(chosen == 1, 1, -1)
        rew = np.where(after == GOAL, 1.0, np.where(chosen == 1, -0.1, 0.05)).astype(np.float32)
        ages += 1
        terminated, truncated = after == GOAL, (ages == 20) & (after != GOAL)
        done = terminated | truncated
        states, ages = np.where(done, 0, after), np.where(done, 0, ages)
        dqn.observe(Step(rew, terminated, truncated, seen(states), seen(after), every))
        if dqn.ready():
            dqn.update(0.0)


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "square": {"loss": "square"},
    "double": {"double": True},
    "dueling": {"dueling": True},
    "prioritized": {"prioritized": {"beta": 1.0}},
    "soft": {"tau": 0.1, "target_update_interval": 1},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_q_of_a_chain_converges_to_the_bellman_optimum(options: dict[str, Any]) -> None:
    common = {"batch_size": 64, "learning_rate": 1e-2, "target_update_interval": 15, "steps_per_update": 20}
    dqn = make_dqn(rows=16, buffer_init_steps=1000, **(common | options))
    walk(dqn, 560, 16)
    states = np.arange(GOAL)
    with torch.no_grad():
        found = dqn.actor(torch.from_numpy(seen(states))).numpy()
    expected = bellman_optimum()
    known = np.isfinite(expected)
    np.testing.assert_allclose(found[known], expected[known], atol=0.05)
    assert dqn.act_deterministic(seen(states))[:, 0].tolist() == expected.argmax(axis=1).tolist()


def episode(rew: list[float], *, terminated: bool = False, under_way: bool = False) -> Replay:
    """One row's replay, observations numbered from 0."""
    replay = Replay(16, 1, {"obs": 1, "rew": 1, "next_obs": 1, "terminated": 1}, seed=0)
    for number, earned in enumerate(rew):
        last = number + 1 == len(rew)
        columns = {"obs": [number], "rew": [earned], "next_obs": [number + 1], "terminated": [last and terminated]}
        arrays = {name: np.array(values, dtype=np.float32) for name, values in columns.items()}
        replay.add(arrays, np.array([True]), np.array([last and not under_way]))
    return replay


def returns(replay: Replay, n: int, at: list[int]) -> tuple[list[float], list[float], list[float]]:
    indices = np.array(at)
    ret, discount, last = n_step(replay, replay.read(indices), indices, n, 0.5)
    return ret.tolist(), discount.tolist(), last["next_obs"][:, 0].tolist()


def test_n_step_returns_are_worked_arithmetic() -> None:
    replay = episode([1, 2, 4, 8])
    # from 0: 1 + 2/2 + 4/4, then V(s_3) / 8; from 2 only two are left: 4 + 8/2, then V(s_4) / 4
    assert returns(replay, 3, [0, 2, 3]) == ([3.0, 8.0, 8.0], [0.125, 0.25, 0.5], [3.0, 4.0, 4.0])
    assert returns(replay, 1, [0, 3]) == ([1.0, 8.0], [0.5, 0.5], [1.0, 4.0])


def test_nothing_follows_where_the_task_ended_within_n_steps() -> None:
    assert returns(episode([1, 2, 4], terminated=True), 3, [0, 1]) == ([3.0, 4.0], [0.0, 0.0], [3.0, 3.0])
    assert returns(episode([1, 2, 4], terminated=True), 2, [0])[1] == [0.25]


def test_an_episode_under_way_is_summed_as_far_as_it_is_known() -> None:
    assert returns(episode([1, 2], under_way=True), 5, [0]) == ([2.0], [0.25], [2.0])


def test_n_step_returns_do_not_reach_into_the_next_episode() -> None:
    replay = episode([1, 2])
    line = {name: np.array([100.0], dtype=np.float32) for name in ("obs", "rew", "next_obs", "terminated")}
    replay.add(line, np.array([True]), np.array([False]))
    assert returns(replay, 3, [1]) == ([2.0], [0.5], [2.0])


def batch_of(obs: Tensor, ret: float, discount: float, choices: list[float]) -> Experience:
    returns, discounts = torch.tensor([ret]), torch.tensor([discount])
    index = np.zeros(1, dtype=np.int64)
    return Experience(obs, torch.tensor([choices]), returns, discounts, obs, torch.ones(1), index)


def with_values(dqn: Dqn, online: list[float], target: list[float]) -> None:
    """Let Q be known numbers whatever the state."""
    for network, values in ((dqn.actor, online), (dqn.target, target)):
        network.advantage.weight.data.zero_()
        network.advantage.bias.data = torch.tensor(values)


@pytest.mark.parametrize(("double", "y"), [(False, 1 + 0.5 * 9.0), (True, 1 + 0.5 * 4.0)])
def test_the_target_is_worked_arithmetic(double: bool, y: float) -> None:
    dqn = make_dqn(obs_size=1, branches=(3,), double=double)
    with_values(dqn, online=[0.0, 7.0, 3.0], target=[9.0, 4.0, 5.0])
    batch = batch_of(torch.ones(1, 4), 1.0, 0.5, [0.0])
    assert dqn.target_value(batch).tolist() == [y]


def test_a_forbidden_choice_is_no_part_of_the_target() -> None:
    dqn = make_dqn(obs_size=1, branches=(3,))
    with_values(dqn, online=[0.0] * 3, target=[9.0, 4.0, 5.0])
    assert dqn.target_value(batch_of(torch.tensor([[1.0, 0.0, 1.0, 1.0]]), 1.0, 0.5, [1.0])).tolist() == [3.5]


def test_the_target_of_several_branches_is_their_mean() -> None:
    dqn = make_dqn(obs_size=1, branches=(2, 3))
    with_values(dqn, online=[0.0] * 5, target=[1.0, 3.0, 9.0, 4.0, 5.0])
    assert dqn.target_value(batch_of(torch.ones(1, 6), 1.0, 0.5, [0.0, 0.0])).tolist() == [1 + 0.5 * (3 + 9) / 2]


def test_the_huber_loss_clips_the_error_to_1() -> None:
    dqn = make_dqn()
    assert dqn._loss(torch.tensor([0.5, -3.0])).tolist() == [0.125, 2.5]
    assert make_dqn(loss="square")._loss(torch.tensor([0.5, -3.0])).tolist() == [0.125, 4.5]


def test_the_target_network_is_frozen_between_its_updates() -> None:
    dqn = make_dqn(target_update_interval=3, steps_per_update=1)
    same = []
    for _ in range(7):
        walk(dqn, 1, 1)
        same.append(torch.equal(dqn.target.advantage.weight, dqn.actor.advantage.weight))
    assert same == [False, False, True, False, False, True, False]


@pytest.mark.parametrize(("progress", "epsilon"), [(0.0, 1.0), (0.1, 0.55), (0.2, 0.1), (1.0, 0.1)])
def test_epsilon_falls_linearly_and_stays(progress: float, epsilon: float) -> None:
    dqn = make_dqn(exploration_final_eps=0.1)
    dqn._follow(progress)
    assert dqn.epsilon == pytest.approx(epsilon)


def test_beta_rises_to_1_at_the_end_of_training() -> None:
    dqn = make_dqn(prioritized={"beta": 0.4})
    assert dqn.beta == 0.4
    dqn._follow(1.0)
    assert dqn.beta == 1.0


def test_epsilon_is_the_share_of_random_actions() -> None:
    dqn = make_dqn(obs_size=1, branches=(10,), rows=20_000, buffer_size=20_000)
    with_values(dqn, online=[1.0] + [0.0] * 9, target=[0.0] * 10)
    dqn.epsilon = 0.3
    chosen = dqn.act(np.ones((20_000, 11), dtype=np.float32), np.ones(20_000, dtype=bool))
    assert float((chosen == 0).mean()) == pytest.approx(0.7 + 0.3 / 10, abs=0.01)


def test_n_step_and_hindsight_are_not_for_each_other() -> None:
    with pytest.raises(ValueError, match="n_step has to be 1, not 3"):
        make_dqn(n_step=3, hindsight={})
