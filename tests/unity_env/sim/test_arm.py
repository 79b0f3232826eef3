"""The arm's physics against robots/arm.yaml: kinematics, drives, limits, gravity compensation."""

from math import cos, pi, sin

import mujoco
import numpy as np
import pytest

from tests.helpers import make_rows, sim_of
from unity_env.sim.arm_chain import ArmChain
from unity_env.sim.description import load_description
from unity_env.sim.tasks.arm_reach import ArmReach

ARM = load_description("arm")
HOME = np.array(ARM.home_rad)
# from robots/arm.yaml by hand: heights of the joints along the straight arm, m
SHOULDER, UPPER, FORE, HAND = 0.12 + 0.06, 0.30, 0.13 + 0.13, 0.07 + 0.11


@pytest.fixture
def model() -> mujoco.MjModel:
    return ArmReach("arm_reach", 1, 1).model


def tip_at(model: mujoco.MjModel, joint_pos: np.ndarray) -> np.ndarray:
    data = mujoco.MjData(model)
    data.qpos[:] = joint_pos
    mujoco.mj_kinematics(model, data)
    return np.array(data.site("arm/tool_tip").xpos)


def test_the_chain_of_joints_ends_where_the_physics_has_the_tip(model: mujoco.MjModel) -> None:
    joint_pos = np.random.default_rng(0).uniform(-pi, pi, (200, 6))
    tips = ArmChain(ARM).tool_tips(joint_pos)
    np.testing.assert_allclose(tips, [tip_at(model, row) for row in joint_pos], atol=1e-14)


def test_an_axis_of_a_joint_may_have_any_length() -> None:
    joint_pos = np.random.default_rng(0).uniform(-pi, pi, (1, 6))
    expected = ArmChain(ARM).tool_tips(joint_pos)
    joints = tuple(joint.model_copy(update={"axis": tuple(3.0 * np.array(joint.axis))}) for joint in ARM.joints)
    np.testing.assert_allclose(ArmChain(ARM.model_copy(update={"joints": joints})).tool_tips(joint_pos), expected)


def in_plane(*angles: float) -> list[float]:
    """Tip of the three pitch joints in their plane: x and z, each link along the sum of the angles before it."""
    first, second, third = np.cumsum(angles)
    x = UPPER * sin(first) + FORE * sin(second) + HAND * sin(third)
    return [x, SHOULDER + UPPER * cos(first) + FORE * cos(second) + HAND * cos(third)]


@pytest.mark.parametrize("angles", [(0, 0, 0), (pi / 2, 0, 0), (0, pi / 2, 0), (0.35, 1.35, 1.1), (-1, 2, -1.5)])
def test_the_tip_is_where_trigonometry_puts_it(model: mujoco.MjModel, angles: tuple[float, float, float]) -> None:
    shoulder, elbow, wrist = angles
    x, z = in_plane(*angles)
    np.testing.assert_allclose(tip_at(model, np.array([0, shoulder, elbow, 0, wrist, 0])), [x, 0, z], atol=1e-12)


def test_the_base_turns_the_arm_about_the_vertical(model: mujoco.MjModel) -> None:
    x, z = in_plane(0.5, 0.8, 0.3)
    tip = tip_at(model, np.array([1.2, 0.5, 0.8, 0, 0.3, 0.7]))
    np.testing.assert_allclose(tip, [x * cos(1.2), x * sin(1.2), z], atol=1e-12)


def test_the_forearm_roll_turns_the_wrists_plane(model: mujoco.MjModel) -> None:
    tip = tip_at(model, np.array([0, 0, 0, pi / 2, 0.6, 0]))
    np.testing.assert_allclose(tip, [0, HAND * sin(0.6), SHOULDER + UPPER + FORE + HAND * cos(0.6)], atol=1e-12)


def test_the_tool_roll_does_not_move_the_tip(model: mujoco.MjModel) -> None:
    turned = HOME + np.array([0, 0, 0, 0, 0, 2.0])
    np.testing.assert_allclose(tip_at(model, turned), tip_at(model, HOME), atol=1e-12)


def test_the_model_has_the_described_joints_masses_limits_and_clock(model: mujoco.MjModel) -> None:
    assert [model.joint(i).name for i in range(model.njnt)] == [f"arm/{joint.name}" for joint in ARM.joints]
    np.testing.assert_allclose(model.jnt_range, ARM.joint_array("range_rad"))
    velocity = ARM.joint_array("max_velocity_rad_s")
    np.testing.assert_allclose(model.actuator_ctrlrange, np.stack([-velocity, velocity], axis=1))
    torque = np.array([joint.drive.torque_limit_nm for joint in ARM.joints])
    np.testing.assert_allclose(model.actuator_forcerange, np.stack([-torque, torque], axis=1))
    np.testing.assert_allclose(
        [model.body(f"arm/{j.name}").mass[0] for j in ARM.joints], [j.link.mass_kg for j in ARM.joints]
    )
    assert model.opt.timestep * ARM.control.substeps == pytest.approx(ARM.control.period_s)


