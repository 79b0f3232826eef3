"""Storage of whole episodes: as many of every row, all of them begun after the last update."""

from typing import Any

import numpy as np

from trainers.algorithms.algorithm import Step

Array = np.ndarray


class Episodes:
    """The steps of N rows, until each has ended `per_row` episodes.

    Args:
        rows: N.
        per_row: episodes wanted of each.
    """

    def __init__(self, rows: int, per_row: int) -> None:
        self._rows, self._per_row = rows, per_row
        self._under_way = np.zeros(rows, dtype=bool)  # an episode has taken a step
        self.clear(under_way=False)

    def clear(self, *, under_way: bool) -> None:
        """Forget everything; what is `under_way` in the rows does not count, their next episodes do."""
        self._steps: list[tuple[Array, Array, Array, Array]] = []  # obs, act, rew, index of the episode or -1
        self._ended = np.where(self._under_way & under_way, -1, 0)
        self._under_way &= under_way

    @property
    def complete(self) -> bool:
        """Whether every row has ended its episodes."""
        return bool((self._ended >= self._per_row).all())

    def add(self, obs: Array, act: Array, step: Step) -> None:
        """Store what came of actions (N, A) on observations (N, D); obs is kept, not copied."""
        counts = step.valid & (self._ended < self._per_row)
        episode = np.where(counts, self._ended, -1)
        self._steps.append((obs, act.copy(), step.rew.astype(np.float32), episode))
        done = step.terminated | step.truncated
        self._ended += done
        self._under_way = ~done & (self._under_way | step.valid)

    def padded(self) -> tuple[Array, Array, Array, Array]:
        """Return obs (T, E, D), act (T, E, A), rew (T, E), and whether an episode takes step t, (T, E), bool.

        E episodes, rows * per_row of them; T is the length of the longest, and shorter ones end with zeros.
        """
        *parts, episode = (np.stack(part) for part in zip(*self._steps, strict=True))
        step, row = np.nonzero(episode >= 0)
        column = row * self._per_row + episode[step, row]
        order = np.lexsort((step, column))
        step, row, column = step[order], row[order], column[order]
        first = np.searchsorted(column, np.arange(self._rows * self._per_row))
        time = np.arange(len(column)) - first[column]
        shape = (int(time.max()) + 1, self._rows * self._per_row)
        running = np.zeros(shape, dtype=bool)
        running[time, column] = True
        padded = [np.zeros((*shape, *part.shape[2:]), dtype=part.dtype) for part in parts]
        for into, part in zip(padded, parts, strict=True):
            into[time, column] = part[step, row]
        return padded[0], padded[1], padded[2], running

    def state_dict(self) -> dict[str, Any]:
        """What is stored."""
        names = ("obs", "act", "rew", "episode")
        parts = zip(*self._steps, strict=True) if self._steps else ((),) * len(names)
        own = {"ended": self._ended.copy(), "under_way": self._under_way.copy()}
        return {**own, **{name: list(part) for name, part in zip(names, parts, strict=True)}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        read = {name: [np.asarray(part).copy() for part in state[name]] for name in ("obs", "act", "rew", "episode")}
        self._ended, self._under_way = (np.asarray(state[name]).copy() for name in ("ended", "under_way"))
        self._steps = list(zip(*read.values(), strict=True))
