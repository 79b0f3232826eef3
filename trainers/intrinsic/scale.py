"""Intrinsic rewards of an even size, whatever the networks that they come from."""

import torch
from torch import Tensor, nn

from trainers.normalizer import Normalizer


class Unscaled(nn.Module):
    """Leave rewards as they are; 0 where there was no transition."""

    def forward(self, rew: Tensor, valid: Tensor) -> Tensor:
        """Return (T, N) of rew, (T, N), and where there was a transition, (T, N), bool."""
        return torch.where(valid, rew, 0.0)

    def scaled(self, rew: Tensor) -> Tensor:
        """Return them."""
        return rew


class ReturnScale(nn.Module):
    """Divide rewards by a running standard deviation of their discounted sums (Burda et al. 2018, section 2.4).

    The sums look back: R_t = gamma R_{t-1} + r_t, over the ends of episodes, as what is new stays known after them.

    Args:
        rows: N.
        gamma: discount of the reward.
    """

    running: Tensor

    def __init__(self, rows: int, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma
        self.statistics = Normalizer(1)
        self.register_buffer("running", torch.zeros(rows))

    @torch.no_grad()
    def forward(self, rew: Tensor, valid: Tensor) -> Tensor:
        """Take a rollout in and scale it.

        Args:
            rew: r, (T, N).
            valid: in which steps there was a transition, (T, N), bool; elsewhere the reward is 0.
        """
        sums = torch.empty_like(rew)
        for t in range(len(rew)):
            self.running = torch.where(valid[t], self.gamma * self.running + rew[t], self.running)
            sums[t] = self.running
        self.statistics.update(sums[valid][:, None])
        return torch.where(valid, self.scaled(rew), 0.0)

    def scaled(self, rew: Tensor) -> Tensor:
        """Return rewards, (...), in standard deviations; as they are while all sums were alike."""
        return rew * torch.where(self.statistics.var > 0.0, self.statistics.inverse_std, 1.0)
