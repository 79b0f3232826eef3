"""Relabelling: the true goal changes nothing, the achieved one is a success, and what cannot be told is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reward_shaping import Goal, Reward, RewardError, RewardSettings, Transition
from tests.helpers import make_rows, sim_of
from trainers.yaml_file import parse_yaml
from unity_env import UnityVectorEnv
from unity_env.sim.role import all_roles, find_role, roles_of
from unity_env.sim.tasks.mobile_goal import MobileGoal

Array = np.ndarray
FLOOR = Goal.model_validate(
    {
        "achieved": "position",
        "heading": "heading",
        "recomputed": {
            "goal": "goal",
            "goal_error": "difference",
            "goal_distance": "distance",
            "goal_direction": "direction",
            "goal_bearing": "bearing",
        },
        "judged": ["success"],
    }
)
REWARDS: dict[str, dict[str, Any]] = {
    "arm_reach": {
        "sparse": {"term": "sparse_goal", "parameters": {"tolerance": 0.05}, "weight": 1.0},
        "fine": {"term": "coarse_fine", "parameters": {"coarse": 0.3, "fine": 0.05}, "weight": 0.5},
        "way": {"term": "progress", "weight": 3.0},
        "phi": {"term": "reach", "parameters": {"std": 0.3}, "use": "potential", "weight": 2.0},
        "calm": {"term": "action_rate", "weight": -0.1},
        "time": {"term": "time", "weight": -0.1},
        "solved": {"term": "success", "weight": 9.0, "probe": True},
    },
    "mobile_goal": {
        "arrived": {"term": "arrived", "parameters": {"tolerance": 0.2, "stop_velocity": 0.1}, "weight": 5.0},
        "phi": {"term": "goal_progress", "parameters": {"start_distance": 4.0}, "weight": 2.0},
        "ahead": {"term": "approach_speed", "parameters": {"max_velocity": 1.0}, "weight": 0.1},
        "looking": {"term": "heading", "when": {"signal": "goal_distance", "below": 1.0}, "weight": -0.01},
        "collision": {"term": "collision", "weight": -10.0},
    },
    "arm_pick_place": {
        "sparse": {
            "term": "sparse_goal",
            "signal": "cube_goal_distance",
            "parameters": {"tolerance": 0.03},
            "weight": 1,
        },
        "far": {"term": "transport", "parameters": {"std": 0.2}, "use": "gain", "weight": 6.0},
    },
}


def reward_for(task: str, **terms: Any) -> tuple[Reward, Goal]:
    (role,) = roles_of(task)
    sizes = {part.name: part.size for part in role.sensors["signals"]}
    settings = RewardSettings.model_validate({"terms": terms or REWARDS[task]})
    return Reward(settings, sizes, gamma=0.9), Goal.model_validate(role.task.goal)


def transition(signals: dict[str, Array], next_signals: dict[str, Array], action: Array) -> Transition:
    no = np.zeros(len(action), dtype=bool)
    return Transition(
        signals=signals,
        next_signals=next_signals,
        action=action,
        previous_action=np.zeros_like(action),
        terminated=no,
        truncated=no,
        env_reward=np.zeros(len(action)),
    )


def true_goals(env: UnityVectorEnv, signals: dict[str, Array]) -> Array:
    """The goals that the simulation holds, (N, k)."""
    task: Any = sim_of(env).task
    if isinstance(task, MobileGoal):
        return np.stack((task._goal.real, task._goal.imag), axis=1)
    above = (
        signals["cube_size"] * [0.0, 0.0, 0.5] if "cube_size" in signals else 0.0
    )  # where the cube's centre is to be
    goal: Array = task._goal_pos + above
    return goal


def steps_of(task: str, rows: int = 16, steps: int = 40) -> list[tuple[Transition, Array]]:
    """Transitions of random actions, with the goals that they were on the way to; episodes' ends are left out."""
    env, rng = make_rows(task, rows), np.random.default_rng(0)
    _, infos = env.reset(seed=3)
    found = []
    for _ in range(steps):
        goals, before = true_goals(env, infos["signals"]), infos["signals"]
        action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        _, _, terminated, truncated, infos = env.step(action)
        on = ~(terminated | truncated)
        old, new = ({name: value[on] for name, value in signals.items()} for signals in (before, infos["signals"]))
        found.append((transition(old, new, action[on]), goals[on]))
    env.close()
    return found


@pytest.mark.parametrize("task", REWARDS)
def test_relabelling_with_the_true_goal_changes_no_reward(task: str) -> None:
    reward, goal = reward_for(task)
    goal.check(reward)
    for moved, goals in steps_of(task):
        relabelled = goal.relabel(moved, goals)
        for one, other in zip(reward(moved), reward(relabelled), strict=True):
            np.testing.assert_allclose(other, one, rtol=0, atol=2e-6)
        kept = moved.next_signals.keys() - goal.recomputed.keys()
        assert all(relabelled.next_signals[name] is moved.next_signals[name] for name in kept)


@pytest.mark.parametrize(("task", "term"), [("arm_reach", "sparse"), ("arm_pick_place", "sparse")])
def test_relabelling_with_the_achieved_goal_is_a_success(task: str, term: str) -> None:
    reward, goal = reward_for(task)
    at = reward.names.index(term)
    before, after = [], []
    for moved, _ in steps_of(task):
        reached = goal.relabel(moved, moved.next_signals[goal.achieved])
        before += reward(moved)[1][at].tolist()
        after += reward(reached)[1][at].tolist()
    assert min(before) == -1.0
    assert set(after) == {0.0}


