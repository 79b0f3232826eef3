"""Separate episodes that measure a policy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from trainers.errors import RunError
from unity_env.vector_env import SILENT_STEPS

Policy = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Evaluation:
    """What a number of episodes came to; arrays are (episodes,).

    Attributes:
        returns: undiscounted sums of the reward.
        lengths: decisions.
        successes: bool; None where the environment signals no `success`.
    """

    returns: np.ndarray
    lengths: np.ndarray
    successes: np.ndarray | None

    @property
    def success(self) -> float | None:
        """Fraction of solved episodes."""
        return None if self.successes is None else float(self.successes.mean())

    @property
    def score(self) -> tuple[float, float]:
        """What the best checkpoint is chosen by: success, then the mean return."""
        return (self.success or 0.0, float(self.returns.mean()))

    def summary(self) -> dict[str, float]:
        """Return the means, by their names in the log."""
        means = {"return": float(self.returns.mean()), "length": float(self.lengths.mean())}
        return means if self.success is None else {"success": self.success, **means}


def evaluate(env: VectorEnv[Any, Any, Any], policy: Policy, episodes: int, seed: int) -> Evaluation:
    """Run the same number of episodes in every row, so that short ones are not over-represented.

    A row whose agent is gone for good, having reported nothing for 10,000 steps, gives the episodes that it finished.

    Args:
        env: with SAME_STEP autoreset.
        policy: (N, D) -> (N, A).
        episodes: how many in all; must be at least one.
        seed: of the episodes.

    Raises:
        RunError: not one episode was finished.
    """
    per_row = -(-episodes // env.num_envs)
    obs, infos = env.reset(seed=seed)
    returns = np.zeros((per_row, env.num_envs))
    lengths = np.zeros((per_row, env.num_envs), dtype=np.int64)
    successes = np.zeros((per_row, env.num_envs), dtype=bool)
    has_success = "success" in infos.get("signals", {})
    episode = np.zeros(env.num_envs, dtype=np.int64)
    silent = np.zeros(env.num_envs, dtype=np.int64)
    while ((episode < per_row) & (silent < SILENT_STEPS)).any():
        obs, rew, terminated, truncated, infos = env.step(policy(obs))
        silent = np.where(infos["valid"], 0, silent + 1)
        rows = np.flatnonzero((episode < per_row) & infos["valid"])
        returns[episode[rows], rows] += rew[rows]
        lengths[episode[rows], rows] += 1
        ended = rows[(terminated | truncated)[rows]]
        if has_success and len(ended):
            successes[episode[ended], ended] = infos["final_info"]["signals"]["success"][ended, 0] > 0
        episode[ended] += 1
    finished = np.arange(per_row)[:, None] < episode
    if not finished.any():
        raise RunError(f"evaluation: no agent has finished an episode, nor reported for {SILENT_STEPS:,} steps")
    return Evaluation(
        returns[finished][:episodes],
        lengths[finished][:episodes],
        successes[finished][:episodes] if has_success else None,
    )
