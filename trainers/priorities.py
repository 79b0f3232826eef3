"""Prioritised experience replay (Schaul et al. 2016, arXiv 1511.05952), the proportional variant."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from trainers.replay import Array, Replay

LEAST_ERROR = 1e-3  # epsilon of section 3.3: what surprised nobody is still drawn at times


class SumTree:
    """Weights of numbered leaves, which are found by cumulated weight in O(log capacity), many at once.

    Args:
        capacity: number of leaves.
    """

    def __init__(self, capacity: int) -> None:
        self.leaves = 1 << (capacity - 1).bit_length()
        self._sums = np.zeros(2 * self.leaves)  # node k has the children 2 k and 2 k + 1; the root is 1

    @property
    def total(self) -> float:
        """Sum of all weights."""
        return float(self._sums[1])

    def __getitem__(self, leaves: Array) -> Array:
        """Return the weights of leaves."""
        weights: Array = self._sums[self.leaves + leaves]
        return weights

    def __setitem__(self, leaves: Array, weights: Array | float) -> None:
        """Give leaves new weights, of which none is below 0."""
        nodes = self.leaves + leaves
        self._sums[nodes] = weights
        for _ in range(self.leaves.bit_length() - 1):
            nodes = np.unique(nodes // 2)
            self._sums[nodes] = self._sums[2 * nodes] + self._sums[2 * nodes + 1]

    def find(self, targets: Array) -> Array:
        """Return the leaves in which the cumulated weight passes `targets`, in [0, total); never one of weight 0."""
        targets, nodes = targets.copy(), np.ones(len(targets), dtype=np.int64)
        for _ in range(self.leaves.bit_length() - 1):
            left, right = self._sums[2 * nodes], self._sums[2 * nodes + 1]
            goes_right = (targets >= left) & (right > 0.0)  # a rounding error must not lead to nothing
            targets -= np.where(goes_right, left, 0.0)
            nodes = 2 * nodes + goes_right
        found: Array = nodes - self.leaves
        return found


class PrioritizedReplay(Replay):
    """A replay that draws transition i with P(i) = p_i^alpha / sum_k p_k^alpha, eq. 1, p_i = |delta_i| + epsilon.

    What is new has the largest priority so far, so that everything is drawn before long.

    Args:
        capacity: see `Replay`.
        rows: likewise.
        sizes: likewise.
        seed: likewise.
        alpha: how much priority counts.
    """

    def __init__(self, capacity: int, rows: int, sizes: Mapping[str, int], seed: int, alpha: float) -> None:
        super().__init__(capacity, rows, sizes, seed)
        self.alpha = alpha
        self._tree = SumTree(self.capacity)
        self._largest = 1.0  # of all p_i^alpha so far

    def with_columns(self, more: Mapping[str, int]) -> "PrioritizedReplay":
        """Return an empty replay of the same size, seed and alpha that keeps more columns."""
        sizes = self._sizes | dict(more)
        return PrioritizedReplay(self.capacity, self.rows, sizes, self._generator.initial_seed(), self.alpha)

    def add(self, columns: Mapping[str, Array], valid: Array, done: Array) -> Array:
        """Store transitions as `Replay` does, with the largest priority."""
        indices = super().add(columns, valid, done)
        self._tree[indices] = self._largest
        return indices

    def sample(self, size: int) -> Array:
        """Draw indices by priority, one from each of `size` equal parts of the sum (section 3.3), (size,)."""
        drawn = torch.rand(size, generator=self._generator, dtype=torch.float64).numpy()
        return self._tree.find((np.arange(size) + drawn) / size * self._tree.total)

    def weights(self, indices: Array, beta: float) -> Array:
        """Return w_i = (N P(i))^-beta / max_j w_j, section 3.4, over the sampled ones, (B,) float32."""
        odds = self.size * self._tree[indices] / self._tree.total
        weights: Array = (odds / odds.min()) ** -beta
        return weights.astype(np.float32)

    def set_errors(self, indices: Array, errors: Array) -> None:
        """Let priorities follow the temporal-difference errors |delta|, (B,)."""
        priorities = (errors.astype(np.float64) + LEAST_ERROR) ** self.alpha
        self._tree[indices] = priorities
        self._largest = max(self._largest, float(priorities.max()))

    def state_dict(self) -> dict[str, Any]:
        """What `Replay` has, and the priorities."""
        priorities = self._tree[np.arange(self.capacity)]
        return super().state_dict() | {"priorities": priorities, "largest": self._largest}

    def fits(self, state: Mapping[str, Any]) -> bool:
        """Whether the state is one of this kind and size."""
        return "priorities" in state and super().fits(state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        super().load_state_dict(state)
        self._tree[np.arange(self.capacity)] = np.asarray(state["priorities"])
        self._largest = state["largest"]