def test_a_base_that_stands_has_arrived_where_it_is() -> None:
    reward, goal = reward_for("mobile_goal")
    (moved, _), *_ = steps_of("mobile_goal", steps=1)
    still = moved._replace(next_signals=moved.next_signals | {"forward_velocity": np.zeros((16, 1), np.float32)})
    assert (reward(goal.relabel(still, still.next_signals["position"]))[1][0] == 5.0).all()


def floor(position: Any, yaw: float) -> dict[str, Array]:
    sizes = {"goal": 2, "goal_error": 2, "goal_distance": 1, "goal_direction": 2, "goal_bearing": 1}
    unknown = {name: np.full((1, size), np.nan) for name, size in sizes.items()}
    heading = np.array([[np.cos(yaw), np.sin(yaw)]])
    return {"position": np.array([position], dtype=float), "heading": heading, **unknown}


def test_every_rule_is_worked_arithmetic() -> None:
    before = floor([1.0, 1.0], yaw=np.pi / 2)
    told = FLOOR.recompute(before, np.array([[4.0, 5.0]]))
    assert told["goal"].tolist() == [[4, 5]]
    assert told["goal_error"].tolist() == [[3, 4]]
    assert told["goal_distance"].tolist() == [[5]]
    np.testing.assert_allclose(told["goal_direction"], [[0.8, -0.6]])  # looking along y: 4 ahead, 3 to the right
    np.testing.assert_allclose(told["goal_bearing"], [[-np.arctan2(3, 4)]])
    assert np.isnan(before["goal_distance"]).all()  # what was given is untouched


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-7, 7), st.floats(-3, 3), st.floats(-3, 3))
def test_distance_and_bearing_lead_from_the_achieved_place_to_the_goal(
    x: float, y: float, yaw: float, goal_x: float, goal_y: float
) -> None:
    told = FLOOR.recompute(floor([x, y], yaw), np.array([[goal_x, goal_y]]))
    distance, angle = told["goal_distance"][0, 0], yaw + told["goal_bearing"][0, 0]
    reached = [x + distance * np.cos(angle), y + distance * np.sin(angle)]
    np.testing.assert_allclose(reached, [goal_x, goal_y], atol=1e-12)


def test_a_potential_is_recomputed_in_both_states() -> None:
    term = {"term": "flag", "signal": "goal_distance", "use": "potential", "weight": 1.0}
    reward = Reward(RewardSettings.model_validate({"terms": {"phi": term}}), {"goal_distance": 1}, gamma=0.5)
    moved = transition(floor([0.0, 0.0], 0.0), floor([0.0, 2.0], 0.0), np.zeros((1, 1)))
    total, _ = reward(FLOOR.relabel(moved, np.array([[0.0, 10.0]])))
    assert total.tolist() == [0.5 * 8 - 10]


NEAR = {"term": "reach", "signal": "goal_distance", "parameters": {"std": 0.3}}


@pytest.mark.parametrize(
    ("term", "path", "says"),
    [
        ({"term": "success"}, (), "odd reads success, which the environment judges by its own goal"),
        ({"term": "failure"}, (), "reads success"),
        ({"term": "env_reward"}, (), "reads env_reward, which was paid for its own goal"),
        ({"term": "flag", "signal": "hold_time", "use": "potential"}, (), "reads hold_time"),
        ({"product": {"a": NEAR, "b": {"term": "success"}}}, ("product", "b"), "odd reads success"),
        ({**NEAR, "when": {"signal": "hold_time", "above": 0.1}}, (), "reads hold_time"),
    ],
)
def test_a_term_that_cannot_be_recomputed_is_refused_by_name(term: Any, path: tuple[str, ...], says: str) -> None:
    reward, goal = reward_for("arm_reach", near={**NEAR, "weight": 1.0}, odd={**term, "weight": 1.0})
    with pytest.raises(RewardError, match=f"{says}.*can recompute goal_pos, goal_error, goal_distance") as caught:
        goal.check(reward)
    assert caught.value.path == ("terms", "odd", *path)


def test_the_refusal_has_the_terms_line() -> None:
    text = "terms:\n  near: {term: time, weight: -1.0}\n  solved: {term: success, weight: 1.0}\n"
    document = parse_yaml(text, "r.yaml", "terms")
    reward, goal = reward_for("arm_reach", **document.data["terms"])
    with pytest.raises(RewardError) as caught:
        goal.check(reward)
    assert str(document.error(caught.value.path, str(caught.value))).startswith("r.yaml:3: terms.solved: solved reads")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"heading": None}, "heading is missing; goal_direction, goal_bearing"),
        ({"recomputed": {}}, "recomputed"),
        ({"recomputed": {"goal_distance": "length"}}, "recomputed.goal_distance"),
        ({"derived": {}}, "derived"),
    ],
)
def test_a_wrong_description_of_a_goal_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Goal.model_validate(FLOOR.model_dump() | wrong)


def test_every_described_goal_names_components_of_its_task() -> None:
    described = [role for task in all_roles() for role in roles_of(task) if role.task.goal is not None]
    assert {role.task_name for role in described} == {
        "arm_reach",
        "arm_pick_place",
        "mobile_goal",
        "mobile_goal_discrete",
    }
    for role in described:
        goal = Goal.model_validate(role.task.goal)
        assert goal.signals <= set(role.task.signals)
        assert {*goal.recomputed, *goal.judged} <= {*role.task.signals, *role.task.observation}
        dependent = {name for name in (*role.task.signals, *role.task.observation) if "goal" in name}
        assert dependent | {"success", "hold_time"} & set(role.task.signals) <= {*goal.recomputed, *goal.judged}


def test_tasks_without_a_goal_to_exchange_say_so() -> None:
    assert find_role("mobile_follow", "MobileRobot").task.goal is None
