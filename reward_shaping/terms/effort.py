"""Terms about how a robot moves: measures of effort and wear, wanted small. Signals are (N, k), results (N,)."""

from typing import Annotated

import numpy as np
from pydantic import Field

from reward_shaping.fields import Positive
from reward_shaping.terms.common import length, squared_norm

Array = np.ndarray


def action_rate(action: Array, previous_action: Array) -> Array:
    """Measure jerky control: |a - a_previous|^2.

    A policy that sits at a limit of its actions does not change them: `saturation` sees it.

    Args:
        action: (N, A), in [-1, 1].
        previous_action: same shape, 0 at the start of an episode.

    Returns:
        (N,).
    """
    return squared_norm(action - previous_action)


def saturation(action: Array, limit: Annotated[float, Field(gt=0, le=1)] = 0.95) -> Array:
    """Measure bang-bang control: the part of the actions with |a| >= limit.

    Args:
        action: (N, A), in [-1, 1].
        limit: of one action.

    Returns:
        (N,), in [0, 1].
    """
    part: Array = np.add.reduce(np.abs(action) >= limit, axis=1) / action.shape[1]
    return part


def joint_vel(joint_vel: Array) -> Array:
    """Measure motion of the joints: |q'|^2, rad^2/s^2.

    Args:
        joint_vel: (N, joints), rad/s.

    Returns:
        (N,).
    """
    return squared_norm(joint_vel)


def torque(joint_torque: Array) -> Array:
    """Measure effort: |tau|^2, N^2 m^2.

    Args:
        joint_torque: (N, joints), N m.

    Returns:
        (N,).
    """
    return squared_norm(joint_torque)


def limits(joint_pos: Array, low: list[float], high: list[float], margin: Positive) -> Array:
    """Measure how deep joints are in the last stretch before their limits.

    Sum over the joints of max(0, low + margin - q, q - high + margin).

    Args:
        joint_pos: q, (N, joints), rad.
        low: lower limit of each joint, rad.
        high: upper limit of each joint, rad.
        margin: length of the stretch, rad.

    Returns:
        (N,), rad.
    """
    depth = np.maximum(np.subtract(low, joint_pos), joint_pos - high) + margin
    total: Array = np.maximum(depth, 0.0).sum(axis=1)
    return total


def check_limits(low: list[float], high: list[float], margin: float) -> None:
    """Refuse limits that do not belong together.

    Raises:
        ValueError: different numbers of them, or stretches that meet.
    """
    if len(low) != len(high):
        raise ValueError(f"low: {len(low)} limits, high has {len(high)}")
    for lower, upper in zip(low, high, strict=True):
        if lower + margin > upper - margin:
            raise ValueError(f"margin: {margin:g} leaves nothing between {lower:g} and {upper:g}")


def contact_force(contact_force: Array, free: Annotated[float, Field(ge=0)] = 0.0) -> Array:
    """Measure contact beyond what is free of charge: max(0, |f| - free), N; meant as a cost with a limit.

    Args:
        contact_force: f, (N, k), N.
        free: N.

    Returns:
        (N,).
    """
    beyond: Array = np.maximum(length(contact_force) - free, 0.0)
    return beyond
