"""Potential-based shaping keeps what it promises: the best policy, at ends, cuts and on closed paths."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_shaping import Reward, RewardSettings, Term, Transition
from reward_shaping.terms import TERMS

Array = np.ndarray
GAMMA = 0.95


def shaping(gamma: float = GAMMA, weight: Any = 1.0, **more: Any) -> Reward:
    """F of Phi = weight * flag, whose signal may be any number."""
    term = {"term": "flag", "signal": "phi", "use": "potential", "weight": weight} | more
    return Reward(RewardSettings.model_validate({"terms": {"shaped": term}}), {"phi": 1}, gamma=gamma)


def step(phi: Any, next_phi: Any, *, terminated: Any = False, truncated: Any = False) -> Transition:
    before, after = np.atleast_1d(phi).astype(float), np.atleast_1d(next_phi).astype(float)
    rows = len(before)
    return Transition(
        signals={"phi": before[:, None]},
        next_signals={"phi": after[:, None]},
        action=np.zeros((rows, 1)),
        previous_action=np.zeros((rows, 1)),
        terminated=np.broadcast_to(terminated, rows),
        truncated=np.broadcast_to(truncated, rows),
        env_reward=np.zeros(rows),
    )


def f(reward: Reward, *states: Any, **ends: Any) -> list[float]:
    paid: list[float] = reward(step(*states, **ends))[0].tolist()
    return paid


class RandomMdp:
    """12 states of which the last 2 end the episode, 3 actions; R and P random."""

    def __init__(self, seed: int, states: int = 12, actions: int = 3) -> None:
        rng = np.random.default_rng(seed)
        self.terminal = np.arange(states) >= states - 2
        self.next = rng.dirichlet(np.full(states, 0.3), size=(states, actions))
        self.reward = rng.normal(size=(states, actions, states))
        self.phi = rng.normal(size=states) * 3.0

    def q(self, reward: Array) -> Array:
        """Solve Q = sum_s' P (R + gamma max Q'), with Q = 0 in terminal states, to machine precision."""
        paid, q = (self.next * reward).sum(axis=2), np.zeros(reward.shape[:2])
        for _ in range(800):  # 0.95^800 = 2e-18
            q = paid + GAMMA * self.next @ np.where(self.terminal, 0.0, q.max(axis=1))
        return q[~self.terminal]

    def shaped(self, reward: Reward, *, respect_ends: bool = True) -> Array:
        """R + F for every s, a, s'."""
        states = len(self.phi)
        s, after = (grid.ravel() for grid in np.indices((states, states)))
        ends = self.terminal[after] if respect_ends else False
        paid, _ = reward(step(self.phi[s], self.phi[after], terminated=ends))
        shaped: Array = self.reward + paid.reshape(states, 1, states)
        return shaped


def test_200_random_mdps_keep_their_greedy_policy_and_q_moves_by_phi() -> None:
    """REWARD.md D1, Ng, Harada & Russell 1999: Q' = Q - Phi."""
    reward, kept, worst = shaping(), 0, 0.0
    for seed in range(200):
        mdp = RandomMdp(seed)
        q, shaped = mdp.q(mdp.reward), mdp.q(mdp.shaped(reward))
        kept += bool((q.argmax(axis=1) == shaped.argmax(axis=1)).all())
        worst = max(worst, float(np.abs(shaped + mdp.phi[~mdp.terminal, None] - q).max()))
    assert kept == 200
    assert worst < 3e-12


def test_a_potential_that_is_not_zero_at_the_end_changes_most_policies() -> None:
    """The negative control of D1."""
    reward, changed = shaping(), 0
    for seed in range(200):
        mdp = RandomMdp(seed)
        wrong = mdp.q(mdp.shaped(reward, respect_ends=False))
        changed += bool((mdp.q(mdp.reward).argmax(axis=1) != wrong.argmax(axis=1)).any())
    assert changed > 100


def discounted(rewards: list[float], gamma: float) -> float:
    return float(sum(gamma**t * rew for t, rew in enumerate(rewards)))


def test_a_truncated_episode_keeps_its_potential_and_the_bootstrapped_return_is_exact() -> None:
    """D2: G' = G - Phi(s_0), with bootstrap V' = V - Phi; zeroing Phi at a cut is off by -gamma^T Phi(s_T)."""
    rng = np.random.default_rng(0)
    reward = shaping()
    phi, rew, value = rng.normal(size=31), rng.normal(size=30), rng.normal()
    cut = [f(reward, phi[t], phi[t + 1], truncated=t == 29)[0] for t in range(30)]
    plain = discounted([*rew, value], GAMMA)
    shaped = discounted([*(rew + cut), value - phi[-1]], GAMMA)
    assert shaped == pytest.approx(plain - phi[0], abs=1e-14)
    zeroed = [f(reward, phi[t], phi[t + 1], terminated=t == 29)[0] for t in range(30)]
    bias = discounted([*(rew + zeroed), value - phi[-1]], GAMMA) - shaped
    assert bias == pytest.approx(-(GAMMA**30) * phi[-1], abs=1e-14)


def test_the_textbook_paths_are_ranked_by_discounted_sums_and_not_by_plain_ones() -> None:
    """D3, https://ai.stackexchange.com/questions/10213: two ways to a goal that pays 1; Phi = 100 on the short one."""
    reward = shaping(gamma=0.9)
    short = path_return(reward, phi=[0, 100, 0], rew=[0, 1])
    around = path_return(reward, phi=[0, 0, 0, 0, 0], rew=[0, -1, 0, 1])
    assert [discounted(path, 0.9) for path in (around, short)] == pytest.approx([-0.171, 0.9], abs=1e-12)
    assert [sum(path) for path in (around, short)] == pytest.approx([0, -9], abs=1e-12)


