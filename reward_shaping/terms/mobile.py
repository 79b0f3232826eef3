"""Terms of driving robots."""

import numpy as np

from reward_shaping.terms.common import Array, Positive


def collision(collision: Array) -> Array:
    """Count 1 in the step of a collision.

    Args:
        collision: (N, 1), 0 or 1.

    Returns:
        (N,).
    """
    return collision[:, 0]


def clearance(clearance: Array, safe: Positive) -> Array:
    """Blame nearness to obstacles: min(c / safe, 1) - 1, in [-1, 0]; free space pays nothing.

    Args:
        clearance: c, free distance around the robot, (N, 1), m.
        safe: distance from which on there is no blame, m.

    Returns:
        (N,).
    """
    blame: Array = np.minimum(np.maximum(clearance[:, 0] / safe, 0.0), 1.0) - 1.0
    return blame


def approach_speed(forward_velocity: Array, goal_bearing: Array, max_velocity: Positive) -> Array:
    """Score driving towards the goal: v cos(bearing) / v_max; standing pays nothing, wherever the robot looks.

    Args:
        forward_velocity: v, (N, 1), m/s.
        goal_bearing: 0 = straight ahead, (N, 1), rad.
        max_velocity: v_max, m/s.

    Returns:
        (N,).
    """
    speed: Array = forward_velocity[:, 0] * np.cos(goal_bearing[:, 0]) / max_velocity
    return speed


def spin(yaw_velocity: Array, forward_velocity: Array, slow: Positive) -> Array:
    """Measure turning on the spot: |omega| where |v| < slow, else 0, rad/s.

    Args:
        yaw_velocity: omega, (N, 1), rad/s.
        forward_velocity: v, (N, 1), m/s.
        slow: speed from which on turning is free, m/s.

    Returns:
        (N,).
    """
    turning: Array = np.abs(yaw_velocity[:, 0]) * (np.abs(forward_velocity[:, 0]) < slow)
    return turning


def keep_distance(person_distance: Array, near: Positive, far: Positive, margin: Positive) -> Array:
    """Score a kept distance: 1 between near and far, else 1 - tanh(error / margin), in [0, 1].

    Args:
        person_distance: (N, 1), m.
        near: the least wanted distance, m.
        far: the largest, m.
        margin: error at which the score has fallen to 0.24, m.

    Returns:
        (N,).
    """
    distance = person_distance[:, 0]
    error = np.maximum(np.maximum(near - distance, distance - far), 0.0)
    score: Array = 1.0 - np.tanh(error / margin)
    return score


def facing(person_bearing: Array) -> Array:
    """Score looking at someone: (1 + cos(bearing)) / 2, in [0, 1].

    Args:
        person_bearing: 0 = straight ahead, (N, 1), rad.

    Returns:
        (N,).
    """
    score: Array = (1.0 + np.cos(person_bearing[:, 0])) / 2.0
    return score


def in_place(in_place: Array) -> Array:
    """Count 1 per step in which distance and bearing are as wanted.

    Args:
        in_place: (N, 1), 0 or 1.

    Returns:
        (N,).
    """
    return in_place[:, 0]
