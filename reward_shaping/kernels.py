"""Kernels: how a distance from what is wanted becomes a score in [0, 1].

The shapes and their parameters are those of dm_control's `rewards.tolerance` (Tassa et al. 2018, arXiv 1801.00690,
section 4): a margin in the unit of what is measured, and the score at that margin.
"""

from collections.abc import Callable, Sequence
from math import acos, acosh, atanh, inf, log, pi, sqrt
from typing import Literal

import numpy as np

Array = np.ndarray
Kind = Literal["gaussian", "linear", "hyperbolic", "long_tail", "cosine", "tanh_squared"]


def gaussian(d: Array, value: float) -> Array:
    """Return exp(-(s d)^2 / 2): flat at 0 and soon gone, no gradient far away."""
    scale = sqrt(-2.0 * log(value))
    score: Array = np.exp(-0.5 * np.square(scale * d))
    return score


def linear(d: Array, value: float) -> Array:
    """Return 1 - s d, at least 0."""
    score: Array = np.maximum(1.0 - (1.0 - value) * d, 0.0)
    return score


def hyperbolic(d: Array, value: float) -> Array:
    """Return 1 / cosh(s d): falls like an exponential, never as fast as `gaussian`."""
    scale = acosh(1.0 / value)
    decay = np.exp(-scale * d)  # 1 / cosh(x) = 2 e^-x / (1 + e^-2x), which cannot overflow
    score: Array = 2.0 * decay / (1.0 + np.square(decay))
    return score


def long_tail(d: Array, value: float) -> Array:
    """Return 1 / ((s d)^2 + 1): keeps a gradient far away."""
    scale = sqrt(1.0 / value - 1.0)
    score: Array = 1.0 / (np.square(scale * d) + 1.0)
    return score


def cosine(d: Array, value: float) -> Array:
    """Return (1 + cos(pi s d)) / 2 while s d < 1, then 0: smooth at both ends."""
    scale = acos(2.0 * value - 1.0) / pi
    score: Array = (1.0 + np.cos(pi * np.minimum(scale * d, 1.0))) / 2.0
    return score


def tanh_squared(d: Array, value: float) -> Array:
    """Return 1 - tanh(s d)^2."""
    scale = atanh(sqrt(1.0 - value))
    score: Array = 1.0 - np.square(np.tanh(scale * d))
    return score


KERNELS: dict[str, Callable[[Array, float], Array]] = {
    "gaussian": gaussian,
    "linear": linear,
    "hyperbolic": hyperbolic,
    "long_tail": long_tail,
    "cosine": cosine,
    "tanh_squared": tanh_squared,
}
REACHES_ZERO = ("linear", "cosine")


def tolerance(
    x: Array,
    bounds: Sequence[float] = (0.0, 0.0),
    margin: float = 0.0,
    kind: Kind = "linear",
    value_at_margin: float = 0.1,
) -> Array:
    """Score how well x lies within bounds: 1 inside, `value_at_margin` at distance `margin` from them.

    Args:
        x: any shape and unit.
        bounds: lower and upper, in x's unit; may be infinite.
        margin: distance from the bounds, in x's unit; 0 makes a step: 1 inside, 0 outside.
        kind: shape of the fall outside the bounds.
        value_at_margin: score at the margin, in (0, 1); may be 0 where the kernel reaches 0.

    Returns:
        Same shape as x, in [0, 1]. The parameters are those that `check_tolerance` lets through.
    """
    lower, upper = bounds
    outside = np.maximum(np.maximum(lower - x, x - upper), 0.0)
    if margin == 0.0:
        step: Array = 1.0 - np.sign(outside)  # keeps a NaN
        return step
    return KERNELS[kind](outside / margin, value_at_margin)


def check_tolerance(
    bounds: Sequence[float] = (0.0, 0.0),
    margin: float = 0.0,
    kind: Kind = "linear",
    value_at_margin: float = 0.1,
) -> None:
    """Refuse parameters that `tolerance` can make no sense of.

    Raises:
        ValueError: bounds in the wrong order, a margin or a value that the kernel cannot have.
    """
    lower, upper = bounds
    if not lower <= upper or lower == inf or upper == -inf:
        raise ValueError(f"bounds: {lower:g} .. {upper:g} holds nothing; expected lower <= upper")
    if not 0.0 <= margin < inf:
        raise ValueError(f"margin: {margin:g}; expected 0 or more")
    if margin == 0.0 and kind not in REACHES_ZERO:
        raise ValueError(
            f"margin: 0 makes a step and {kind} never reaches 0; expected a margin above 0, "
            f"or kind {' or '.join(REACHES_ZERO)}"
        )
    if not (0.0 < value_at_margin < 1.0 or (value_at_margin == 0.0 and kind in REACHES_ZERO)):
        lowest = "0 <=" if kind in REACHES_ZERO else "0 <"
        raise ValueError(f"value_at_margin: {value_at_margin:g}; {kind} needs {lowest} value < 1")


def coarse_fine(distance: Array, coarse: float, fine: float, fine_share: float = 0.5) -> Array:
    """Score nearness twice: (1 - w)(1 - tanh(d / coarse)) + w (1 - tanh(d / fine)), in [0, 1].

    The coarse part leads there from far away, the fine one ends the way. Isaac Lab's lift task has 0.3 and 0.05 m.

    Args:
        distance: d, any shape.
        coarse: where the coarse part has fallen to 0.24, d's unit.
        fine: the same of the fine part.
        fine_share: w, in [0, 1].

    Returns:
        Same shape as d.
    """
    far, near = np.tanh(distance / coarse), np.tanh(distance / fine)
    score: Array = 1.0 - (1.0 - fine_share) * far - fine_share * near
    return score
