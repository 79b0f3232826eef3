"""The arm's scripted controllers solve their tasks, so that the tasks can be solved."""

import numpy as np
import pytest
from mlagents_envs.base_env import ActionTuple

from unity_env.sim.baselines import BASELINES
from unity_env.sim.env import SimEnv


def success_of_baseline(task: str, rows: int, parameters: dict[str, float] | None = None) -> float:
    """Share of first episodes solved."""
    env = SimEnv(task, rows, 5, 1, parameters)
    env.reset()
    control = BASELINES[task](env)["RobotArm"]
    solved, open_rows = np.zeros(rows, bool), np.ones(rows, bool)
    for _ in range(env._episode_steps):
        command = control(env.task.components(slice(None))["RobotArm"])
        assert np.abs(command).max() <= 1.0
        env.set_actions("RobotArm", ActionTuple(command.astype(np.float32)))
        env.step()
        ended = env.get_steps("RobotArm")[1]
        solved[ended.agent_id] |= open_rows[ended.agent_id] & ~ended.interrupted
        open_rows[ended.agent_id] = False
        if not open_rows.any():
            break
    return float(solved.mean())


@pytest.mark.parametrize(
    ("task", "parameters"),
    [
        ("arm_reach", {}),
        ("arm_pick_place", {}),
        ("arm_pick_place", {"cube_size": 0.05, "cube_mass": 0.3, "friction_scale": 0.5}),
        ("arm_pick_place", {"cube_size": 0.03, "action_latency": 1.0}),
    ],
)
def test_the_scripted_controller_solves_the_task(task: str, parameters: dict[str, float]) -> None:
    assert success_of_baseline(task, 40, parameters) >= 0.95
