"""playroom: who has solved what, when an episode ends, and where things stand at its start."""

import mujoco
import numpy as np
import pytest
from mlagents_envs.base_env import ActionTuple

from unity_env.sim.env import SimEnv
from unity_env.sim.plane import to_xy
from unity_env.sim.tasks.playroom import Playroom

ARM, BASE = "RobotArm", "MobileRobot"
ROWS = 3
Array = np.ndarray


def room(rows: int = ROWS, seed: int = 0) -> tuple[SimEnv, Playroom]:
    env = SimEnv("playroom", rows, seed, threads=1)
    assert isinstance(env.task, Playroom)
    env.reset()
    return env, env.task


def dock(task: Playroom, row: int) -> None:
    task.base.place(np.array([row]), np.array([[*task.of_base.dock_m, 0.3]]))


def lay_on_tray(task: Playroom, row: int, *, off: tuple[float, float] = (0.0, 0.0), lifted: bool = True) -> None:
    x, y = to_xy(task.base.position)[row] + off
    task.toy.place(row, np.array([x, y, 0.5 * task.of_arm.toy_size_m + 0.001]), 0.4)
    task.batch.bind("qvel")[row] = 0.0
    task.memory["lifted"][row] = lifted


def settle(task: Playroom) -> None:
    task.batch.forward(stage=mujoco.mjtStage.mjSTAGE_VEL)


def stand_still(env: SimEnv, steps: int) -> list[dict[str, tuple[Array, Array]]]:
    """Zero actions (the gripper half open); per step, behavior -> agents that ended, and their `success`."""
    ended = []
    for _ in range(steps):
        for role in env.task.roles:
            env.set_actions(role.behavior, ActionTuple(np.zeros((env.num_areas, role.command_size), np.float32)))
        env.step()
        ended.append({name: ends(env, name) for name in (ARM, BASE)})
    return ended


def ends(env: SimEnv, name: str) -> tuple[Array, Array]:
    terminals = env.get_steps(name)[1]
    where = env.layouts[name]["signals"].slices["success"]
    return terminals.agent_id % env.num_areas, terminals.obs[1][:, where][:, 0]


def test_a_released_toy_on_the_tray_of_a_docked_base_is_joint_success_and_ends_the_episode() -> None:
    env, task = room()
    dock(task, 1)
    lay_on_tray(task, 1)
    settle(task)
    steps = stand_still(env, 20)
    over = [step for step in steps if len(step[ARM][0])]
    assert len(over) == 1
    for name in (ARM, BASE):
        rows, success = over[0][name]
        assert rows.tolist() == [1]
        assert success.tolist() == [1.0]


@pytest.mark.parametrize(
    ("off", "lifted", "docked"),
    [((0.0, 0.0), False, True), ((0.0, 0.0), True, False), ((0.16, 0.0), True, True)],
    ids=["never lifted", "away from the dock", "beside the tray"],
)
def test_anything_less_is_no_joint_success(off: tuple[float, float], lifted: bool, docked: bool) -> None:
    env, task = room()
    if docked:
        dock(task, 1)
    lay_on_tray(task, 1, off=off, lifted=lifted)
    settle(task)
    solved = [step[name][1].sum() for step in stand_still(env, 20) for name in (ARM, BASE)]
    assert sum(solved) == 0


def test_a_toy_on_the_floor_ends_the_episode_as_a_failure_of_both() -> None:
    env, task = room()
    task.toy.place(2, np.array([1.2, 1.2, -0.2]), 0.0)
    settle(task)
    step = stand_still(env, 1)[0]
    for name in (ARM, BASE):
        rows, success = step[name]
        assert rows.tolist() == [2]
        assert success.tolist() == [0.0]


def test_a_dock_that_a_spectator_moves_is_where_the_base_has_to_go_until_the_next_episode() -> None:
    env, task = room()
    before = task.components(slice(None))[BASE]["goal_distance"]
    task.place(1, "goal", np.array([1.2, -1.1, 0.0]))
    after = task.components(slice(None))[BASE]["goal_distance"]
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    assert after[1] == pytest.approx(np.linalg.norm(to_xy(task.base.position)[1] - [1.2, -1.1]))
    env.reset()
    at = to_xy(task.base.position)[1]
    assert task.components(slice(None))[BASE]["goal_distance"][1] == pytest.approx(
        np.hypot(*(at - task.of_base.dock_m))
    )


def test_at_the_time_limit_each_robot_is_judged_by_its_own_part() -> None:
    env, task = room()
    dock(task, 0)
    lay_on_tray(task, 1)  # the base waits somewhere else
    settle(task)
    steps = stand_still(env, 300)
    assert all(len(step[ARM][0]) == 0 for step in steps[:-1])
    (_, arm), (_, base) = steps[-1][ARM], steps[-1][BASE]
    assert arm.tolist() == [0.0, 1.0, 0.0]
    assert base.tolist() == [1.0, 0.0, 0.0]
    assert env.get_steps(ARM)[1].interrupted.all()


def test_everything_starts_apart_from_everything_else() -> None:
    _, task = room(rows=60)
    assert (task.batch.bind("ncon")[:] <= 3 + 8).all()  # wheels and caster, and the toy on the table
    table, half = np.array(task.of_arm.table_centre_m), task.of_arm.table_half_width_m
    base = to_xy(task.base.position)
    beside = np.linalg.norm(np.maximum(np.abs(base - table) - half, 0.0), axis=1)
    assert (beside >= task.base_robot.chassis.radius_m).all()
    toy = task.components(slice(None))[ARM]["cube_pos"]
    assert (np.abs(toy[:, :2] - table) <= half - task.of_arm.toy_size_m).all()
    assert not task.success()[ARM].any()


def test_the_base_sees_the_pedestal_and_the_walls_only() -> None:
    _, task = room(rows=20)
    lidar = task.components(slice(None))[BASE]["lidar"]
    position = to_xy(task.base.position)
    to_pedestal = np.linalg.norm(position - task.of_arm.table_centre_m, axis=1) - task.of_arm.pedestal_radius_m
    to_wall = task.room.half_width_m - np.abs(position).max(axis=1)
    nearest = np.minimum(to_pedestal, to_wall)
    assert (lidar.min(axis=1) >= nearest - 1e-6).all()
    assert (lidar.min(axis=1) <= nearest + 0.12).all()  # between two rays, 15 degrees apart
