"""Relabelled minibatches: the new goal was reached later in the same episode; all that follows from it is new."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reward_shaping import Goal, Reward, RewardScorer, RewardSettings
from tests.helpers import BEHAVIOR, cli, make_rows, write_config
from trainers.hindsight import Hindsight
from trainers.hyperparameters import HindsightSettings
from trainers.replay import Replay
from unity_env.sim.role import roles_of

Array = np.ndarray
TERMS: dict[str, dict[str, Any]] = {
    "arm_reach": {
        "away": {"term": "sparse_goal", "parameters": {"tolerance": 0.02}, "weight": 1.0},
        "phi": {"term": "reach", "parameters": {"std": 0.3}, "use": "potential", "weight": 2.0},
        "calm": {"term": "action_rate", "weight": -0.1},
        "judged": {"term": "success", "weight": 9.0, "probe": True},
    },
    "mobile_goal": {
        "phi": {"term": "goal_progress", "parameters": {"start_distance": 4.0}, "weight": 2.0},
        "ahead": {"term": "approach_speed", "parameters": {"max_velocity": 1.0}, "weight": 0.1},
        "collision": {"term": "collision", "weight": -10.0},
    },
}
ROWS, STEPS, SCALE = 4, 130, 2.0


class Filled:
    """A replay of random actions in a task, and what relabels it; the last column numbers the transitions."""

    def __init__(self, task: str, strategy: str = "future", goals: int = 4) -> None:
        (role,) = roles_of(task)
        self.goal = Goal.model_validate(role.task.goal)
        self.observed = role.layouts["observation"].slices
        sizes = {part.name: part.size for part in role.sensors["signals"]}
        self.reward = Reward(RewardSettings.model_validate({"terms": TERMS[task]}), sizes, gamma=0.9)
        self.scorer = RewardScorer(self.reward, ROWS, SCALE, self.goal.signals)
        settings = HindsightSettings.model_validate({"strategy": strategy, "goals": goals})
        self.hindsight = Hindsight(self.goal, self.scorer, self.observed, settings, role.command_size)
        self.episodes: list[tuple[int, int]] = []  # (row, episode) of each transition
        self._record(task, role.layouts["observation"].size, role.command_size)

    def _record(self, task: str, obs_size: int, action_size: int) -> None:
        own = {"obs": obs_size, "act": action_size, "rew": 1, "next_obs": obs_size, "terminated": 1, "number": 1}
        self.replay = Replay(ROWS * STEPS, ROWS, own, 0).with_columns(self.hindsight.sizes)
        env, rng = make_rows(task, ROWS), np.random.default_rng(0)
        obs, infos = env.reset(seed=1)
        self.scorer.begin(infos)
        episode = np.zeros(ROWS, dtype=int)
        for _ in range(STEPS):
            act = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
            next_obs, env_rew, terminated, truncated, infos = env.step(act)
            rew = self.scorer.score(act, env_rew, terminated, truncated, infos)
            done = terminated | truncated
            columns = {
                "obs": obs,
                "act": act,
                "rew": rew,
                "next_obs": np.where(done[:, None], infos["final_obs"], next_obs) if done.any() else next_obs,
                "terminated": terminated,
                "number": len(self.episodes) + np.arange(ROWS),
            }
            self.replay.add(columns | self.hindsight.columns(infos["transition"]), infos["valid"], done)
            self.episodes += [(row, episode[row]) for row in range(ROWS)]
            episode += done
            obs = next_obs
        env.close()

    def sampled(self, size: int) -> tuple[Array, dict[str, Array], dict[str, Array]]:
        """Indices, and their columns before and after relabelling."""
        indices = self.replay.sample(size)
        columns = self.replay.read(indices)
        before = {name: column.numpy().copy() for name, column in columns.items()}
        self.hindsight.relabel(self.replay, indices, columns)
        return indices, before, {name: column.numpy() for name, column in columns.items()}

    def signal(self, columns: dict[str, Array], name: str, side: str = "next_signals") -> Array:
        part: Array = columns[side][:, self.hindsight._where[name]]
        return part


@pytest.fixture(scope="module")
def arm() -> Filled:
    return Filled("arm_reach")


@pytest.fixture(scope="module")
def base() -> Filled:
    return Filled("mobile_goal")


def test_so_many_transitions_get_a_new_goal_and_the_others_stay(arm: Filled) -> None:
    _, before, after = arm.sampled(500)
    goal = arm.observed["goal_pos"]
    changed = (before["obs"][:, goal] != after["obs"][:, goal]).any(axis=1)
    assert changed[:400].all()
    assert not changed[400:].any()
    for name in before:
        np.testing.assert_array_equal(before[name][400:], after[name][400:])


def test_only_what_depends_on_the_goal_changes(arm: Filled) -> None:
    _, before, after = arm.sampled(200)
    touched = [arm.observed[name] for name in ("goal_pos", "goal_error")]
    kept = np.ones(before["obs"].shape[1], dtype=bool)
    for where in touched:
        kept[where] = False
    for side in ("obs", "next_obs"):
        np.testing.assert_array_equal(before[side][:, kept], after[side][:, kept])
    for name in ("act", "terminated", "truncated", "previous_act", "number", "signals", "next_signals"):
        np.testing.assert_array_equal(before[name], after[name])


def test_observed_goals_follow_from_the_new_goal(arm: Filled) -> None:
    """goal_pos is the same before and after the step, goal_error what is left to it."""
    _, _, after = arm.sampled(200)
    part = {name: column[:160] for name, column in after.items()}
    goal, error, tool = (arm.observed[name] for name in ("goal_pos", "goal_error", "tool_pos"))
    np.testing.assert_array_equal(part["obs"][:, goal], part["next_obs"][:, goal])
    for side in ("obs", "next_obs"):
        np.testing.assert_allclose(part[side][:, error], part[side][:, goal] - part[side][:, tool], atol=1e-6)


@pytest.mark.parametrize("strategy", ["future", "final"])
def test_the_new_goal_was_achieved_later_in_the_same_episode(arm: Filled, strategy: str) -> None:
    arm.hindsight.settings = HindsightSettings.model_validate({"strategy": strategy})
    _, _, after = arm.sampled(100)
    arm.hindsight.settings = HindsightSettings()
    everything = {name: column.numpy() for name, column in arm.replay.read(np.arange(arm.replay.size)).items()}
    order = np.argsort(everything["number"][:, 0])
    achieved = arm.signal(everything, "tool_pos")[order]
    for at in range(80):
        number = int(after["number"][at, 0])
        where = np.flatnonzero((achieved == after["next_obs"][at, arm.observed["goal_pos"]]).all(axis=1))
        same = [later for later in where if arm.episodes[later] == arm.episodes[number]]
        assert same
        assert same[-1] >= number
        if strategy == "final":
            assert same[-1] == max(n for n, of in enumerate(arm.episodes) if of == arm.episodes[number])


def test_rewards_are_those_of_the_new_goal(arm: Filled) -> None:
    """The reward, term by term, from what is now observed."""
    _, _, after = arm.sampled(300)
    part = {name: column[:240] for name, column in after.items()}
    goal = part["obs"][:, arm.observed["goal_pos"]]
    far = [np.linalg.norm(goal - arm.signal(part, "tool_pos", side), axis=1) for side in ("signals", "next_signals")]
    near = [2.0 * (1 - np.tanh(distance / 0.3)) for distance in far]
    away = -1.0 * (far[1] > 0.02)
    jerk = np.square(part["act"] - part["previous_act"]).sum(axis=1)
    going_on = 1 - part["terminated"][:, 0]
    expected = SCALE * (away + 0.9 * near[1] * going_on - near[0] - 0.1 * jerk)
    np.testing.assert_allclose(part["rew"][:, 0], expected, atol=1e-4)
    assert (away == 0).any()


def test_the_last_step_of_an_episode_reaches_its_new_goal(arm: Filled) -> None:
    ends = np.flatnonzero(arm.replay.read(np.arange(arm.replay.size))["truncated"][:, 0].numpy())
    columns = arm.replay.read(ends)
    arm.hindsight.relabel(arm.replay, ends, columns)
    count = round(len(ends) * 0.8)
    assert count > 0
    error = columns["next_obs"][:count, arm.observed["goal_error"]]
    assert float(error.abs().max()) == 0.0


def test_a_bases_new_goal_is_seen_from_where_it_stands(base: Filled) -> None:
    """Distance and direction lead from the position, along the heading, to a position of the same episode."""
    _, _, after = base.sampled(100)
    for side, obs in (("signals", "obs"), ("next_signals", "next_obs")):
        position, heading = (base.signal(after, name, side)[:80] for name in ("position", "heading"))
        distance = after[obs][:80, base.observed["goal_distance"]][:, 0]
        cosine, sine = after[obs][:80, base.observed["goal_direction"]].T
        ahead, left = distance * cosine, distance * sine
        goal = position + np.stack(
            (ahead * heading[:, 0] - left * heading[:, 1], ahead * heading[:, 1] + left * heading[:, 0]), axis=1
        )
        reached = base.replay.read(np.arange(base.replay.size))["next_signals"][:, base.hindsight._where["position"]]
        nearest = torch.cdist(torch.from_numpy(goal).float(), reached).min(dim=1).values
        assert float(nearest.max()) < 1e-3


def test_relabelling_leaves_the_replay_alone(arm: Filled) -> None:
    before = arm.replay.state_dict()["lines"]
    arm.sampled(100)
    assert torch.equal(arm.replay.state_dict()["lines"], before)


OFF = {f"{BEHAVIOR}.trainer_type": "ddpg", f"{BEHAVIOR}.hyperparameters": {"hindsight": {}}}
SPARSE = {"terms": {"away": {"term": "sparse_goal", "parameters": {"tolerance": 0.02}, "weight": 1.0}}}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (
            {f"{BEHAVIOR}.reward_shaping": {"terms": {"solved": {"term": "success", "weight": 1.0}}}},
            [r"reward_shaping\.terms\.solved", "judges by its own goal", "can recompute goal_pos"],
        ),
        ({f"{BEHAVIOR}.reward_shaping": None}, ["env_reward", "own goal"]),
        (
            {f"{BEHAVIOR}.hyperparameters": {"hindsight": {"strategy": "past"}}},
            [r"hyperparameters\.hindsight\.strategy", "'future' or 'final'", "past"],
        ),
        (
            {f"{BEHAVIOR}.hyperparameters": {"hindsight": {"goal": 3}}},
            [r"hyperparameters\.hindsight\.goal", "unknown key", "did you mean goals"],
        ),
    ],
)
def test_what_hindsight_cannot_do_is_refused_with_its_line(
    tmp_path: Path, changes: dict[str, Any], parts: list[str]
) -> None:
    path = write_config(tmp_path, {**OFF, f"{BEHAVIOR}.reward_shaping": SPARSE, **changes})
    outcome = cli("train", path, "--results-dir", tmp_path / "results")
    assert outcome.code == 2, outcome
    assert len(outcome.err.strip().splitlines()) <= 2
    for part in (r"^error: .*tiny\.yaml:\d+: behaviors\.RobotArm", *parts):
        assert re.search(part, outcome.err), outcome.err
    assert not (tmp_path / "results").exists()


def test_a_task_without_a_goal_has_no_hindsight(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(
        "env_settings: {env_path: sim:mobile_follow}\n"
        "behaviors:\n  MobileRobot:\n    trainer_type: sac\n    hyperparameters:\n      hindsight: {}\n"
    )
    outcome = cli("train", tmp_path / "x.yaml")
    assert outcome.code == 2
    assert re.search(r"x\.yaml:6: .*hindsight: task mobile_follow has no goal that could be exchanged", outcome.err)
