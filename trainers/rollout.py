"""On-policy storage: T steps of N rows."""

import torch
from torch import Tensor


class Rollout:
    """Preallocated (T, N, ...) buffers of one rollout.

    Observations are stored once: obs[t + 1] follows obs[t], and the true last observation of an episode,
    which autoreset replaces there, lies apart, in `final_obs`.

    Args:
        steps: T.
        rows: N.
        obs_size: D.
        action_size: A.
    """

    def __init__(self, steps: int, rows: int, obs_size: int, action_size: int) -> None:
        self.steps, self.rows = steps, rows
        self.obs = torch.zeros(steps + 1, rows, obs_size)
        self.act = torch.zeros(steps, rows, action_size)
        self.noise = torch.zeros(steps, rows, action_size)
        self.rew = torch.zeros(steps, rows)
        self.terminated = torch.zeros(steps, rows)
        self.truncated = torch.zeros(steps, rows)
        self.valid = torch.zeros(steps, rows, dtype=torch.bool)
        self.final_obs: list[tuple[int, Tensor, Tensor]] = []
        self.length = 0

    @property
    def full(self) -> bool:
        """Whether T steps are stored."""
        return self.length == self.steps

    def clear(self) -> None:
        """Forget the stored steps."""
        self.length = 0
        self.final_obs.clear()

    def add_final_obs(self, rows: Tensor, obs: Tensor) -> None:
        """Keep the true last observations, (k, D), of the rows (k,) whose episodes end in this step."""
        self.final_obs.append((self.length, rows, obs))
