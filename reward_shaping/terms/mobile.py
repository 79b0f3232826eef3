"""Terms of driving robots. Signals are (N, k), results (N,)."""

from math import inf, pi

import numpy as np

from reward_shaping.fields import Positive
from reward_shaping.kernels import Kind
from reward_shaping.kernels import tolerance as within
from reward_shaping.terms.common import Array, column


def collision(collision: Array) -> Array:
    """Count 1 in the step of a collision.

    Args:
        collision: (N, 1), 0 or 1.

    Returns:
        (N,).
    """
    return column(collision)


def arrived(goal_distance: Array, forward_velocity: Array, tolerance: Positive, stop_velocity: Positive) -> Array:
    """Count 1 while the goal is reached and the robot stands: 1[d < tolerance and |v| < stop_velocity].

    For builds that send no `success`.

    Args:
        goal_distance: d, (N, 1), m.
        forward_velocity: v, (N, 1), m/s.
        tolerance: m.
        stop_velocity: m/s.

    Returns:
        (N,).
    """
    there = np.heaviside(tolerance - column(goal_distance), 0.0)
    stands = np.heaviside(stop_velocity - np.abs(column(forward_velocity)), 0.0)
    done: Array = there * stands
    return done


def clearance(clearance: Array, safe: Positive) -> Array:
    """Blame nearness to obstacles: min(c / safe, 1) - 1, in [-1, 0]; free space pays nothing.

    Args:
        clearance: c, free distance around the robot, (N, 1), m.
        safe: distance from which on there is no blame, m.

    Returns:
        (N,).
    """
    blame: Array = np.minimum(np.maximum(column(clearance) / safe, 0.0), 1.0) - 1.0
    return blame


def lidar_clearance(lidar: Array, safe: Positive, margin: Positive, kind: Kind = "linear") -> Array:
    """Blame the nearest thing that a lidar sees: tolerance(min r; [safe, inf), margin) - 1, in [-1, 0].

    Args:
        lidar: r, (N, rays), m.
        safe: distance from which on there is no blame, m.
        margin: how much nearer the blame is 0.9, m.
        kind: shape of the rise, a kernel of `reward_shaping.kernels`.

    Returns:
        (N,).
    """
    blame: Array = within(lidar.min(axis=1), (safe, inf), margin, kind) - 1.0
    return blame


def ttc(lidar: Array, forward_velocity: Array, horizon: Positive, radius: Positive) -> Array:
    """Blame a short time to collision: -max(0, 1 - TTC / horizon), in [-1, 0].

    TTC is the least over the rays of (r - radius) / (v cos a), for things at rest that the robot drives towards:
    unlike a distance it lets the robot pass a doorway slowly.

    Args:
        lidar: r, (N, rays), m; rays evenly around the robot, counter-clockwise, the first one forward.
        forward_velocity: v, (N, 1), m/s; negative is backward.
        horizon: time from which on there is no blame, s.
        radius: of the robot about the lidar, m.

    Returns:
        (N,).
    """
    angles = 2.0 * pi * np.arange(lidar.shape[1]) / lidar.shape[1]
    closing = forward_velocity * np.cos(angles)
    gap = np.maximum(lidar - radius, 0.0)
    # 1 - TTC / horizon = 1 - gap / (closing horizon), without a division by a speed of 0
    reachable = np.maximum(closing, 0.0) * horizon
    urgency = (reachable - gap) / np.maximum(reachable, 1e-6)
    blame: Array = -np.maximum(urgency.max(axis=1), 0.0)
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
    speed: Array = column(forward_velocity) * np.cos(column(goal_bearing)) / max_velocity
    return speed


def heading(goal_bearing: Array) -> Array:
    """Measure how far the robot looks away from its goal: |bearing|, in [0, pi] rad.

    Args:
        goal_bearing: 0 = straight ahead, (N, 1), rad.

    Returns:
        (N,).
    """
    away: Array = np.abs(column(goal_bearing))
    return away


def spin(yaw_velocity: Array, forward_velocity: Array, slow: Positive) -> Array:
    """Measure turning on the spot: |omega| where |v| < slow, else 0, rad/s.

    Args:
        yaw_velocity: omega, (N, 1), rad/s.
        forward_velocity: v, (N, 1), m/s.
        slow: speed from which on turning is free, m/s.

    Returns:
        (N,).
    """
    turning: Array = np.abs(column(yaw_velocity)) * (np.abs(column(forward_velocity)) < slow)
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
    distance = column(person_distance)
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
    score: Array = (1.0 + np.cos(column(person_bearing))) / 2.0
    return score
