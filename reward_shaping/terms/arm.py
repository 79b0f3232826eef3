"""Terms for picking up and placing an object.

Each but `tool_tilt` is the gain of a potential: Phi' - Phi, Phi in [0, 1]. A closed path sums to zero, so that
neither waiting in a good state nor leaving and entering it again pays; what was lost is charged.
"""

import numpy as np

from reward_shaping.terms.common import Positive

Array = np.ndarray


def grasp_reach(
    tool_cube_distance_before: Array,
    tool_cube_distance: Array,
    placed_before: Array,
    placed: Array,
    std: Positive,
) -> Array:
    """Pay for bringing the tool to the cube: Phi = 1 - tanh(d / std), 1 while the cube is placed.

    Args:
        tool_cube_distance_before: d, (N, 1), m.
        tool_cube_distance: d', (N, 1), m.
        placed_before: (N, 1), 0 or 1; a placed cube may be left.
        placed: the same after the step.
        std: distance at which Phi has fallen to 0.24, m.

    Returns:
        (N,).
    """

    def potential(distance: Array, placed: Array) -> Array:
        near: Array = np.maximum(placed, 1.0 - np.tanh(distance / std))
        return near

    return _gain(potential(tool_cube_distance_before, placed_before), potential(tool_cube_distance, placed))


def grasp(grasped_before: Array, grasped: Array, placed_before: Array, placed: Array) -> Array:
    """Pay for taking hold of the cube: Phi = 1 while grasped or placed.

    Args:
        grasped_before: (N, 1), 0 or 1.
        grasped: the same after the step.
        placed_before: (N, 1), 0 or 1; a placed cube may be let go.
        placed: the same after the step.

    Returns:
        (N,).
    """
    return _gain(np.maximum(grasped_before, placed_before), np.maximum(grasped, placed))


def lift(
    cube_height_before: Array,
    cube_height: Array,
    grasped_before: Array,
    grasped: Array,
    lifted_before: Array,
    lifted: Array,
    height: Positive,
) -> Array:
    """Pay for lifting the grasped cube: Phi = h / height, at most 1, and 1 once it has been lifted.

    Args:
        cube_height_before: h, (N, 1), m, 0 on the table.
        cube_height: h', (N, 1), m.
        grasped_before: (N, 1), 0 or 1.
        grasped: the same after the step.
        lifted_before: (N, 1), 0 or 1, for the rest of the episode.
        lifted: the same after the step.
        height: where Phi reaches 1, m.

    Returns:
        (N,).
    """

    def potential(cube_height: Array, grasped: Array, lifted: Array) -> Array:
        raised: Array = np.maximum(lifted, grasped * np.minimum(np.maximum(cube_height / height, 0.0), 1.0))
        return raised

    return _gain(potential(cube_height_before, grasped_before, lifted_before), potential(cube_height, grasped, lifted))


def transport(
    cube_goal_distance_before: Array,
    cube_goal_distance: Array,
    lifted_before: Array,
    lifted: Array,
    std: Positive,
) -> Array:
    """Pay for bringing the lifted cube to its goal: Phi = 1 - tanh(d / std), 0 before it was lifted.

    Args:
        cube_goal_distance_before: d, (N, 1), m.
        cube_goal_distance: d', (N, 1), m.
        lifted_before: (N, 1), 0 or 1, for the rest of the episode.
        lifted: the same after the step.
        std: distance at which Phi has fallen to 0.24, m.

    Returns:
        (N,).
    """

    def potential(distance: Array, lifted: Array) -> Array:
        near: Array = lifted * (1.0 - np.tanh(distance / std))
        return near

    return _gain(potential(cube_goal_distance_before, lifted_before), potential(cube_goal_distance, lifted))


def place_release(
    placed_before: Array,
    placed: Array,
    finger_opening_before: Array,
    finger_opening: Array,
    tool_cube_distance_before: Array,
    tool_cube_distance: Array,
    cube_size: Array,
    clearance: Positive,
) -> Array:
    """Pay for letting the placed cube go and drawing back: Phi = (open + away) / 2 while placed, else 0.

    `open` grows from 0 to 1 while the gap of the fingers grows to 2 cm more than the cube, `away` while the
    tool's distance grows to `clearance`.

    Args:
        placed_before: (N, 1), 0 or 1.
        placed: the same after the step.
        finger_opening_before: (N, 1), m.
        finger_opening: the same after the step.
        tool_cube_distance_before: (N, 1), m.
        tool_cube_distance: the same after the step.
        cube_size: (N, 1), m.
        clearance: distance of the tool from the cube at which `away` is 1, m.

    Returns:
        (N,).
    """

    def potential(placed: Array, opening: Array, distance: Array) -> Array:
        opened = np.minimum(np.maximum((opening - cube_size) / 0.02, 0.0), 1.0)
        left: Array = placed * (opened + np.minimum(distance / clearance, 1.0)) / 2.0
        return left

    return _gain(
        potential(placed_before, finger_opening_before, tool_cube_distance_before),
        potential(placed, finger_opening, tool_cube_distance),
    )


def tool_tilt(tool_down: Array) -> Array:
    """Measure how far the tool is from pointing straight down: (1 - cos angle) / 2, in [0, 1].

    Args:
        tool_down: cosine of the angle, (N, 1).

    Returns:
        (N,).
    """
    tilt: Array = (1.0 - tool_down[:, 0]) / 2.0
    return tilt


def _gain(before: Array, after: Array) -> Array:
    gain: Array = (after - before)[:, 0]
    return gain
