"""The arm by hand: damped least-squares reach, and pick-and-place as a sequence of reaches.

Both are functions of what is measured now: which part of the sequence is due is read from the components.
"""

from collections.abc import Callable, Mapping

import numpy as np
from mujoco.batch import Batch

from unity_env.sim.description import ArmDescription, load_description
from unity_env.sim.env import SimEnv
from unity_env.sim.model.arm import add_arm
from unity_env.sim.model.scene import new_scene

Array = np.ndarray
Components = Mapping[str, Array]

_DAMPING = 0.03  # of the least squares, m: keeps joints slow near singular poses
_GAIN = 10.0  # 1/s, tool velocity per distance
_TURN_GAIN = 4.0  # 1/s
_MAX_SPEED = 0.6  # m/s, of the tool
_ABOVE = np.array([0.0, 0.0, 0.09])  # m, over the cube or the goal before going down, and while carrying
_NEAR = 0.012  # m


class Kinematics:
    """Joint velocities for wanted tool velocities.

    Args:
        robot: the arm.
        num_rows: how many at once.
    """

    def __init__(self, robot: ArmDescription, num_rows: int) -> None:
        spec = new_scene(robot.control)
        add_arm(spec, robot)
        self._batch = Batch(spec.compile(), num_rows, 1)
        model = self._batch.get_model(0)
        self._hand = model.body(f"{robot.name}/{robot.joints[-1].name}").id
        self._max_velocity = robot.joint_array("max_velocity_rad_s")

    def command(self, joint_pos: Array, tool_pos: Array, velocity: Array, turn: Array | None = None) -> Array:
        """Solve J q' = v by damped least squares, q' = J^T (J J^T + d^2 I)^-1 v, and scale it to the joints' limits.

        Args:
            joint_pos: (N, joints), rad.
            tool_pos: (N, 3), m, base frame.
            velocity: wanted of the tool tip, (N, 3), m/s.
            turn: wanted angular velocity of the tool, (N, 3), rad/s; None leaves it free.

        Returns:
            (N, joints), fractions of the largest velocities, in [-1, 1].
        """
        self._batch.bind("qpos")[:] = joint_pos
        linear, angular = self._batch.jac(self._hand, tool_pos)
        jacobian = linear if turn is None else np.concatenate([linear, angular], axis=1)
        wanted = velocity if turn is None else np.concatenate([velocity, turn], axis=1)
        transposed = jacobian.transpose(0, 2, 1)
        damped = jacobian @ transposed + _DAMPING**2 * np.eye(jacobian.shape[1])
        joint_vel = (transposed @ np.linalg.solve(damped, wanted[..., None]))[..., 0]
        fraction = joint_vel / self._max_velocity
        scaled: Array = fraction / np.maximum(np.abs(fraction).max(axis=1, keepdims=True), 1.0)
        return scaled


def reach(env: SimEnv) -> dict[str, Callable[[Components], Array]]:
    """Move the tool tip straight to the goal."""
    (role,) = env.task.roles
    kinematics = Kinematics(load_description("arm"), env.num_areas)

    def control(components: Components) -> Array:
        velocity = _towards(components["goal_error"])
        return kinematics.command(components["joint_pos"], components["tool_pos"], velocity)

    return {role.behavior: control}


def pick_place(env: SimEnv) -> dict[str, Callable[[Components], Array]]:
    """Go above the cube, down, close, lift, carry, lower, open, go up."""
    role = env.task.role_of("arm")
    kinematics = Kinematics(load_description("arm"), env.num_areas)

    def control(components: Components) -> Array:
        way, gripper = plan(components)
        turn = _upright(components["tool_axis"])
        turn[:, 2] += _TURN_GAIN * 0.25 * np.arctan2(*components["cube_turn"].T) * (gripper > 0)
        joints = kinematics.command(components["joint_pos"], components["tool_pos"], _towards(way), turn)
        return np.concatenate([joints, gripper[:, None]], axis=1)

    return {role.behavior: control}


def plan(components: Components) -> tuple[Array, Array]:
    """Choose where the tool tip goes next, and whether the gripper is open.

    Returns:
        way (N, 3) from the tool tip, m, base frame; gripper (N,), 1 open or -1 closed.
    """
    cube = components["cube_pos"] - components["tool_pos"]
    goal = cube + components["goal_cube"]
    height, size = components["cube_height"][:, 0], components["cube_size"][:, 0]
    over_cube = np.linalg.norm(cube[:, :2], axis=1) < _NEAR
    aligned = np.abs(np.arctan2(*components["cube_turn"].T)) < 0.6
    over_goal = np.linalg.norm(components["goal_cube"][:, :2], axis=1) < _NEAR
    lifted, grasped = components["lifted"][:, 0] > 0, components["grasped"][:, 0] > 0
    around = np.linalg.norm(cube, axis=1) < _NEAR
    done = lifted & (components["placed"][:, 0] > 0) & (height < 0.005) & (over_goal | ~grasped)
    holds = ~done & (grasped | (around & (np.abs(components["finger_opening"][:, 0] - size) < 0.004)))
    free = components["finger_opening"][:, 0] > size + 0.01

    above_cube, above_goal = cube + _ABOVE, goal + _ABOVE
    way = np.where((over_cube & aligned)[:, None], cube, above_cube)
    raised = np.where((height > 0.5 * _ABOVE[2])[:, None], above_goal, above_goal * [0, 0, 1])
    way = np.where(holds[:, None], np.where(over_goal[:, None], goal, raised), way)
    way = np.where(done[:, None], free[:, None] * _ABOVE, way)
    gripper = np.where(holds | (around & ~done), -1.0, 1.0)
    return way, gripper


def _towards(way: Array) -> Array:
    """Return a tool velocity along a way, (N, 3), m/s, slower near its end."""
    speed = _GAIN * np.linalg.norm(way, axis=1, keepdims=True)
    velocity: Array = _GAIN * way * np.minimum(1.0, _MAX_SPEED / np.maximum(speed, 1e-9))
    return velocity


def _upright(tool_axis: Array) -> Array:
    """Return the angular velocity that turns the tool downwards, (N, 3), rad/s."""
    turn: Array = _TURN_GAIN * np.cross(tool_axis, [0.0, 0.0, -1.0])
    return turn
