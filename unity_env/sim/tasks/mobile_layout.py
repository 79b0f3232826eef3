"""Where things stand at the start of an episode: obstacles with room to pass between them, a start, a goal."""

import math
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
_TRIES = 40
_FULL = 0.4  # share of the room that things may take with half their gaps; random packing jams at 0.547


@dataclass(frozen=True)
class Room:
    """A square room about the origin.

    Attributes:
        half_width_m: distance of the walls from its middle.
        gap_m: least distance between things, and between them and the walls.
    """

    half_width_m: float
    gap_m: float

    def fits(self, count: float, radius_m: float) -> bool:
        """Tell whether so many things can be placed at random without ado."""
        return count <= self.capacity(radius_m)

    def capacity(self, radius_m: float) -> int:
        """Return how many things of this radius can be placed at random without ado."""
        inside = (2.0 * self.half_width_m - self.gap_m) ** 2
        return int(_FULL * inside / (math.pi * (radius_m + self.gap_m / 2.0) ** 2))

    def scatter(self, rng: np.random.Generator, radii: Array) -> Array:
        """Place round things of the given radii, (K,), m; return x, y and radius, (K, 3)."""
        while True:
            placed = self._scatter_once(rng, np.sort(radii)[::-1])
            if placed is not None:
                return placed

    def _scatter_once(self, rng: np.random.Generator, radii: Array) -> Array | None:
        reach = self.half_width_m - self.gap_m - radii
        tries = rng.uniform(-1.0, 1.0, (len(radii), _TRIES, 2)) * reach[:, None, None]
        placed: list[tuple[float, float, float]] = []
        for radius, candidates in zip(radii.tolist(), tries.tolist(), strict=True):
            for x, y in candidates:
                if all(math.hypot(x - a, y - b) >= radius + r + self.gap_m for a, b, r in placed):
                    placed.append((x, y, radius))
                    break
            else:
                return None
        return np.array(placed).reshape(-1, 3)

    def free(self, points: Array, circles: Array, clearance_m: float) -> Array:
        """Tell which points, (P, 2), keep so far from the walls and from circles, (K, 3); (P,) bool."""
        inside = np.abs(points).max(axis=1) <= self.half_width_m - clearance_m
        distance = np.hypot(points[:, 0, None] - circles[:, 0], points[:, 1, None] - circles[:, 1])
        is_free: Array = inside & (distance >= circles[:, 2] + clearance_m).all(axis=1)
        return is_free

    def start_and_goal(
        self, rng: np.random.Generator, circles: Array, clearance_m: float, way_m: tuple[float, float]
    ) -> tuple[Array, Array]:
        """Draw two free points whose distance lies within `way_m`; (2,) each, m."""
        reach = self.half_width_m - clearance_m
        while True:
            starts = rng.uniform(-reach, reach, (_TRIES, 2))
            way, bearing = rng.uniform(*way_m, _TRIES), rng.uniform(-np.pi, np.pi, _TRIES)
            goals = starts + way[:, None] * np.stack([np.cos(bearing), np.sin(bearing)], axis=1)
            good = self.free(np.concatenate([starts, goals]), circles, clearance_m).reshape(2, _TRIES).all(axis=0)
            if good.any():
                first = int(good.argmax())
                return starts[first], goals[first]
