"""Soft actor-critic with a learned temperature (Haarnoja et al. 2018, arXiv 1812.05905)."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from trainers.action_value import soft_update
from trainers.actors import ActionShape, SquashedGaussianActor
from trainers.algorithms.off_policy import Batch, OffPolicy, descend
from trainers.hyperparameters import SacHyperparameters
from trainers.observation import Observed
from trainers.settings import BehaviorSettings, NetworkSettings


class Temperature(nn.Module):
    """Alpha, the factor of the entropy, learned by its logarithm."""

    def __init__(self, initial: float) -> None:
        super().__init__()
        self.log_alpha = nn.Parameter(torch.tensor(math.log(initial)))

    def forward(self) -> Tensor:
        """Return alpha, ()."""
        return self.log_alpha.exp()


class Sac(OffPolicy):
    """Algorithm 1, with the entropy's target -A of appendix D."""

    critics: ClassVar[int] = 2
    parts: ClassVar[tuple[str, ...]] = (
        "actor",
        "critic",
        "target_critic",
        "temperature",
        "actor_optimizer",
        "critic_optimizer",
        "temperature_optimizer",
    )
    learned: ClassVar[tuple[str, ...]] = (*parts, "updates")
    actor: SquashedGaussianActor

    def __init__(
        self, obs: Observed, shape: ActionShape, rows: int, settings: BehaviorSettings, seed: int, device: torch.device
    ) -> None:
        super().__init__(obs, shape, rows, settings, seed, device)
        assert isinstance(settings.hyperparameters, SacHyperparameters)
        self.temperature = Temperature(settings.hyperparameters.init_entcoef).to(device)
        self.temperature_optimizer = self.adam(self.temperature)
        self.target_entropy = -float(shape.continuous)

    @staticmethod
    def make_actor(observed: Observed, shape: ActionShape, settings: NetworkSettings) -> SquashedGaussianActor:
        """Make a squashed Gaussian policy."""
        return SquashedGaussianActor(observed, shape, settings)

    def explore(self, obs: Tensor) -> Tensor:
        """Return a sample of pi(.|s)."""
        return self.sample(obs)[0]

    def gradient_step(self, batch: Batch) -> dict[str, Tensor]:
        """Move critics, actor, temperature and target critics."""
        alpha = self.temperature().detach()
        target = self.target(batch, alpha, *self.sample(batch.next_obs))
        value = self.critic(batch.obs, batch.act)
        value_loss = (target - value).square().mean(dim=1).sum()  # eq. 5, of both critics
        value_norm = descend(self.critic_optimizer, value_loss)

        act, logp = self.sample(batch.obs)
        policy_loss = (alpha * logp - self.critic(batch.obs, act).amin(dim=0)).mean()  # eq. 9
        policy_norm = descend(self.actor_optimizer, policy_loss)

        temperature_loss = -(self.temperature() * (logp.detach() + self.target_entropy)).mean()  # eq. 18
        descend(self.temperature_optimizer, temperature_loss)
        soft_update(self.target_critic.parameters(), self.critic.parameters(), self.common.tau)
        return {
            "losses/value_loss": value_loss,
            "losses/policy_loss": policy_loss,
            "value/q_mean": value.mean(),
            "value/grad_norm": value_norm,
            "policy/grad_norm": policy_norm,
            "policy/entropy": -logp.mean(),
            "policy/entropy_coef": alpha,
        }

    @torch.no_grad()
    def target(self, batch: Batch, alpha: Tensor, next_act: Tensor, next_logp: Tensor) -> Tensor:
        """Return r + gamma (min_i Q'_i(s', a') - alpha log pi(a'|s')), r alone where the task ended; eq. 3, (B,)."""
        next_value = self.target_critic(batch.next_obs, next_act).amin(dim=0) - alpha * next_logp
        target: Tensor = batch.rew + self.gamma * (1.0 - batch.terminated) * next_value
        return target

    def sample(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Draw a ~ pi(.|s); returns a, (B, A), and log pi(a|s), (B,)."""
        noise = torch.randn(len(obs), self.actor.shape.continuous, generator=self.generator)
        return self.actor.sample(obs, noise.to(self.device))
