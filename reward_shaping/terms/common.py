"""Terms that serve any robot. Signals are (N, k), results (N,)."""

from math import inf
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field

from reward_shaping import kernels
from reward_shaping.fields import Fraction, Positive
from reward_shaping.kernels import Kind

Array = np.ndarray


def _open_sides(bounds: Any) -> Any:
    """Read null as an open side: a resolved configuration, being JSON, has no infinity."""
    if not isinstance(bounds, list) or len(bounds) != 2:
        return bounds
    lower, upper = bounds
    return [-inf if lower is None else lower, inf if upper is None else upper]


Bounds = Annotated[list[float], Field(min_length=2, max_length=2), BeforeValidator(_open_sides)]


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
    return column(success)


def failure(terminated: Array, success: Array) -> Array:
    """Count 1 in the step that ends an episode without success; a time limit is no failure.

    Args:
        terminated: (N,) bool.
        success: (N, 1), 0 or 1.

    Returns:
        (N,).
    """
    failed: Array = terminated * (1.0 - column(success))
    return failed


def flag(flag: Array) -> Array:
    """Count 1 while a signal is 1; with `use: gain` once when that begins, and back when it ends.

    Args:
        flag: (N, 1), 0 or 1.

    Returns:
        (N,).
    """
    return column(flag)


def tolerance(
    value: Array, bounds: Bounds, margin: float = 0.0, kind: Kind = "linear", value_at_margin: float = 0.1
) -> Array:
    """Score how well a quantity lies within bounds: 1 inside, value_at_margin at distance margin from them.

    Args:
        value: (N, 1), or (N, k) of which the Euclidean length counts.
        bounds: lower and upper, value's unit; null leaves a side open.
        margin: value's unit; 0 makes a step.
        kind: shape of the fall, a kernel of `reward_shaping.kernels`.
        value_at_margin: score at the margin.

    Returns:
        (N,), in [0, 1].
    """
    return kernels.tolerance(length(value), bounds, margin, kind, value_at_margin)


def reach(goal_distance: Array, std: Positive) -> Array:
    """Score nearness to the goal: 1 - tanh(d / std), in (0, 1].

    Args:
        goal_distance: d, (N, 1), m.
        std: distance at which the score has fallen to 0.24, m.

    Returns:
        (N,).
    """
    score: Array = 1.0 - np.tanh(column(goal_distance) / std)
    return score


def coarse_fine(goal_distance: Array, coarse: Positive, fine: Positive, fine_share: Fraction = 0.5) -> Array:
    """Score nearness twice: (1 - w)(1 - tanh(d / coarse)) + w (1 - tanh(d / fine)), in [0, 1].

    Args:
        goal_distance: d, (N, 1), m.
        coarse: where the part that leads there has fallen to 0.24, m.
        fine: where the part that ends the way has fallen to 0.24, m.
        fine_share: w.

    Returns:
        (N,).
    """
    return kernels.coarse_fine(column(goal_distance), coarse, fine, fine_share)


def goal_progress(goal_distance: Array, start_distance: Positive) -> Array:
    """Tell how much of the way is done: 1 - d / d_0, a potential.

    A geodesic distance (Unity's NavMesh) leads around walls, a straight one into the corners behind them.

    Args:
        goal_distance: d, (N, 1), m.
        start_distance: d_0, of a typical start, m.

    Returns:
        (N,), at most 1.
    """
    done: Array = 1.0 - column(goal_distance) / start_distance
    return done


def progress(goal_distance_before: Array, goal_distance: Array) -> Array:
    """Measure the way made towards the goal in this step: d - d', m; a closed path sums to zero.

    Args:
        goal_distance_before: d, (N, 1), m.
        goal_distance: d', (N, 1), m.

    Returns:
        (N,).
    """
    made: Array = column(goal_distance_before) - column(goal_distance)
    return made


def sparse_goal(goal_distance: Array, tolerance: Positive) -> Array:
    """Charge 1 for every step away from the goal: -1[d > tolerance], the reward of hindsight experience replay.

    Args:
        goal_distance: d, (N, 1), m.
        tolerance: m; 0.05 in Fetch (Plappert et al. 2018, arXiv 1802.09464).

    Returns:
        (N,), -1 or 0.
    """
    away: Array = -np.heaviside(column(goal_distance) - tolerance, 0.0)
    return away


def column(signal: Array) -> Array:
    """Return the one number per row of a signal, (N, 1) -> (N,); a signal of another size is refused."""
    return signal.reshape(len(signal))


def length(signal: Array) -> Array:
    """Return the number, or the Euclidean length of the numbers, of each row: (N, k) -> (N,)."""
    return column(signal) if signal.shape[1] == 1 else np.sqrt(squared_norm(signal))


def squared_norm(x: Array) -> Array:
    """Return |x|^2 of each row, (N, k) -> (N,)."""
    norm: Array = np.einsum("ij,ij->i", x, x)
    return norm
