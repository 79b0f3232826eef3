"""On-policy storage: T steps of N rows."""

from typing import Any

import torch
from torch import Tensor

_STORED = ("act", "rew", "terminated", "truncated", "valid", "memory")


class Rollout:
    """Preallocated (T, N, ...) buffers of one rollout.

    Observations are stored once: obs[t + 1] follows obs[t], and the true last observation of an episode,
    which autoreset replaces there, lies apart, in `final_obs`.

    Args:
        steps: T.
        rows: N.
        obs_size: D.
        action_size: A.
        heads: K, streams of rewards.
        memory_size: S, numbers that the policy remembers before each step.
    """

    def __init__(
        self, steps: int, rows: int, obs_size: int, action_size: int, heads: int, memory_size: int = 0
    ) -> None:
        self.steps, self.rows = steps, rows
        self.obs = torch.zeros(steps + 1, rows, obs_size)
        self.act = torch.zeros(steps, rows, action_size)
        self.noise = torch.zeros(steps, rows, action_size)
        self.rew = torch.zeros(steps, rows, heads)
        self.terminated = torch.zeros(steps, rows)
        self.truncated = torch.zeros(steps, rows)
        self.valid = torch.zeros(steps, rows, dtype=torch.bool)
        self.memory = torch.zeros(steps, rows, memory_size)
        self.final_obs: list[tuple[int, Tensor, Tensor]] = []
        self.length = 0

    @property
    def full(self) -> bool:
        """Whether T steps are stored."""
        return self.length == self.steps

    @property
    def done(self) -> Tensor:
        """Whether an episode ended in a step, (T, N), bool."""
        return torch.maximum(self.terminated, self.truncated) > 0.0

    def clear(self) -> None:
        """Forget the stored steps."""
        self.length = 0
        self.final_obs.clear()

    def state_dict(self) -> dict[str, Any] | None:
        """The steps stored so far; None where there are none."""
        if self.length == 0:
            return None
        part = slice(self.length)
        return {
            "length": self.length,
            "obs": self.obs[: self.length + 1].clone(),
            "noise": self.noise.clone(),
            "final_obs": [[t, rows, obs] for t, rows, obs in self.final_obs],
            **{name: getattr(self, name)[part].clone() for name in _STORED},
        }

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Continue where `state_dict` was taken; with other steps or rows, begin anew."""
        self.clear()
        if state is None or state["noise"].shape != self.noise.shape:
            return
        self.length = state["length"]
        self.obs[: self.length + 1] = state["obs"]
        self.noise[:] = state["noise"]
        self.final_obs = [(t, rows, obs) for t, rows, obs in state["final_obs"]]
        for name in _STORED:
            if name != "memory" or self.memory.shape[2]:  # which checkpoints of earlier versions lack
                getattr(self, name)[: self.length] = state[name]

    def add_final_obs(self, rows: Tensor, obs: Tensor) -> None:
        """Keep the true last observations, (k, D), of the rows (k,) whose episodes end in this step."""
        self.final_obs.append((self.length, rows, obs))
