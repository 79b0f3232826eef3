"""A cube that an arm grasps, in a batch of scenes: where it is, beside the tool and the goal."""

import math

import numpy as np
from mujoco.batch import Batch

from unity_env.sim.compiled import compiled
from unity_env.sim.description import ArmDescription, Interval, Strict, number_error
from unity_env.sim.tasks.arm_parts import ArmInScene, Hand
from unity_env.sim.tasks.task import Rows

Array = np.ndarray


class GraspNumbers(Strict):
    """What tasks in which the arm grasps have in common among their parameters in robots/arm.yaml."""

    still_m_s: float
    lift_m: float
    release_m: float
    grip_n: float
    hold_s: float
    home_rad: tuple[float, ...]
    start_noise_rad: float
    radius_m: Interval
    azimuth_rad: Interval

    def sample_pose(self, rng: np.random.Generator) -> Array:
        """Draw joint angles about the home pose, (joints,), rad."""
        noise = self.start_noise_rad
        pose: Array = np.array(self.home_rad) + rng.uniform(-noise, noise, len(self.home_rad))
        return pose

    def sample_place(self, rng: np.random.Generator, spread: float = 1.0) -> tuple[float, float]:
        """Draw a place on the table, uniform in a part of the described sector, m.

        Args:
            rng: where the numbers come from.
            spread: the part's width and depth, as fractions of the sector's, about its middle.
        """
        along, about = (0.5 + spread * (rng.random(2) - 0.5)).tolist()
        return self.place_at(along, about)

    def place_at(self, along: float, about: float) -> tuple[float, float]:
        """Return the place of the sector at such fractions of its area along the radius and about the axis, m."""
        inner, outer = (bound**2 for bound in self.radius_m)
        right, left = self.azimuth_rad
        radius, azimuth = math.sqrt(inner + (outer - inner) * along), right + (left - right) * about
        return radius * math.cos(azimuth), radius * math.sin(azimuth)

    def check_reach(self, robot: ArmDescription, task: str) -> None:
        """Refuse a sector that the arm is too short for.

        Raises:
            DescriptionError: it is.
        """
        outer, reach = self.radius_m[1], robot.reach_on_table_m
        if outer > reach:
            why = f"{outer:g} m is beyond the arm's reach of {reach:.2f} m on the table"
            raise number_error(robot, task, "radius_m", why)


class CubeInScene:
    """The cube in every row's scene; positions are in the frame of the arm's base.

    Args:
        name: of its body, its joint and its geom.
        batch: the simulations.
        arm: that grasps it.
        numbers: from which force and distance on it counts as grasped and released.

    Attributes:
        qpos: where MuJoCo keeps its position and its quaternion, (7,).
        body_id: of its body.
        geom_id: of its geom.
    """

    def __init__(self, name: str, batch: Batch, arm: ArmInScene, numbers: GraspNumbers) -> None:
        model = batch.get_model(0)
        self._arm, self._numbers = arm, numbers
        joint = model.joint(name)
        self.qpos = int(joint.qposadr[0]) + np.arange(7)
        self.body_id, self.geom_id = model.body(name).id, model.geom(name).id
        first = int(joint.dofadr[0])
        self._pos, self._vel = batch.bind("qpos"), batch.bind("qvel")[:, first : first + 3]
        self._body_pos, self._body_mat = batch.bind("xpos")[:, self.body_id], batch.bind("xmat")[:, self.body_id]

    def place(self, row: int, pos: Array, yaw: float) -> None:
        """Let the cube of a row lie at `pos`, (3,), m, turned about the vertical by `yaw`, rad."""
        turn = (np.cos(0.5 * yaw), 0.0, 0.0, np.sin(0.5 * yaw))
        self._pos[row, self.qpos] = (*(pos + self._arm.origin), *turn)

    def measure(self, rows: Rows, hand: Hand, size: Array, goal: Array) -> dict[str, Array]:
        """Measure all that sensors carry of the cube, and what decides about an episode.

        Args:
            rows: which.
            hand: theirs.
            size: length of its edges, (rows, 1), m.
            goal: where its centre should be, (rows, 3), m.
        """
        pos = self._body_pos[rows] - self._arm.origin
        tool_cube, goal_cube = pos - hand.pos, goal - pos
        tool_cube_distance = _length(tool_cube)
        clear = tool_cube_distance >= self._numbers.release_m
        grip = np.minimum(hand.pressing[:, :1], hand.pressing[:, 1:])
        return {
            "cube_pos": pos,
            "cube_vel": self._vel[rows],
            "cube_height": pos[:, 2:] - 0.5 * size,
            "cube_size": size,
            "cube_tool": (tool_cube[:, None] @ hand.rotation)[:, 0],
            "cube_turn": turn_between(hand.axis, np.ascontiguousarray(self._body_mat[rows]).reshape(-1, 3, 3)),
            "goal_cube": goal_cube,
            "tool_cube_distance": tool_cube_distance,
            "cube_goal_distance": _length(goal_cube),
            "grasped": grip >= self._numbers.grip_n,
            "released": clear & ~hand.touches[:, None],
        }


@compiled
def turn_between(axis: Array, cube: Array) -> Array:
    """Return sine and cosine of 4 times the angle about the vertical from an axis to a side of a cube, (N, 2).

    Args:
        axis: (N, 3).
        cube: the cube's axes as columns, (N, 3, 3); the most upright one is left out.
    """
    assert len(axis) == len(cube)
    turns = np.empty((len(axis), 2))
    for row in range(len(axis)):
        side = (np.abs(cube[row, 2]).argmax() + 1) % 3
        turn = complex(cube[row, 0, side], cube[row, 1, side]) * complex(axis[row, 0], -axis[row, 1])
        twice = (turn / max(abs(turn), 1e-9)) ** 2
        four_times = twice * twice
        turns[row, 0], turns[row, 1] = four_times.imag, four_times.real
    return turns


def _length(vectors: Array) -> Array:
    length: Array = np.sqrt(np.vecdot(vectors, vectors))[:, None]
    return length
