"""Terms that serve any robot."""

from typing import Annotated

import numpy as np
from pydantic import Field

Array = np.ndarray
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def env_reward(env_reward: Array) -> Array:
    """Pass on the environment's own reward (Unity's AddReward), (N,)."""
    return env_reward


def time(terminated: Array) -> Array:
    """Count 1 per decision: a negative weight asks for haste."""
    return np.ones(terminated.shape)


def success(success: Array) -> Array:
    """Pay 1 in the step in which the task was solved.

    Args:
        success: (N, 1), 0 or 1.

    Returns:
        (N,).
    """
    return success[:, 0]


def reach(goal_distance: Array, std: Positive) -> Array:
    """Score nearness to the goal: 1 - tanh(d / std), in (0, 1].

    Args:
        goal_distance: d, (N, 1), m.
        std: distance at which the score has fallen to 0.24, m.

    Returns:
        (N,).
    """
    score: Array = 1.0 - np.tanh(goal_distance[:, 0] / std)
    return score


def progress(goal_distance_before: Array, goal_distance: Array) -> Array:
    """Measure the way made towards the goal in this step: d - d', m; a closed path sums to zero.

    Args:
        goal_distance_before: d, (N, 1), m.
        goal_distance: d', (N, 1), m.

    Returns:
        (N,).
    """
    made: Array = goal_distance_before[:, 0] - goal_distance[:, 0]
    return made


def change(state_before: Array, state: Array) -> Array:
    """Pay 1 when a state begins and charge 1 when it ends, so that waiting in it earns nothing.

    Args:
        state_before: (N, 1), 0 or 1.
        state: (N, 1), 0 or 1.

    Returns:
        (N,).
    """
    changed: Array = state[:, 0].astype(float) - state_before[:, 0]
    return changed


def action_rate(action: Array, previous_action: Array) -> Array:
    """Measure jerky control: |a - a_previous|^2.

    Args:
        action: (N, A), in [-1, 1].
        previous_action: same shape, 0 at the start of an episode.

    Returns:
        (N,).
    """
    return _squared_norm(action - previous_action)


def joint_vel(joint_vel: Array) -> Array:
    """Measure motion of the joints: |q'|^2, rad^2/s^2.

    Args:
        joint_vel: (N, joints), rad/s.

    Returns:
        (N,).
    """
    return _squared_norm(joint_vel)


def _squared_norm(x: Array) -> Array:
    norm: Array = np.vecdot(x, x)
    return norm
