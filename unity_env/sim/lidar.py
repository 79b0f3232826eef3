"""Level rays in a square room with round things in it, exactly: what the physics' own rays would measure.

On the plane these few lines take a fraction of the time of `mujoco.batch.Batch.ray`, and the next physics step keeps
the kinematics that a call of it would throw away; a test holds both to each other.
"""

import math

import numpy as np

from unity_env.sim.compiled import compiled

Array = np.ndarray


@compiled
def scan(origin: Array, heading: Array, rays: Array, centres: Array, radii: Array, half_width_m: float) -> Array:
    """Measure how far rays get from inside a room, walls x, y = +-half_width_m, m.

    Args:
        origin: (N,) complex, m.
        heading: unit complex numbers, (N,).
        rays: their directions from the heading, unit complex numbers, (R,).
        centres: of the things in the room, (N, K) complex, m; one that holds the origin is not seen.
        radii: theirs, (N, K), m.
        half_width_m: of the room, centred at 0.

    Returns:
        (N, R) float32, m.
    """
    assert len(origin) == len(heading) == len(centres)
    assert centres.shape == radii.shape
    ranges = np.empty((len(origin), len(rays)), np.float32)
    for row in range(len(origin)):
        place, back = origin[row], heading[row].conjugate()
        for ray in range(len(rays)):
            along = heading[row] * rays[ray]
            x, y = _to_wall(place.real, along.real, half_width_m), _to_wall(place.imag, along.imag, half_width_m)
            ranges[row, ray] = min(x, y)
        for thing in range(centres.shape[1]):
            seen = (centres[row, thing] - place) * back
            for ray in range(len(rays)):
                hit = _to_circle(seen * rays[ray].conjugate(), radii[row, thing])
                ranges[row, ray] = min(ranges[row, ray], hit)
    return ranges


@compiled
def _to_wall(place: float, step: float, half_width: float) -> float:
    """Return the way from a place on an axis to the wall that lies ahead, in steps."""
    return math.inf if step == 0.0 else (math.copysign(half_width, step) - place) / step


@compiled
def _to_circle(centre: complex, radius: float) -> float:
    """Return the way from 0 along the real axis to a circle's near side; infinite where that is not ahead."""
    half_chord_sq = radius**2 - centre.imag**2
    if half_chord_sq < 0.0:
        return math.inf
    near = centre.real - math.sqrt(half_chord_sq)
    return near if near > 0.0 else math.inf


@compiled
def clearance(origin: Array, centres: Array, radii: Array, half_width_m: float) -> Array:
    """Measure the distance from a point in the room to the nearest wall or thing; arguments as in `scan`.

    Returns:
        (N,), m.
    """
    assert len(origin) == len(centres)
    assert centres.shape == radii.shape
    free = np.empty(len(origin))
    for row in range(len(origin)):
        place = origin[row]
        free[row] = half_width_m - max(abs(place.real), abs(place.imag))
        for thing in range(centres.shape[1]):
            free[row] = min(free[row], abs(centres[row, thing] - place) - radii[row, thing])
    return free