def path_return(reward: Reward, phi: list[float], rew: list[float]) -> list[float]:
    """Shaped rewards along a path that ends in the task's end."""
    last = len(rew) - 1
    return [rew[t] + f(reward, phi[t], phi[t + 1], terminated=t == last)[0] for t in range(len(rew))]


def test_an_ended_episode_returns_what_its_potential_lent() -> None:
    assert f(shaping(), [2.0, 2.0], [3.0, 3.0], terminated=[False, True]) == pytest.approx([GAMMA * 3 - 2, -2])


@given(st.floats(-10, 10), st.floats(-10, 10), st.floats(-10, 10))
def test_an_offset_is_added_to_phi_and_forgotten_at_the_end(offset: float, phi: float, next_phi: float) -> None:
    reward = shaping(offset=offset)
    went_on, ended = f(reward, [phi, phi], [next_phi, next_phi], terminated=[False, True])
    assert went_on == pytest.approx(GAMMA * (next_phi + offset) - (phi + offset))
    assert ended == pytest.approx(-(phi + offset))


def test_a_weight_that_changes_counts_in_a_state_as_it_did_on_arrival() -> None:
    """Devlin & Kudenko 2012: F = gamma Phi(s', t') - Phi(s, t) telescopes whatever the weights do."""
    reward = shaping(weight={"schedule": "linear", "initial": 1.0, "final": 5.0, "end": 4})
    rng = np.random.default_rng(1)
    phi, paid = rng.normal(size=7), []
    for t in range(6):
        paid += f(reward, phi[t], phi[t + 1])
        reward.advance(t + 1, 0.0)
    # the first state was reached with weight 1; what is reached in step t counts with the weight of step t
    weights = [1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0]
    last = GAMMA**6 * weights[6] * phi[6]
    assert discounted(paid, GAMMA) == pytest.approx(last - weights[0] * phi[0], abs=1e-12)


def advice(advised: Array, action: Array) -> Array:
    """Like actions that are near the advised one, (N,)."""
    near: Array = -np.abs(action[:, 0] - advised[:, 0])
    return near


def test_a_potential_may_depend_on_the_action_that_led_to_a_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look-back advice, Wiewiora, Cottrell & Elkan 2003: it telescopes over the actions as they were taken."""
    monkeypatch.setitem(TERMS, "advice", Term(advice, "potential", (-2, 0)))
    settings = {"terms": {"a": {"term": "advice", "signal": "phi", "weight": 1.0}}}
    reward = Reward(RewardSettings.model_validate(settings), {"phi": 1}, gamma=GAMMA)
    rng = np.random.default_rng(2)
    advised, actions = rng.uniform(-1, 1, 6), np.append(0.0, rng.uniform(-1, 1, 5))
    paid = []
    for t in range(5):
        moved = step(advised[t], advised[t + 1])._replace(
            action=actions[t + 1].reshape(1, 1), previous_action=actions[t].reshape(1, 1)
        )
        paid.append(float(reward(moved)[0][0]))
    phi = -np.abs(actions - advised)
    assert discounted(paid, GAMMA) == pytest.approx(GAMMA**5 * phi[5] - phi[0], abs=1e-12)


SIZES = {"finger_force": 2, "joint_pos": 2, "lidar": 8, "goal_cube": 3, "cube_vel": 3}
PARAMETERS = {
    "tolerance": {"bounds": [0.2, 0.4], "margin": 0.3},
    "limits": {"low": [0.0, 0.0], "high": [1.0, 1.0], "margin": 0.2},
}


def closed_loop(name: str, rng: np.random.Generator) -> Array:
    """What a term pays as a potential at gamma = 1 on the steps of a path that ends where it began."""
    term = TERMS[name]
    parameters = PARAMETERS.get(name)
    if parameters is None:
        parameters = {key: 0.1 for key, field in term.parameters.model_fields.items() if field.is_required()}
    use = {"use": "potential"} if term.is_state else {}
    settings = {"terms": {"x": {"term": name, "parameters": parameters, "weight": 1.0, **use}}}
    sizes = {signal: SIZES.get(signal, 1) for signal in term.signals}
    reward = Reward(RewardSettings.model_validate(settings), sizes, gamma=1.0)
    path = {signal: rng.random((20, size)) for signal, size in sizes.items()}
    actions = rng.uniform(-1, 1, (20, 2))
    ends = np.zeros(20, dtype=bool)
    paid, _ = reward(
        Transition(
            {signal: np.roll(value, 1, axis=0) for signal, value in path.items()},
            path,
            actions,
            np.roll(actions, 1, axis=0),
            ends,
            ends,
            np.zeros(20),
        )
    )
    return paid


@pytest.mark.parametrize("name", [name for name, term in TERMS.items() if term.is_state or term.kind == "potential"])
def test_a_closed_path_pays_nothing_whatever_the_potential(name: str) -> None:
    """D7, for every term that may be a potential."""
    assert closed_loop(name, np.random.default_rng(0)).sum() == pytest.approx(0, abs=1e-9)


def clipped_progress(goal_distance_before: Array, goal_distance: Array) -> Array:
    """The farmable loop: paid on the way there, not charged on the way back, (N,)."""
    made: Array = np.maximum(goal_distance_before - goal_distance, 0.0)[:, 0]
    return made


def test_clipped_progress_fails_the_closed_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TERMS, "clipped_progress", Term(clipped_progress, "potential", (0, 1)))
    assert closed_loop("clipped_progress", np.random.default_rng(0)).sum() > 1
