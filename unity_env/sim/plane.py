"""Vectors of the floor as complex numbers, x + iy: a product turns them, a conjugate turns them back."""

import numpy as np

Array = np.ndarray


def to_complex(xy: Array) -> Array:
    """Return vectors, (..., 2), as complex numbers, (...)."""
    return np.ascontiguousarray(xy).view(np.complex128)[..., 0]


def to_xy(numbers: Array) -> Array:
    """Return complex numbers, (...), as vectors, (..., 2)."""
    return np.ascontiguousarray(numbers)[..., None].view(np.float64)
