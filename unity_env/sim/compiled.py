"""Compiles loops over rows, rays and people: after a step of the physics nothing of numpy is left in the caches.

Numba turns a function into machine code when it is first called, and keeps that for the processes to come.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of numbers, arrays and named tuples of them."""
    result: Callable[P, R]
    try:
        result = njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # nowhere to keep it: every process compiles it anew
        result = njit(error_model="numpy")(function)
    return result
