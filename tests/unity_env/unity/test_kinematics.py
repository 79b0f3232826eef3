"""The C# kinematics agree with MuJoCo's, and with their Python twins, on 10,000 random inputs."""

import mujoco
import numpy as np
import pytest

from tests.unity_env.csharp.logic import Logic
from unity_env.sim.description import load_description, task_numbers
from unity_env.sim.lidar import clearance
from unity_env.sim.model.arm import add_arm
from unity_env.sim.model.scene import new_scene
from unity_env.sim.plane import to_complex
from unity_env.sim.tasks.cube import turn_between
from unity_env.sim.tasks.mobile_follow import Parameters
from unity_env.sim.tasks.walker import LEGS, Walkers

Array = np.ndarray
N = 10_000
CLOSE = 1e-6
ARM, MOBILE = load_description("arm"), load_description("mobile")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(8)


def unit(vectors: Array) -> Array:
    scaled: Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def matrices(quaternions: Array) -> Array:
    """Rotation matrices of w, x, y, z by MuJoCo, (N, 3, 3)."""
    flat = np.zeros((len(quaternions), 9))
    for matrix, quaternion in zip(flat, quaternions, strict=True):
        mujoco.mju_quat2Mat(matrix, quaternion)
    return flat.reshape(-1, 3, 3)


def test_forward_kinematics_are_those_of_mujoco(logic: Logic, rng: np.random.Generator) -> None:
    spec = new_scene(ARM.control)
    add_arm(spec, ARM)
    model = spec.compile()
    data, tip = mujoco.MjData(model), model.site("arm/tool_tip").id
    low, high = ARM.joint_array("range_rad").T
    angles = rng.uniform(low, high, (N, len(low)))
    found = logic.rows(12, "Forward", logic.arm, angles)
    expected = np.empty((N, 12))
    for row, pose in zip(expected, angles, strict=True):
        data.qpos[:] = pose
        mujoco.mj_kinematics(model, data)
        row[:3], row[3:] = data.site_xpos[tip], data.site_xmat[tip].reshape(3, 3).T.reshape(-1)
    np.testing.assert_allclose(found, expected, atol=CLOSE)