@pytest.mark.parametrize("joint", range(6))
@pytest.mark.parametrize("sense", [-1, 1])
def test_a_drive_reaches_the_commanded_velocity(model: mujoco.MjModel, joint: int, sense: int) -> None:
    data = mujoco.MjData(model)
    data.qpos[:] = HOME
    target = 0.4 * sense * ARM.joints[joint].max_velocity_rad_s
    data.ctrl[joint] = target
    mujoco.mj_step(model, data, nstep=round(0.5 / model.opt.timestep))
    assert data.qvel[joint] == pytest.approx(target, rel=0.05)
    others = np.delete(data.qvel, joint)
    assert np.abs(others).max() < 0.1 * abs(target)


@pytest.mark.parametrize("joint", range(6))
def test_a_drive_that_reverses_at_full_speed_does_not_overshoot(model: mujoco.MjModel, joint: int) -> None:
    data = mujoco.MjData(model)
    data.qpos[:] = HOME
    fastest = ARM.joints[joint].max_velocity_rad_s
    data.ctrl[joint] = fastest
    mujoco.mj_step(model, data, nstep=round(0.3 / model.opt.timestep))
    data.ctrl[joint] = -fastest
    speeds = []
    for _ in range(round(0.3 / model.opt.timestep)):
        mujoco.mj_step(model, data)
        speeds.append(abs(data.qvel[joint]))
    assert max(speeds) < 1.1 * fastest
    assert speeds[-1] == pytest.approx(fastest, rel=0.05)


def test_commands_are_fractions_of_each_joints_maximum() -> None:
    env = make_rows("arm_reach", 1)
    env.reset(seed=0)
    env.step(np.full((1, 6), 0.5, dtype=np.float32))
    np.testing.assert_allclose(sim_of(env).task.batch.bind("ctrl")[0], 0.5 * ARM.joint_array("max_velocity_rad_s"))


def test_a_command_of_zero_holds_the_pose_against_gravity() -> None:
    env = make_rows("arm_reach", 5)
    _, infos = env.reset(seed=0)
    start = infos["signals"]["joint_pos"].copy()
    for _ in range(99):
        *_, infos = env.step(np.zeros((5, 6), np.float32))
    assert np.abs(infos["signals"]["joint_pos"] - start).max() < 1e-3
    assert np.abs(infos["signals"]["joint_vel"]).max() < 1e-3


@pytest.mark.parametrize("switch_every", [1, 50])
def test_joint_and_torque_limits_hold_under_10000_random_actions(switch_every: int) -> None:
    env = make_rows("arm_reach", 20)
    sim_of(env)._episode_steps = 10**9
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    low, high = ARM.joint_array("range_rad").T
    torque_limit = np.array([joint.drive.torque_limit_nm for joint in ARM.joints])
    widest, strongest = -np.inf, 0.0
    action = np.zeros((20, 6), np.float32)
    for t in range(500):
        if t % switch_every == 0:
            action = rng.choice([-1.0, 1.0], size=(20, 6)).astype(np.float32)
        *_, infos = env.step(action)
        pos, torque = infos["signals"]["joint_pos"], infos["signals"]["joint_torque"]
        widest = max(widest, float(np.maximum(low - pos, pos - high).max()))
        strongest = max(strongest, float((np.abs(torque) / torque_limit).max()))
    assert widest < 0.05  # rad; MuJoCo's joint limits give way a little
    assert strongest <= 1 + 1e-6


@pytest.mark.parametrize("start", [HOME, [0.5, 1.0, 0.8, 0.7, 1.1, 0.3]])
def test_a_free_swing_keeps_its_energy_within_1_percent_for_10_s(start: list[float]) -> None:
    spec = ArmReach("arm_reach", 1, 1).build()
    spec.option.enableflags |= int(mujoco.mjtEnableBit.mjENBL_ENERGY)
    switched_off = (mujoco.mjtDisableBit.mjDSBL_ACTUATION, mujoco.mjtDisableBit.mjDSBL_CONSTRAINT)
    spec.option.disableflags |= sum(int(bit) for bit in switched_off)
    for body in spec.bodies:
        body.gravcomp = 0.0
    model = spec.compile()
    data = mujoco.MjData(model)
    data.qpos[:] = start
    energies = []
    for _ in range(round(10.0 / model.opt.timestep)):
        mujoco.mj_step(model, data)
        energies.append(data.energy.copy())
    potential, kinetic = np.array(energies).T
    total = potential + kinetic
    assert kinetic.max() > 10.0
    assert np.abs(total - total[0]).max() < 0.01 * kinetic.max()


def test_no_joint_runs_much_faster_than_its_maximum() -> None:
    env = make_rows("arm_reach", 20)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    fastest = np.zeros(6)
    for _ in range(95):
        *_, infos = env.step(rng.uniform(-1, 1, (20, 6)).astype(np.float32))
        fastest = np.maximum(fastest, np.abs(infos["signals"]["joint_vel"]).max(axis=0))
    assert (fastest <= 1.5 * ARM.joint_array("max_velocity_rad_s")).all()
