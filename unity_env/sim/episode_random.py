"""Random numbers that belong to an episode of a row, whatever was drawn before."""

import numpy as np


class EpisodeRandom:
    """One generator, set to the start of any episode's own stream.

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
