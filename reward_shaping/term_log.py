"""What each term of a reward has paid: per step, per episode, how often, and its share of all that was paid."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class TermLog:
    """Sums of weighted terms since the last summary, over all rows.

    Args:
        names: the terms, in the order of the breakdown.
        num_rows: number of rows.
        counted: how many of them, the first ones, sum to the total; None: all.
    """

    def __init__(self, names: Sequence[str], num_rows: int, counted: int | None = None) -> None:
        self.names = tuple(names)
        self._counted = len(names) if counted is None else counted
        self._shape = (len(names), num_rows)
        self._running = np.zeros(self._shape)
        self._clear()

    def add(self, breakdown: np.ndarray, ended: np.ndarray, transitions: int) -> None:
        """Add one step: breakdown (terms, N), ended (N,) bool, and in how many rows there was a transition."""
        self._running += breakdown
        self._paid += breakdown
        self._magnitude += np.abs(breakdown)
        self._active += breakdown != 0.0
        self._steps += transitions
        episodes = int(np.count_nonzero(ended))
        if episodes:
            self._episode_sum += self._running[:, ended].sum(axis=1)
            self._episodes += episodes
            self._running[:, ended] = 0.0

    def summary(self) -> dict[str, float]:
        """Return what was paid since the last summary, and start anew.

        For each term, if there were transitions, and for `per_episode` if episodes ended:
            `reward_per_step/<term>`: the mean over the transitions.
            `reward_active/<term>`: the fraction of the transitions in which it was not 0.
            `reward_share/<term>`: sum |term| over the same sum of all terms that count; probes have none.
            `reward_per_episode/<term>`: the mean of the episodes' sums.
        """
        result: dict[str, float] = {}
        if self._steps:
            result |= self._named("reward_per_step", self._paid.sum(axis=1) / self._steps)
            result |= self._named("reward_active", self._active.sum(axis=1) / self._steps)
        magnitude = self._magnitude[: self._counted].sum(axis=1)
        if magnitude.any():
            result |= self._named("reward_share", magnitude / magnitude.sum())
        if self._episodes:
            result |= self._named("reward_per_episode", self._episode_sum / self._episodes)
        self._clear()
        return result

    def restart_episodes(self) -> None:
        """Forget the episodes that are under way."""
        self._running[:] = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Everything the next summary depends on."""
        return {
            "running": self._running.copy(),
            "paid": self._paid.copy(),
            "magnitude": self._magnitude.copy(),
            "active": self._active.copy(),
            "steps": self._steps,
            "episode_sum": self._episode_sum.copy(),
            "episodes": self._episodes,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self._running[:] = state["running"]
        self._paid[:] = state["paid"]
        self._magnitude[:] = state["magnitude"]
        self._active[:] = state["active"]
        self._steps = state["steps"]
        self._episode_sum[:] = state["episode_sum"]
        self._episodes = state["episodes"]

    def _named(self, group: str, values: np.ndarray) -> dict[str, float]:
        return {f"{group}/{name}": value for name, value in zip(self.names, values.tolist(), strict=False)}

    def _clear(self) -> None:
        self._paid, self._magnitude = np.zeros(self._shape), np.zeros(self._shape)
        self._active = np.zeros(self._shape, dtype=np.int64)
        self._steps = 0
        self._episode_sum = np.zeros(len(self.names))
        self._episodes = 0
