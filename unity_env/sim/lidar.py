"""Level rays in a square room with round things in it, exactly: what the physics' own rays would measure.

On the plane these few lines take a fraction of the time of `mujoco.batch.Batch.ray`, and the next physics step keeps
the kinematics that a call of it would throw away; a test holds both to each other. Single precision is good to some
micrometres here.
"""

import math

import numpy as np

Array = np.ndarray
_ONE = np.float32(1.0)


class Lidar:
    """Rays about an upright axis.

    Args:
        angles_rad: of the rays, from the heading, (R,).
        max_rows: largest N of a scan.
        max_things: largest K of a scan.
    """

    def __init__(self, angles_rad: Array, max_rows: int, max_things: int) -> None:
        self._rays = np.exp(-1j * angles_rad).astype(np.complex64)[:, None]
        size = (max_things + 1) * len(angles_rad) * max_rows
        # arrays of this size would be fetched from the system, page by page, in every scan
        self._along, self._closeness = np.empty(size, np.complex64), np.empty(size, np.float32)

    def scan(self, origin: Array, heading: Array, centres: Array, radii: Array, half_width_m: float) -> Array:
        """Measure how far the rays get from inside a room, walls x, y = +-half_width_m, m.

        Args:
            origin: (N,) complex, m.
            heading: unit complex numbers, (N,).
            centres: of the things in the room, (K, N) or (K, 1) complex, m; none holds the origin.
            radii: theirs, (K, N) or (K, 1), m.
            half_width_m: of the room, centred at 0.

        Returns:
            (N, R) float32, m.
        """
        back = heading.conj()
        seen = np.concatenate((back[None], (centres - origin) * back), dtype=np.complex64, casting="same_kind")
        shape = (len(seen), len(self._rays), len(origin))
        along = self._along[: math.prod(shape)].reshape(shape)
        # The room's x axis and the things, first as the robot sees them, then as each ray does, along itself.
        np.multiply(self._rays, seen[:, None], out=along)
        closeness = _closeness_of_walls(origin, along[0], half_width_m)
        np.maximum(closeness, self._closeness_of_things(along[1:], radii), out=closeness)
        ranges: Array = np.reciprocal(closeness, out=closeness).T
        return ranges

    def _closeness_of_things(self, along: Array, radii: Array) -> Array:
        """Return 1 / distance of the nearest thing on each ray, (R, N), 1/m; 0 where there is none.

        The nearest thing has the largest 1 / distance. A thing beside the ray has NaN, the root of a negative
        number, and one behind it a negative one: the maximum passes over both.

        Args:
            along: centres of the things, real part along the ray, (K, R, N) complex, m.
            radii: theirs, (K, N) or (K, 1), m.
        """
        closeness = self._closeness[: along.size].reshape(along.shape)
        np.square(along.imag, out=closeness)
        half_chord_sq = np.subtract(np.square(radii, dtype=np.float32)[:, None], closeness, out=closeness)
        with np.errstate(invalid="ignore"):
            half_chord = np.sqrt(half_chord_sq, out=closeness)
        np.subtract(along.real, half_chord, out=closeness)
        nearest: Array = np.fmax.reduce(np.reciprocal(closeness, out=closeness), axis=0, initial=0.0)
        return nearest


def _closeness_of_walls(origin: Array, back: Array, half_width_m: float) -> Array:
    """Return 1 / distance of the wall at the end of each ray, (R, N), 1/m.

    Args:
        origin: of the rays, (N,) complex, m.
        back: conjugate directions of the rays, (R, N): in a mirrored room, where the conjugate origin is.
        half_width_m: of the room.
    """
    place = origin.conj().astype(np.complex64).view(np.float32)  # x and y in turns
    steps = back.view(np.float32)
    ahead, behind = steps / (half_width_m - place), steps / (-half_width_m - place)  # of the ray or not, by the sign
    closeness = np.maximum(ahead, behind, out=ahead)
    walls: Array = np.maximum(closeness[:, ::2], closeness[:, 1::2])
    return walls


def clearance(origin: Array, centres: Array, radii: Array, half_width_m: float) -> Array:
    """Measure the distance from a point in the room to the nearest wall or thing; arguments as in `Lidar.scan`.

    Returns:
        (N,), m.
    """
    to_wall = half_width_m - np.maximum(np.abs(origin.real), np.abs(origin.imag))
    to_things = np.abs(centres - origin) - radii
    nearest: Array = np.minimum.reduce(to_things, axis=0, initial=np.inf)
    np.minimum(nearest, to_wall, out=nearest)
    return nearest
