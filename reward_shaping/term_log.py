"""What each term of a reward has paid: per step and per episode."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class TermLog:
    """Sums of weighted terms since the last summary, over all rows.

    Args:
        names: the terms, in the order of the breakdown.
        num_rows: number of rows.
    """

    def __init__(self, names: Sequence[str], num_rows: int) -> None:
        self.names = tuple(names)
        self._running = np.zeros((len(names), num_rows))
        self._clear()

    def add(self, breakdown: np.ndarray, ended: np.ndarray, transitions: int) -> None:
        """Add one step: breakdown (terms, N), ended (N,) bool, and in how many rows there was a transition."""
        self._running += breakdown
        self._step_sum += breakdown.sum(axis=1)
        self._steps += transitions
        if ended.any():
            self._episode_sum += self._running[:, ended].sum(axis=1)
            self._episodes += int(ended.sum())
            self._running[:, ended] = 0.0

    def summary(self) -> dict[str, float]:
        """Return `reward_per_step/<term>` and, if episodes ended, `reward_per_episode/<term>`; then start anew."""
        result = {}
        for index, name in enumerate(self.names):
            if self._steps:
                result[f"reward_per_step/{name}"] = float(self._step_sum[index] / self._steps)
            if self._episodes:
                result[f"reward_per_episode/{name}"] = float(self._episode_sum[index] / self._episodes)
        self._clear()
        return result

    def restart_episodes(self) -> None:
        """Forget the episodes that are under way."""
        self._running[:] = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Everything the next summary depends on."""
        return {
            "running": self._running.copy(),
            "step_sum": self._step_sum.copy(),
            "steps": self._steps,
            "episode_sum": self._episode_sum.copy(),
            "episodes": self._episodes,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self._running[:] = state["running"]
        self._step_sum = np.array(state["step_sum"])
        self._steps = state["steps"]
        self._episode_sum = np.array(state["episode_sum"])
        self._episodes = state["episodes"]

    def _clear(self) -> None:
        self._step_sum = np.zeros(len(self.names))
        self._steps = 0
        self._episode_sum = np.zeros(len(self.names))
        self._episodes = 0
