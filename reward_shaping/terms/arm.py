"""Terms for reaching with a tool, and for picking up and placing an object. Signals are (N, k), results (N,).

The stages are potentials, in [0, 1]: used as such, or as gains, neither waiting in a good state nor leaving and
entering it again pays, and what was lost is charged. Holding on, for example, is paid once.
"""

import numpy as np

from reward_shaping.fields import Positive
from reward_shaping.terms.common import column, squared_norm

Array = np.ndarray

OPEN_M = 0.02  # how much more than the cube's width the fingers' gap is when they are open


def orient(tool_quaternion: Array, goal_quaternion: Array) -> Array:
    """Measure the angle between two orientations: 2 acos |<q, q*>|, in [0, pi] rad; q and -q are the same.

    Ungated, it gets in the way of the approach: `when` lets it count near the goal only.

    Args:
        tool_quaternion: q, (N, 4), of length 1.
        goal_quaternion: q*, the same.

    Returns:
        (N,).
    """
    same = np.abs(np.einsum("ij,ij->i", tool_quaternion, goal_quaternion))
    angle: Array = 2.0 * np.arccos(np.minimum(same, 1.0))
    return angle


def tool_tilt(tool_down: Array) -> Array:
    """Measure how far the tool is from pointing straight down: (1 - cos angle) / 2, in [0, 1].

    Args:
        tool_down: cosine of the angle, (N, 1).

    Returns:
        (N,).
    """
    tilt: Array = (1.0 - column(tool_down)) / 2.0
    return tilt


def grasp_reach(tool_cube_distance: Array, placed: Array, std: Positive) -> Array:
    """Tell how near the tool is to the cube: 1 - tanh(d / std), 1 while the cube is placed.

    Args:
        tool_cube_distance: d, (N, 1), m.
        placed: (N, 1), 0 or 1; a placed cube may be left.
        std: distance at which it has fallen to 0.24, m.

    Returns:
        (N,).
    """
    near: Array = np.maximum(column(placed), 1.0 - np.tanh(column(tool_cube_distance) / std))
    return near


def grasp(grasped: Array, placed: Array) -> Array:
    """Tell whether both fingers press on the cube: 1 while grasped or placed.

    Args:
        grasped: (N, 1), 0 or 1.
        placed: (N, 1), 0 or 1; a placed cube may be let go.

    Returns:
        (N,).
    """
    held: Array = np.maximum(column(grasped), column(placed))
    return held


def pinch(finger_force: Array, force: Positive) -> Array:
    """Tell how firmly both fingers press: min(f_left, f_right) / force, in [0, 1].

    Args:
        finger_force: f, (N, 2), N.
        force: from which on the grip is firm, N.

    Returns:
        (N,).
    """
    firm: Array = np.minimum(np.maximum(finger_force.min(axis=1) / force, 0.0), 1.0)
    return firm


def lift(cube_height: Array, grasped: Array, lifted: Array, height: Positive) -> Array:
    """Tell how high the grasped cube is: h / height, in [0, 1], and 1 once it has been lifted.

    Args:
        cube_height: h, (N, 1), m, 0 on the table.
        grasped: (N, 1), 0 or 1.
        lifted: (N, 1), 0 or 1, for the rest of the episode.
        height: where it reaches 1, m.

    Returns:
        (N,).
    """
    return _raised(column(cube_height) / height, grasped, lifted)


def lift_by_size(cube_height: Array, cube_size: Array, grasped: Array, lifted: Array, sizes: Positive = 1.0) -> Array:
    """Tell how high the grasped cube is, measured by its own size: h / (sizes cube_size), in [0, 1].

    Args:
        cube_height: h, (N, 1), m, 0 on the table.
        cube_size: (N, 1), m.
        grasped: (N, 1), 0 or 1.
        lifted: (N, 1), 0 or 1, for the rest of the episode.
        sizes: how many of its sizes the cube is to be lifted.

    Returns:
        (N,).
    """
    return _raised(column(cube_height) / (sizes * column(cube_size)), grasped, lifted)


def transport(cube_goal_distance: Array, lifted: Array, std: Positive) -> Array:
    """Tell how near the lifted cube is to its goal: 1 - tanh(d / std), 0 before it was lifted.

    Args:
        cube_goal_distance: d, (N, 1), m.
        lifted: (N, 1), 0 or 1, for the rest of the episode.
        std: distance at which it has fallen to 0.24, m.

    Returns:
        (N,).
    """
    near: Array = column(lifted) * (1.0 - np.tanh(column(cube_goal_distance) / std))
    return near


def place(goal_cube: Array, cube_vel: Array, across: Positive, above: Positive, speed: Positive) -> Array:
    """Tell how well the cube lies where it should: exp(-(xy / across)^2 - (z / above)^2 - (v / speed)^2), in [0, 1].

    A product: hovering over the goal is worth as little as lying still beside it.

    Args:
        goal_cube: from the cube to its goal, (N, 3), z up, m.
        cube_vel: (N, 3), m/s.
        across: distance over the ground at which a factor has fallen to 1/e, m.
        above: height at which a factor has fallen to 1/e, m.
        speed: speed at which a factor has fallen to 1/e, m/s.

    Returns:
        (N,).
    """
    off = squared_norm(goal_cube[:, :2]) / across**2 + np.square(goal_cube[:, 2] / above)
    placed: Array = np.exp(-off - squared_norm(cube_vel) / speed**2)
    return placed


def place_release(
    placed: Array, finger_opening: Array, tool_cube_distance: Array, cube_size: Array, clearance: Positive
) -> Array:
    """Tell how far the placed cube is let go: (open + away) / 2 while placed, else 0.

    `open` grows from 0 to 1 while the gap of the fingers grows to 2 cm more than the cube, `away` while the
    tool's distance grows to `clearance`.

    Args:
        placed: (N, 1), 0 or 1.
        finger_opening: (N, 1), m.
        tool_cube_distance: (N, 1), m.
        cube_size: (N, 1), m.
        clearance: distance of the tool from the cube at which `away` is 1, m.

    Returns:
        (N,).
    """
    opened = np.minimum(np.maximum((column(finger_opening) - column(cube_size)) / OPEN_M, 0.0), 1.0)
    left: Array = column(placed) * (opened + np.minimum(column(tool_cube_distance) / clearance, 1.0)) / 2.0
    return left


def _raised(share: Array, grasped: Array, lifted: Array) -> Array:
    raised: Array = np.maximum(column(lifted), column(grasped) * np.minimum(np.maximum(share, 0.0), 1.0))
    return raised
