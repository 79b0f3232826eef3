"""The gripper: how its fingers move, and that what they hold stays held."""

import mujoco
import numpy as np
import pytest
from mlagents_envs.base_env import ActionTuple

from unity_env.sim.description import load_description
from unity_env.sim.env import SimEnv
from unity_env.sim.tasks.arm_pick_place import ArmPickPlace
from unity_env.sim.tasks.arm_reach import ArmReach

Array = np.ndarray
ARM = load_description("arm")
OPEN, HALF, CLOSED = 1.0, 0.0, -1.0


class Scene:
    """Rows of arm_pick_place without a time limit; `step` returns what they measure."""

    def __init__(self, rows: int, parameters: dict[str, float] | None = None) -> None:
        self.env = SimEnv("arm_pick_place", rows, 0, 1, parameters)
        self.env._episode_steps = 10**9
        self.env.reset()
        task = self.env.task
        assert isinstance(task, ArmPickPlace)
        self.task, self.rows = task, rows

    def step(self, joints: Array | float = 0.0, gripper: float = CLOSED, times: int = 1) -> dict[str, Array]:
        act = np.zeros((self.rows, 7), np.float32)
        act[:, :6], act[:, 6] = joints, gripper
        for _ in range(times):
            self.env.set_actions("RobotArm", ActionTuple(act))
            self.env.step()
        return self.task.components(slice(None))["RobotArm"]

    def put(self, joint_pos: Array, cube_at: Array | None = None) -> None:
        """Let all rows stand in a pose, the cube lie at a place; None puts it between the fingers."""
        task, batch = self.task, self.task.batch
        pos, arm = batch.bind("qpos"), task.arm
        pos[:, arm.qpos] = joint_pos
        batch.forward()
        hand = arm.hand(slice(None))
        for row in range(self.rows):
            pos[row, task.cube.qpos[:3]] = hand.pos[row] if cube_at is None else cube_at
            turn = np.array([1.0, 0, 0, 0])
            if cube_at is None:
                mujoco.mju_mat2Quat(turn, hand.rotation[row].ravel())
                pos[row, arm.finger_qpos] = 0.5 * task._size[row]
            pos[row, task.cube.qpos[3:]] = turn
        batch.bind("qvel")[:] = 0.0
        batch.forward()


def grasped(rows: int, parameters: dict[str, float] | None = None) -> tuple[Scene, Array]:
    """Rows whose arm holds the cube in the air, and where the tool sees it."""
    scene = Scene(rows, parameters)
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (rows, 6))
    scene.put(np.array([0, 0.1, 1.1, 0, 1.2, 0]) + noise)
    measured = scene.step(times=10)
    assert measured["grasped"].all()
    return scene, measured["cube_tool"]


@pytest.mark.parametrize(("command", "gap"), [(OPEN, 0.09), (HALF, 0.045), (CLOSED, 0.0)])
def test_the_fingers_go_to_the_commanded_gap_together(command: float, gap: float) -> None:
    scene = Scene(2)
    measured = scene.step(gripper=command, times=25)
    np.testing.assert_allclose(measured["finger_opening"], gap, atol=1e-3)
    left, right = scene.task.batch.bind("qpos")[0, scene.task.arm.finger_qpos]
    assert left == pytest.approx(right, abs=5e-4)


def test_an_action_in_si_units_is_half_the_largest_gap() -> None:
    assert ARM.action_scale("gripper_target").tolist() == [ARM.gripper.stroke_m]


def test_a_task_without_the_gripper_has_rigid_fingers_and_the_same_tip_and_mass() -> None:
    rigid, moving = ArmReach("arm_reach", 1, 1).model, Scene(1).task.model
    assert (rigid.nv, rigid.nu, moving.nu) == (6, 6, 7)
    for name in ("body_mass", "body_subtreemass"):
        arm = [getattr(model, name)[model.body("arm/tool_roll").id] for model in (rigid, moving)]
        fingers = sum(moving.body(f"arm/finger_{side}").mass[0] for side in ("left", "right"))
        assert arm[0] == pytest.approx(arm[1] + (fingers if name == "body_mass" else 0.0))
    np.testing.assert_allclose(rigid.site("arm/tool_tip").pos, moving.site("arm/tool_tip").pos)


def test_the_fingers_press_with_the_described_force() -> None:
    scene, _ = grasped(2)
    force = scene.step(times=20)["finger_force"]
    np.testing.assert_allclose(force, ARM.gripper.drive.force_limit_n, rtol=0.02)


@pytest.mark.parametrize(
    "parameters", [{}, {"cube_mass": 0.3, "cube_size": 0.05}, {"cube_size": 0.03}, {"friction_scale": 0.5}]
)
def test_a_held_cube_creeps_by_less_than_2_mm_in_4_s(parameters: dict[str, float]) -> None:
    scene, before = grasped(2, parameters)
    measured = scene.step(times=100)
    assert measured["grasped"].all()
    assert np.abs(measured["cube_tool"] - before).max() < 2e-3


@pytest.mark.parametrize("joint", range(6))
def test_a_held_cube_stays_while_a_joint_goes_back_and_forth_at_full_speed(joint: int) -> None:
    scene, before = grasped(4)
    for sense in (1, -1, -1, 1, 1, -1, -1, 1):
        measured = scene.step(sense * np.eye(6)[joint], times=4)
    assert measured["grasped"].all()
    assert np.abs(measured["cube_tool"] - before).max() < 0.015


def test_a_released_cube_falls_and_comes_to_rest_on_the_table() -> None:
    scene, _ = grasped(2)
    measured = scene.step(gripper=OPEN, times=40)
    np.testing.assert_allclose(measured["cube_height"], 0.0, atol=2e-3)
    assert np.abs(measured["cube_vel"]).max() < 0.02


def test_a_cube_is_not_pressed_through_the_table() -> None:
    scene = Scene(1)
    scene.put(np.array(scene.task.parameters.home_rad))
    tip = scene.task.arm.hand(slice(None)).pos[0]
    scene.put(np.array(scene.task.parameters.home_rad), np.array([tip[0] + 0.01, tip[1], 0.02]))
    lowest = 0.0
    for _ in range(60):
        measured = scene.step(np.array([0, 0.4, 0, 0, -0.25, 0]))  # shoulder and wrist: downwards
        lowest = min(lowest, float(measured["cube_height"][0, 0]))
    assert measured["tool_pos"][0, 2] < 0.08
    assert lowest > -0.01


def test_nothing_explodes_under_10000_random_and_bang_bang_actions() -> None:
    scene, rng = Scene(20), np.random.default_rng(0)
    limits = {part.name: part.limit for part in scene.task.role.sensors["signals"]}
    low, high = ARM.joint_array("range_rad").T
    for t in range(500):
        joints = rng.choice([-1.0, 1.0], (20, 6)) if (t // 100) % 2 else rng.uniform(-1, 1, (20, 6))
        measured = scene.step(joints, gripper=float(rng.choice([OPEN, CLOSED])))
        for name in ("joint_vel", "joint_torque", "cube_vel", "finger_opening", "cube_pos"):
            least, most = limits[name]
            assert ((measured[name] >= least) & (measured[name] <= most)).all(), (t, name)
        beyond = np.maximum(low - measured["joint_pos"], measured["joint_pos"] - high)
        assert beyond.max() < 0.05
