"""The mobile robot's physics against robots/mobile.yaml: wheels, slip, drives, collisions."""

from math import hypot, pi

import mujoco
import numpy as np
import pytest

from unity_env.sim.description import load_description
from unity_env.sim.model.mobile import add_mobile
from unity_env.sim.model.scene import add_ground, new_scene

ROBOT = load_description("mobile")


def scene() -> mujoco.MjSpec:
    spec = new_scene(ROBOT.control)
    add_ground(spec, "floor", 10.0)
    add_mobile(spec, ROBOT)
    return spec


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return scene().compile()


def drive(model: mujoco.MjModel, velocity: tuple[float, float], seconds: float) -> tuple[mujoco.MjData, np.ndarray]:
    """Command forward and yaw velocity, m/s and rad/s; return the state and the base's path, (steps, 2)."""
    data = mujoco.MjData(model)
    data.ctrl[:] = np.array(velocity) @ ROBOT.wheel_map
    path = np.empty((round(seconds / model.opt.timestep), 2))
    for place in path:
        mujoco.mj_step(model, data)
        place[:] = data.qpos[:2]
    return data, path


@pytest.mark.parametrize("velocity", [(0.5, 1.0), (1.0, 1.0), (0.3, 2.5), (1.0, 2.0), (0.8, -0.5), (-0.6, 1.0)])
def test_a_commanded_circle_has_the_radius_v_over_omega(model: mujoco.MjModel, velocity: tuple[float, float]) -> None:
    forward, yaw = velocity
    _, path = drive(model, velocity, 2.0 + 2 * pi / abs(yaw))
    steady = path[400:]
    centre_and_power = np.linalg.lstsq(
        np.column_stack([2 * steady, np.ones(len(steady))]), np.square(steady).sum(axis=1), rcond=None
    )[0]
    radius = np.sqrt(centre_and_power[2] + np.square(centre_and_power[:2]).sum())
    assert radius == pytest.approx(abs(forward / yaw), rel=0.03)


def test_a_commanded_straight_line_is_straight_and_as_fast_as_commanded(model: mujoco.MjModel) -> None:
    data, path = drive(model, (0.7, 0.0), 4.0)
    assert abs(path[-1, 1]) < 1e-3
    assert data.qvel[0] == pytest.approx(0.7, rel=0.01)


def test_it_stands_still_on_three_points_without_a_command(model: mujoco.MjModel) -> None:
    data, path = drive(model, (0.0, 0.0), 2.0)
    assert data.ncon == 3
    assert np.abs(path).max() < 1e-4
    assert np.abs(data.qvel).max() < 1e-3


def push(model: mujoco.MjModel, force_n: float, along: int) -> float:
    """Push the standing base at its centre of mass for half a second; return how far it went, m."""
    data = mujoco.MjData(model)
    for _ in range(200):
        mujoco.mj_step(model, data)
    data.xfrc_applied[model.body("mobile/base").id, along] = force_n
    for _ in range(100):
        mujoco.mj_step(model, data)
    return hypot(*data.qpos[:2])


def test_wheels_slip_when_pushed_sideways_beyond_their_friction(model: mujoco.MjModel) -> None:
    mass = float(model.body_mass.sum())
    on_wheels = 9.81 * mass * (1 - 9 / mass * 0.05 / 0.15)  # the caster, without friction, carries the rest
    grip = ROBOT.wheels.friction * on_wheels
    assert push(model, 0.6 * grip, along=1) < 0.02
    assert push(model, 1.3 * grip, along=1) > 0.05


def test_braked_wheels_hold_against_a_push_that_the_drives_can_bear(model: mujoco.MjModel) -> None:
    bearable = 2 * ROBOT.wheels.drive.torque_limit_nm / ROBOT.wheels.radius_m
    assert push(model, 0.5 * bearable, along=0) < 0.02
    assert push(model, 1.5 * bearable, along=0) > 0.05


def test_drive_torques_keep_their_limit_and_the_base_its_wheels_on_the_ground(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    limit = ROBOT.wheels.drive.torque_limit_nm
    top = ROBOT.action_scale("velocity_target")
    for _ in range(10_000 // ROBOT.control.substeps):
        data.ctrl[:] = (rng.choice([-1.0, 1.0], 2) * top) @ ROBOT.wheel_map
        for _ in range(ROBOT.control.substeps):
            mujoco.mj_step(model, data)
        assert np.abs(data.actuator_force).max() <= limit + 1e-9
        assert data.body("mobile/base").xmat[8] > 0.999  # cosine of the tilt
        assert abs(data.qvel[0:2]).max() < 1.3 * top[0]
        assert abs(data.qvel[5]) < 1.3 * top[1]


def test_the_model_has_the_described_masses_and_wheels(model: mujoco.MjModel) -> None:
    assert model.body_mass.sum() == pytest.approx(ROBOT.chassis.mass_kg + 2 * ROBOT.wheels.mass_kg)
    left, right = (model.body(f"mobile/{side}_wheel") for side in ("left", "right"))
    np.testing.assert_allclose(left.pos - right.pos, [0, ROBOT.wheels.track_m, 0])
    np.testing.assert_allclose(left.ipos, 0)
    assert model.opt.timestep * ROBOT.control.substeps == pytest.approx(ROBOT.control.period_s)


def test_the_tray_is_level_and_holds_a_ball() -> None:
    spec = scene()
    ball = spec.worldbody.add_body(name="ball", pos=[0, 0, ROBOT.tray.top_m + 0.03])
    ball.add_freejoint()
    ball.add_geom(size=[0.03, 0, 0], mass=0.05, condim=6, friction=[0.8, 0.01, 0.002])
    with_ball = spec.compile()
    data = mujoco.MjData(with_ball)
    data.ctrl[:] = np.array([0.5, 1.0]) @ ROBOT.wheel_map
    for _ in range(600):
        mujoco.mj_step(with_ball, data)
    offset = data.body("ball").xpos - data.body("mobile/base").xpos
    assert np.abs(offset[:2]).max() < ROBOT.tray.half_width_m
    assert offset[2] == pytest.approx(ROBOT.tray.top_m + 0.03, abs=0.005)
