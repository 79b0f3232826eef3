"""Vectors of the floor as complex numbers, x + iy: a product turns them, a conjugate turns them back."""

import numpy as np

Array = np.ndarray
_TINY = 1e-9


def to_complex(xy: Array) -> Array:
    """View vectors, (..., 2), x and y side by side in memory, as complex numbers, (...).

    Nothing is copied: a view of an array that lives, such as a batch's, lives too.
    """
    return xy.view(np.complex128)[..., 0]


def to_xy(numbers: Array) -> Array:
    """View complex numbers, (...), as vectors, (..., 2)."""
    return numbers[..., None].view(np.float64)


def polar(offset: Array, heading: Array) -> tuple[Array, Array]:
    """Return distance, (N,), and direction, unit complex numbers, (N,), of points as seen by somebody.

    Args:
        offset: from there, (N,) complex, m.
        heading: where they look, unit complex numbers, (N,).
    """
    distance = np.abs(offset)
    return distance, offset * heading.conj() / np.maximum(distance, _TINY)