UNITY = np.array(
    [[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
)  # x right, y up, z forward of x forward, y left, z up


def test_frames_convert_as_the_mirror_does_and_back(logic: Logic, rng: np.random.Generator) -> None:
    vectors, quaternions = rng.normal(size=(N, 3)), unit(rng.normal(size=(N, 4)))
    found = logic.rows(23, "Frame", np.concatenate([vectors, quaternions], axis=1))
    vector, axis, quaternion, turned, *back = np.split(found, [3, 6, 10, 13, 16, 19], axis=1)
    np.testing.assert_allclose(vector, vectors @ UNITY.T, atol=CLOSE)
    np.testing.assert_allclose(axis, np.linalg.det(UNITY) * vectors @ UNITY.T, atol=CLOSE)
    in_unity = UNITY @ matrices(quaternions) @ UNITY.T
    np.testing.assert_allclose(matrices(quaternion), in_unity, atol=CLOSE)
    np.testing.assert_allclose(turned, np.einsum("nij,nj->ni", in_unity, vector), atol=CLOSE)
    np.testing.assert_allclose(
        np.concatenate(back, axis=1), np.concatenate([vectors, vectors, quaternions], axis=1), atol=CLOSE
    )


@pytest.mark.parametrize(
    ("robot", "unity"), [((1, 0, 0), (0, 0, 1)), ((0, 1, 0), (-1, 0, 0)), ((0, 0, 1), (0, 1, 0))], ids=["x", "y", "z"]
)
def test_forward_is_z_left_is_minus_x_up_is_y(logic: Logic, robot: tuple[int, ...], unity: tuple[int, ...]) -> None:
    assert logic.rows(23, "Frame", np.array([[*robot, 1.0, 0, 0, 0]]))[0, :3].tolist() == list(unity)


def test_a_rotation_between_directions_takes_one_to_the_other(logic: Logic, rng: np.random.Generator) -> None:
    start, end = unit(rng.normal(size=(N, 3))), unit(rng.normal(size=(N, 3)))
    end[:100] = -start[:100]
    np.testing.assert_allclose(logic.rows(3, "Between", np.concatenate([start, end], axis=1)), end, atol=CLOSE)


def test_the_differential_drive_is_pythons_and_its_own_inverse(logic: Logic, rng: np.random.Generator) -> None:
    velocities = rng.uniform(-3, 3, (N, 2))
    found = logic.rows(4, "Drive", logic.mobile, velocities)
    np.testing.assert_allclose(found, np.concatenate([velocities @ MOBILE.wheel_map, velocities], axis=1), atol=CLOSE)


def test_the_lidars_rays_point_where_pythons_do(logic: Logic) -> None:
    angles = MOBILE.ray_angles_rad
    rays = logic.rows(2, "RayDirections", logic.mobile)
    np.testing.assert_allclose(rays, np.stack([np.cos(angles), np.sin(angles)], axis=1), atol=CLOSE)


def test_a_drives_torque_is_that_of_mujocos_velocity_actuator(logic: Logic, rng: np.random.Generator) -> None:
    drive = ARM.joints[0].drive
    target, velocity, scale = rng.uniform([[-9, -9, 0.5]], [[9, 9, 1.5]], (N, 3)).T
    found = logic.rows(1, "Torque", logic.arm.Joints[0].Drive, np.stack([target, velocity, scale], axis=1))[:, 0]
    expected = np.clip(
        scale * drive.damping_nm_s_per_rad * (target - velocity), -drive.torque_limit_nm, drive.torque_limit_nm
    )
    np.testing.assert_allclose(found, expected, atol=CLOSE)


def test_the_turn_of_a_cube_is_pythons(logic: Logic, rng: np.random.Generator) -> None:
    axis, quaternions = unit(rng.normal(size=(N, 3))), unit(rng.normal(size=(N, 4)))
    found = logic.rows(2, "TurnBetween", np.concatenate([axis, quaternions], axis=1))
    np.testing.assert_allclose(found, turn_between(axis, matrices(quaternions)), atol=CLOSE)


def test_clearance_is_pythons(logic: Logic, rng: np.random.Generator) -> None:
    circles, points = rng.uniform([-3, -3, 0.1], [3, 3, 0.8], (8, 3)), rng.uniform(-3, 3, (N, 2))
    found = logic.rows(1, "Clearance", 3.0, circles, points)[:, 0]
    centres = np.tile(to_complex(np.ascontiguousarray(circles[:, :2])), (N, 1))
    radii = np.tile(circles[:, 2], (N, 1))
    np.testing.assert_allclose(found, clearance(to_complex(points), centres, radii, 3.0), atol=CLOSE)


def test_a_person_walks_as_in_python(logic: Logic, rng: np.random.Generator) -> None:
    walkers = Walkers(1, task_numbers(Parameters, MOBILE, "mobile_follow").gait, 0.04)
    walkers.start(0, rng, 1.0, 0.5)
    start = np.concatenate([walkers.memory["person_position"][0], walkers.memory["person_ahead"][0]])
    others = np.cumsum(rng.normal(0, 0.03, (N, 2)), axis=0) % 4 - 2
    expected = np.empty((N, 6))
    for row, other in zip(expected, others, strict=True):
        walkers.step(to_complex(other[None]))
        row[:] = np.concatenate([walkers.memory[f"person_{of}"][0] for of in ("position", "ahead", "velocity")])
    numbers = logic.mobile.Tasks["mobile_follow"].Parameters
    assert int(logic.type("Walk").GetField("Legs").GetRawConstantValue()) == LEGS
    found = logic.rows(6, "Walked", numbers, 0.04, walkers.memory["person_legs"][0], start, others)
    np.testing.assert_allclose(found, expected, atol=CLOSE)
    assert walkers.memory["person_leg"][0] > 5
