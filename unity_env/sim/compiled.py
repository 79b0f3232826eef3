"""Compiles what a step computes in loops over rows, by Numba.

Beside the physics, which fills the processor's caches, numpy's many small calls take most of their time to be fetched
again. Numba turns a function into machine code when it is first called, which takes seconds, and keeps that beside the
source, or in the user's cache where the source is read-only, for the processes to come. It notices a change of that
file alone: compiled functions use nothing from another one. Give arrays of one layout (`np.ascontiguousarray`), since
each layout is compiled for itself. Nothing checks bounds: begin by asserting shapes. After a change of this file, and
where a named tuple in a signature gets another name, delete the *.nbi beside the source.
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
