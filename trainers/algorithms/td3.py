"""Twin delayed deep deterministic policy gradient, TD3 (Fujimoto et al. 2018, arXiv 1802.09477)."""

from typing import ClassVar

import torch
from torch import Tensor

from trainers.actors import ActionShape
from trainers.algorithms.ddpg import Ddpg
from trainers.algorithms.off_policy import Batch
from trainers.hyperparameters import Td3Hyperparameters
from trainers.observation import Observed
from trainers.settings import BehaviorSettings


class Td3(Ddpg):
    """Algorithm 1: DDPG with two critics, of which the smaller one counts, a smoothed target and a delayed actor."""

    critics: ClassVar[int] = 2

    def __init__(
        self, obs: Observed, shape: ActionShape, rows: int, settings: BehaviorSettings, seed: int, device: torch.device
    ) -> None:
        super().__init__(obs, shape, rows, settings, seed, device)
        assert isinstance(settings.hyperparameters, Td3Hyperparameters)
        self.hyper: Td3Hyperparameters = settings.hyperparameters

    def gradient_step(self, batch: Batch) -> dict[str, Tensor]:
        """Move the critics; in every policy_delay-th step, actor and targets too."""
        noise = torch.randn(batch.act.shape, generator=self.generator).to(self.device)
        metrics = self.fit_critic(batch, self.smoothed_action(batch.next_obs, noise))
        if (self.updates + 1) % self.hyper.policy_delay == 0:
            metrics |= self.improve_actor(batch)
        return metrics

    @torch.no_grad()
    def smoothed_action(self, next_obs: Tensor, noise: Tensor) -> Tensor:
        """Return a' = mu'(s') + clip(sigma noise, -c, c), eq. 14, within [-1, 1]; noise (B, A) is standard normal."""
        clip = self.hyper.target_noise_clip
        smoothing = (self.hyper.target_noise_std * noise).clamp(-clip, clip)
        return (self.target_actor.action(next_obs) + smoothing).clamp(-1.0, 1.0)
