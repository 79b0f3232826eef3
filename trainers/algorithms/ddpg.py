"""Deep deterministic policy gradient (Lillicrap et al. 2015, arXiv 1509.02971)."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from trainers.action_value import least, soft_update
from trainers.actors import ActionShape, TanhActor
from trainers.algorithms.algorithm import Step
from trainers.algorithms.off_policy import Batch, OffPolicy, descend
from trainers.hyperparameters import DdpgHyperparameters
from trainers.noise import Noise
from trainers.observation import Observed
from trainers.settings import BehaviorSettings, NetworkSettings


class Ddpg(OffPolicy):
    """Algorithm 1; the critic reads the action together with the observation."""

    critics: ClassVar[int] = 1
    parts: ClassVar[tuple[str, ...]] = (
        "actor",
        "critic",
        "target_actor",
        "target_critic",
        "actor_optimizer",
        "critic_optimizer",
    )
    learned: ClassVar[tuple[str, ...]] = (*parts, "updates")

    def __init__(
        self, obs: Observed, shape: ActionShape, rows: int, settings: BehaviorSettings, seed: int, device: torch.device
    ) -> None:
        super().__init__(obs, shape, rows, settings, seed, device)
        assert isinstance(settings.hyperparameters, DdpgHyperparameters)
        self.hyper = settings.hyperparameters
        self.target_actor = self.target_of(self.actor)
        self.target_range = _sums(self.hyper.reward_range, self.gamma)
        self.noise = Noise(settings.hyperparameters.noise, rows, shape.continuous)

    @staticmethod
    def make_actor(observed: Observed, shape: ActionShape, settings: NetworkSettings) -> TanhActor:
        """Make a deterministic policy."""
        return TanhActor(observed, shape, settings)

    def explore(self, obs: Tensor) -> Tensor:
        """Return mu(s) + noise; eq. 7."""
        noise = self.noise.draw(self.generator).to(self.device)
        act = (self.actor.action(obs) + noise).clamp(-1.0, 1.0)
        if self.hyper.noise.random_share == 0.0:
            return act
        at_random = torch.rand((len(obs), 1), generator=self.generator) < self.hyper.noise.random_share
        return torch.where(at_random.to(self.device), self.random_action(obs).to(self.device), act)

    def observe(self, step: Step) -> None:
        """Store the transitions; the noise of an episode ends with it."""
        super().observe(step)
        self.noise.restart(torch.from_numpy(step.terminated | step.truncated))

    def gradient_step(self, batch: Batch) -> dict[str, Tensor]:
        """Move critic, actor and targets."""
        with torch.no_grad():
            next_act = self.target_actor.action(batch.next_obs)
        metrics = self.fit_critic(batch, next_act)
        return metrics | self.improve_actor(batch)

    def fit_critic(self, batch: Batch, next_act: Tensor) -> dict[str, Tensor]:
        """Move the critics towards y, the mean of (y_k - Q_ki(s, a))^2 over the batch, summed over k and i."""
        target = self.target(batch, next_act)
        value = self.critic(batch.obs, batch.act)
        loss = (target.unsqueeze(1) - value).square().mean(dim=-1).sum()
        grad_norm = descend(self.critic_optimizer, loss)
        return {"losses/value_loss": loss, "value/grad_norm": grad_norm, **self.value_metrics(value.mean(dim=-1))}

    @torch.no_grad()
    def target(self, batch: Batch, next_act: Tensor) -> Tensor:
        """Return y_k = r_k + gamma_k Q'_k(s', a'), (K, B), of the least Q' where there are two.

        Where the task ended, y is r alone, but for heads that know no end; `reward_range` is about the task's own.
        """
        next_value = least(self.target_critic(batch.next_obs, next_act))
        target: Tensor = batch.rew + self.discounts(batch) * next_value
        if self.target_range is not None:
            target[0].clamp_(*self.target_range)
        return target

    def improve_actor(self, batch: Batch) -> dict[str, Tensor]:
        """Move the actor up the first critic, -mean sum_k Q_k1(s, mu(s)), eq. 6; the targets follow both."""
        act = self.actor.action(batch.obs)
        loss = -self.critic(batch.obs, act)[:, 0].sum(dim=0).mean()
        if self.hyper.action_penalty > 0.0:
            loss = loss + self.hyper.action_penalty * act.square().mean()
        grad_norm = descend(self.actor_optimizer, loss)
        soft_update(self.target_critic.parameters(), self.critic.parameters(), self.common.tau)
        soft_update(self.target_actor.parameters(), self.actor.parameters(), self.common.tau)
        return {"losses/policy_loss": loss, "policy/grad_norm": grad_norm}

    def abandon_episodes(self) -> None:
        """Let episodes under way end with what is stored of them, and the noise with them."""
        super().abandon_episodes()
        self.noise.restart()

    def state_dict(self) -> dict[str, Any]:
        """What all have, and the noise."""
        return super().state_dict() | {"noise": self.noise.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        super().load_state_dict(state)
        self.noise.load_state_dict(state["noise"])


def _sums(reward_range: Sequence[float] | None, gamma: float) -> tuple[float, float] | None:
    """Return the least and the most that sum_t gamma^t r_t can come to."""
    if reward_range is None:
        return None
    low, high = reward_range
    return low / (1.0 - gamma), high / (1.0 - gamma)
