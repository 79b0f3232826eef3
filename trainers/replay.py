"""Off-policy storage: the latest transitions of N rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray
UNDER_WAY = -1


class Replay:
    """A preallocated ring of transitions for each of N rows; a transition is one line of numbers.

    The transitions of a row lie one behind the other, whatever the other rows do, so that an episode is a run of
    slots. Index i stands for slot i // N of row i % N.

    Args:
        capacity: transitions of all rows together; what does not divide by N is left out.
        rows: N.
        sizes: column -> how many numbers a transition has in it.
        seed: of the sampling.

    Attributes:
        slots: transitions of one row.
    """

    def __init__(self, capacity: int, rows: int, sizes: Mapping[str, int], seed: int) -> None:
        self.slots, self.rows = max(1, capacity // rows), rows
        ends = np.cumsum(list(sizes.values())).tolist()
        self._sizes = dict(sizes)
        self._where = {name: slice(end - sizes[name], end) for name, end in zip(sizes, ends, strict=True)}
        self._lines = torch.zeros(self.slots * rows, ends[-1])
        self._length = np.zeros(rows, dtype=np.int64)  # stored transitions
        self._head = np.zeros(rows, dtype=np.int64)  # slot of the next transition
        self._open = np.zeros(rows, dtype=np.int64)  # transitions of the episode under way
        self._last = np.full((self.slots, rows), UNDER_WAY)  # slot of the last transition of the same episode
        self._generator = torch.Generator().manual_seed(seed)

    def with_columns(self, more: Mapping[str, int]) -> "Replay":
        """Return an empty replay of the same size and seed that keeps more columns."""
        return Replay(self.capacity, self.rows, self._sizes | dict(more), self._generator.initial_seed())

    @property
    def size(self) -> int:
        """Transitions stored."""
        return int(self._length.sum())

    @property
    def capacity(self) -> int:
        """Transitions that can be stored."""
        return self.slots * self.rows

    def add(self, columns: Mapping[str, Array], valid: Array, done: Array) -> Array:
        """Store a transition of each row that is `valid`, over the row's oldest one where it is full.

        Returns the indices of what was stored, in the order of the rows.

        Args:
            columns: every column, (N, size) or (N,).
            valid: (N,) bool.
            done: (N,) bool, the episode ended with it.
        """
        line = np.concatenate([_as_columns(columns[name]) for name in self._where], axis=1)
        rows = np.flatnonzero(valid)
        slots = self._head[rows]
        indices: Array = slots * self.rows + rows
        self._lines.numpy()[indices] = line[rows]
        self._last[slots, rows] = UNDER_WAY
        self._head[rows] = (slots + 1) % self.slots
        self._length[rows] = np.minimum(self._length[rows] + 1, self.slots)
        self._open[rows] = np.minimum(self._open[rows] + 1, self.slots)
        self._close(np.flatnonzero(valid & done))
        return indices

    def end_episodes(self) -> None:
        """Let the episodes under way end with what is stored of them."""
        self._close(np.arange(self.rows))

    def sample(self, size: int) -> Array:
        """Draw indices uniformly from all that is stored, with replacement, (size,)."""
        return self.sample_evenly(size, self._generator)

    def sample_evenly(self, size: int, generator: torch.Generator) -> Array:
        """Draw indices uniformly from all that is stored, with replacement, by somebody else's generator, (size,)."""
        drawn = torch.randint(self.size, (size,), generator=generator).numpy()
        ends = np.cumsum(self._length)
        rows = np.searchsorted(ends, drawn, side="right")
        indices: Array = (drawn - ends[rows] + self._length[rows]) * self.rows + rows
        return indices

    def sample_later(self, indices: Array) -> Array:
        """Draw, for each index, uniformly from it and what came after it in the same episode."""
        slots, rows = np.divmod(indices, self.rows)
        ahead = (self._last_slot(slots, rows) - slots) % self.slots
        drawn = torch.rand(len(indices), generator=self._generator, dtype=torch.float64).numpy()
        steps = (drawn * (ahead + 1)).astype(np.int64)
        later: Array = (slots + steps) % self.slots * self.rows + rows
        return later

    def last_of_episode(self, indices: Array) -> Array:
        """Return, for each index, that of the last transition of the same episode that is stored."""
        slots, rows = np.divmod(indices, self.rows)
        last: Array = self._last_slot(slots, rows) * self.rows + rows
        return last

    def ahead(self, indices: Array, most: int | Array) -> Array:
        """Return how many transitions of the same episode are stored behind each index, at most `most`."""
        slots, rows = np.divmod(indices, self.rows)
        ahead: Array = np.minimum((self._last_slot(slots, rows) - slots) % self.slots, most)
        return ahead

    def after(self, indices: Array, steps: Array) -> Array:
        """Return the indices of the transitions so many steps later in the same rows."""
        slots, rows = np.divmod(indices, self.rows)
        later: Array = (slots + steps) % self.slots * self.rows + rows
        return later

    def read(self, indices: Array) -> dict[str, Tensor]:
        """Return copies of the transitions, column -> (B, size)."""
        lines = self._lines.index_select(0, torch.from_numpy(indices))
        return {name: lines[:, where] for name, where in self._where.items()}

    def state_dict(self) -> dict[str, Any]:
        """All that is stored, and the state of the sampling."""
        used = int(self._length.max())
        return {
            **self._layout(),
            "lines": self._lines[: used * self.rows].clone(),
            "last": self._last[:used].copy(),
            "length": self._length.copy(),
            "head": self._head.copy(),
            "open": self._open.copy(),
            "generator": self._generator.get_state(),
        }

    def fits(self, state: Mapping[str, Any]) -> bool:
        """Whether the state is one of as many slots and rows, and of the same columns."""
        return all(state[key] == value for key, value in self._layout().items())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken; of what was stored before, nothing counts."""
        self._lines[: len(state["lines"])] = state["lines"]
        self._last[: len(state["last"])] = state["last"]
        self._length[:], self._head[:], self._open[:] = state["length"], state["head"], state["open"]
        self._generator.set_state(state["generator"])

    def _layout(self) -> dict[str, Any]:
        return {"slots": self.slots, "rows": self.rows, "sizes": self._sizes}

    def _last_slot(self, slots: Array, rows: Array) -> Array:
        last = self._last[slots, rows]
        newest = (self._head[rows] - 1) % self.slots
        chosen: Array = np.where(last == UNDER_WAY, newest, last)
        return chosen

    def _close(self, rows: Array) -> None:
        """Write into every transition of the rows' episodes where these end."""
        for row in rows:
            last = self._head[row] - 1
            self._last[(last - np.arange(self._open[row])) % self.slots, row] = last % self.slots
        self._open[rows] = 0


def _as_columns(values: Array) -> Array:
    return values if values.ndim == 2 else values[:, None]
