"""Random numbers that belong to an episode of a row, whatever was drawn before."""

import numpy as np

Array = np.ndarray


class EpisodeRandom:
    """One generator, set to the start of any episode's own stream; and noise for the steps of many episodes.

    Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") is counter-based: its streams need
    no seeding, and the generator no memory that a checkpoint would have to keep.

    Args:
        seed: key of all streams.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._philox = np.random.Philox(key=seed)
        self._state = self._philox.state
        self._generator = np.random.Generator(self._philox)

    def at(self, row: int, episode: int) -> np.random.Generator:
        """Return the generator at the start of an episode's stream; good until the next call."""
        self._state["state"]["counter"] = np.array([0, 0, row, episode], dtype=np.uint64)
        self._philox.state = self._state
        return self._generator

    def uniform(self, rows: Array, episodes: Array, ages: Array, size: int, purpose: int) -> Array:
        """Draw `size` numbers in (0, 1) for one step of each of N episodes, (N, size).

        Args:
            rows: (N,).
            episodes: (N,), the row's how-many-eth.
            ages: (N,), steps since the episode began.
            size: how many numbers for each.
            purpose: numbers of different purposes are independent.
        """
        bits = _mix(np.uint64(self.seed) + np.uint64(purpose << 32))
        for counter in (rows, episodes, ages):
            bits = _mix(bits + _mix(counter.astype(np.uint64)))
        table = _mix(bits[:, None] + _mix(np.arange(size, dtype=np.uint64)))
        uniform: Array = ((table >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
        return uniform

    def normal(self, rows: Array, episodes: Array, ages: Array, size: int, purpose: int) -> Array:
        """Draw standard normal numbers likewise, by Box and Muller's transform."""
        half = -(-size // 2)
        uniform = self.uniform(rows, episodes, ages, 2 * half, purpose)
        radius, angle = np.sqrt(-2.0 * np.log(uniform[:, :half])), 2.0 * np.pi * uniform[:, half:]
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)[:, :size]


def _mix(x: Array | np.uint64) -> Array:
    """Scramble 64-bit integers (splitmix64; Steele, Lea and Flood 2014), wrapping on overflow."""
    with np.errstate(over="ignore"):
        x = np.asarray(x + np.uint64(0x9E3779B97F4A7C15))
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
