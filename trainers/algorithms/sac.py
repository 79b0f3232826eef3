"""Soft actor-critic with learned temperatures (Haarnoja et al. 2018, arXiv 1812.05905), of numbers and of choices.

Choices are as in Christodoulou 2019, arXiv 1910.07207: a Q for every choice, and expectations over the policy in the
place of samples. Each of B branches has choices, Q and temperature of its own, numbers are one more part:

    Q(s, a, c) = mean_b Q_b(s, a, c_b)
    V(s) = E_a[mean_b (sum_c pi_b(c|s) min_i Q_ib(s, a, c) + alpha_b H(pi_b(.|s))) - alpha log pi(a|s)]

Q_b reads the numbers a beside s (Delalleau et al. 2019, arXiv 1912.11077, section 3). The mean over branches is
ML-Agents'; with choices alone it makes pi_b(c|s) ~ exp(Q_b(s, c) / alpha_b) the best policy.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from trainers.action_value import least, soft_update
from trainers.actors import ActionKind, ActionShape, Decision, SoftActor
from trainers.algorithms.off_policy import Batch, OffPolicy, descend
from trainers.choices import entropies, make_soft_actor, most_entropies
from trainers.hyperparameters import SacHyperparameters
from trainers.observation import Observed
from trainers.sequence_replay import SequenceBatch
from trainers.settings import BehaviorSettings

TARGET_SHARE = 0.2  # of a branch's highest entropy, as in ML-Agents: about as random as epsilon 0.05


class Temperature(nn.Module):
    """Alpha, the factors of E entropies, learned by their logarithms."""

    def __init__(self, initial: float, entropies: int) -> None:
        super().__init__()
        self.log_alpha = nn.Parameter(torch.full((entropies,), math.log(initial)))

    def forward(self) -> Tensor:
        """Return alpha, (E,)."""
        return self.log_alpha.exp()


class Sac(OffPolicy):
    """Algorithm 1 of either paper.

    The policy has E entropies: that of the numbers together, if there are any, then one per branch. Their targets are
    -C for C numbers (appendix D), and 0.2 log n for a branch of which n choices are allowed.
    """

    kinds: ClassVar[tuple[ActionKind, ...]] = ("continuous", "discrete", "hybrid")
    remembers: ClassVar[bool] = True
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
    make_actor = staticmethod(make_soft_actor)
    actor: SoftActor

    def __init__(
        self, obs: Observed, shape: ActionShape, rows: int, settings: BehaviorSettings, seed: int, device: torch.device
    ) -> None:
        super().__init__(obs, shape, rows, settings, seed, device)
        assert isinstance(settings.hyperparameters, SacHyperparameters)
        shares = [1.0] * bool(shape.continuous) + [1.0 / len(shape.branches) for _ in shape.branches]
        self.shares = torch.tensor(shares, device=device)
        self.temperature = Temperature(settings.hyperparameters.init_entcoef, len(shares)).to(device)
        self.temperature_optimizer = self.adam(self.temperature)

    def explore(self, obs: Tensor) -> Tensor:
        """Return a sample of pi(.|s)."""
        return self.decide(obs).act

    def gradient_step(self, batch: Batch | SequenceBatch) -> dict[str, Tensor]:
        """Move critics, actor, temperatures and target critics."""
        alpha = self.temperature().detach()
        obs, next_obs = batch.inputs(self.actor, "actor")
        target = self.target(batch, next_obs, alpha)
        value = self.value(batch)
        value_loss = batch.mean((target.unsqueeze(1) - value).square()).sum()  # eq. 5, of both critics and all heads
        value_norm = descend(self.critic_optimizer, value_loss)

        decision = self.decide(obs)
        with torch.no_grad():
            seen, _ = batch.inputs(self.critic, "critic")
        q = self.critic(seen, decision.act[:, : self.shape.continuous])
        policy_loss = -batch.mean(self.soft_value(q, decision, alpha).sum(dim=0))  # eq. 9; Christodoulou, eq. 12
        policy_norm = descend(self.actor_optimizer, policy_loss)

        entropy = self.entropies(decision).detach()
        surplus = self.temperature() * (entropy - self.target_entropies(obs))  # eq. 18; Christodoulou, eq. 11
        descend(self.temperature_optimizer, batch.mean(surplus.sum(dim=-1)))
        soft_update(self.target_critic.parameters(), self.critic.parameters(), self.common.tau)
        return {
            "losses/value_loss": value_loss,
            "losses/policy_loss": policy_loss,
            **self.value_metrics(batch.mean(value)),
            "value/grad_norm": value_norm,
            "policy/grad_norm": policy_norm,
            **self._by_part("policy/entropy", batch.mean(entropy.T)),
            "policy/entropy": batch.mean(entropy.sum(dim=-1)),
            **self._by_part("policy/entropy_coef", alpha),
        }

    @torch.no_grad()
    def target(self, batch: Batch | SequenceBatch, next_obs: Tensor, alpha: Tensor) -> Tensor:
        """Return r_k + gamma_k V'_k(s'), r alone where the task ended, but for heads that know no end; eq. 3, (K, B).

        Args:
            batch: the transitions.
            next_obs: what the policy reads of their ends, (B, ...).
            alpha: (E,).
        """
        decision = self.decide(next_obs)
        _, seen = batch.inputs(self.target_critic, "critic")
        q = self.target_critic(seen, decision.act[:, : self.shape.continuous])
        target: Tensor = batch.rew + self.discounts(batch) * self.soft_value(q, decision, alpha)
        return target

    def value(self, batch: Batch | SequenceBatch) -> Tensor:
        """Return Q_ki of what was done, (K, I, B)."""
        shape, (obs, _) = self.shape, batch.inputs(self.critic, "critic")
        q: Tensor = self.critic(obs, batch.act[:, : shape.continuous])
        return self._expected(q, [shape.one_hot(batch.act)[:, shape.continuous :]])

    def soft_value(self, q: Tensor, decision: Decision, alpha: Tensor) -> Tensor:
        """Return V_k(s) of the least Q_ki, with the numbers' entropy and expectation from one sample, (K, B).

        The entropies are part of the first head, the task's own.

        Args:
            q: Q_ki(s, a) of the numbers decided on, (K, I, B), of choices (K, I, B, M).
            decision: of the policy.
            alpha: (E,).
        """
        expected = self._expected(least(q), [part.exp() for part in decision.log_probs])
        entropy = (self.shares * alpha * self.entropies(decision)).sum(dim=-1)
        return torch.cat((expected[:1] + entropy, expected[1:]))

    def entropies(self, decision: Decision) -> Tensor:
        """Return the policy's entropies in nats, that of the numbers from one sample, (B, E)."""
        numbers = [-decision.logp] if self.shape.continuous else []
        return torch.stack([*numbers, *entropies(decision.log_probs)], dim=-1)

    def target_entropies(self, obs: Tensor) -> Tensor:
        """Return what the entropies are to be, (B, E)."""
        shape = self.shape
        numbers = [obs.new_full((len(obs),), -float(shape.continuous))] if shape.continuous else []
        branches = [TARGET_SHARE * most for most in most_entropies(obs, shape)] if shape.branches else []
        return torch.stack([*numbers, *branches], dim=-1)

    def decide(self, obs: Tensor) -> Decision:
        """Draw from pi(.|s)."""
        noise = torch.randn(len(obs), self.shape.size, generator=self.generator)
        return self.actor.decide(obs, noise.to(self.device))

    def _expected(self, q: Tensor, odds: Sequence[Tensor]) -> Tensor:
        """Return the mean over the branches of sum_c p(c) Q(c), (..., B); of numbers alone Q itself.

        Args:
            q: (..., B), of choices (..., B, M).
            odds: p, (B, M) in parts.
        """
        branches = self.shape.branches
        return (q * torch.cat(list(odds), dim=-1)).sum(dim=-1) / len(branches) if branches else q

    def _by_part(self, name: str, values: Tensor) -> dict[str, Tensor]:
        """Return values of the E entropies by name; where they are several, which one is in it."""
        shape = self.shape
        labels = ["numbers"] * bool(shape.continuous) + [f"branch_{index}" for index in range(len(shape.branches))]
        if len(labels) == 1:
            return {name: values[0]}
        return {f"{name}/{label}": value for label, value in zip(labels, values, strict=True)}
