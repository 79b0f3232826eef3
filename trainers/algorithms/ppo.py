"""Proximal policy optimisation, clipped or with a KL penalty (Schulman et al. 2017, arXiv 1707.06347)."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from trainers.actors import ActionShape
from trainers.algorithms.actor_critic import ActorCritic
from trainers.algorithms.algorithm import Metrics
from trainers.descent import clip_gradient, mean_metrics, set_rate
from trainers.hyperparameters import PpoHyperparameters
from trainers.imitation.cloning import Cloning
from trainers.imitation.demonstrations import Shown
from trainers.importance import kl_divergence, surrogate
from trainers.observation import Observed
from trainers.recurrence import Read
from trainers.schedules import BETA_FLOOR, EPSILON_FLOOR, LEARNING_RATE_FLOOR, scheduled
from trainers.settings import BehaviorSettings

MIN_RATE, MAX_RATE = 1e-5, 1e-2  # bounds of a learning rate that adapts


class Minibatch(NamedTuple):
    """Samples as they were under the policy that made them: `Samples`, and log pi_old(a|s), (B,).

    `obs` is what the policy reads, `critic_obs` what the critic does.
    """

    obs: Tensor
    act: Tensor
    logp: Tensor
    adv: Tensor
    returns: Tensor
    val: Tensor
    critic_obs: Tensor


class Ppo(ActorCritic):
    """PPO with GAE and minibatch epochs.

    Attributes:
        kl_coef: beta of eq. 8, the price of the divergence from the old policy; with `objective: kl`.
    """

    clones: ClassVar[bool] = True
    hyper: PpoHyperparameters

    def __init__(
        self, obs: Observed, shape: ActionShape, rows: int, settings: BehaviorSettings, seed: int, device: torch.device
    ) -> None:
        super().__init__(obs, shape, rows, settings, seed, device)
        self.kl_coef = self.hyper.kl_coefficient
        self.cloning = Cloning(self.actor, settings.behavioral_cloning, self.hyper, seed)

    def _make_optimizer(self) -> Optimizer:
        return Adam(self.parameters, lr=self.hyper.learning_rate, eps=1e-5, fused=True)

    def show(self, shown: Mapping[str, Shown]) -> None:
        """Learn from demonstrations, too."""
        super().show(shown)
        self.cloning.show(shown, self.device)

    def update(self, progress: float) -> Metrics:
        """Run num_epoch passes of minibatch descent over the rollout."""
        hyper = self.hyper
        clip_range = scheduled(hyper.epsilon, hyper.epsilon_schedule, progress, EPSILON_FLOOR)
        entropy_coef = scheduled(hyper.beta, hyper.beta_schedule, progress, BETA_FLOOR)
        if hyper.learning_rate_schedule != "adaptive":
            rate = scheduled(hyper.learning_rate, hyper.learning_rate_schedule, progress, LEARNING_RATE_FLOOR)
            set_rate(self.optimizer, rate)
        beside = self.costs.update(self.rollout)
        beside |= self.intrinsic.pay(self.rollout, hyper.batch_size, hyper.num_epoch)
        samples = self._samples()
        means = mean_metrics(
            self._descend(_minibatch(samples, read), clip_range, entropy_coef)
            for read in self.reader.passes(self.actor, self.critic, hyper.batch_size, hyper.num_epoch, self.generator)
        )
        if hyper.objective == "kl":
            beside["policy/kl_coef"] = self.kl_coef
            self.kl_coef = adapted_penalty(self.kl_coef, self._divergence(samples), hyper.kl_target)
        self._update_normalizers(samples.obs)
        beside |= self.cloning.update(round(progress * self.settings.max_steps))
        self.rollout.clear()
        return means | {
            "policy/learning_rate": self._rate(),
            "policy/clip_range": clip_range,
            "policy/entropy_coef": entropy_coef,
            **self._value_metrics(samples.returns, samples.val),
            **beside,
        }

    def state_dict(self) -> dict[str, Any]:
        """What `ActorCritic` has, the coefficient of the penalty, and the state of the cloning."""
        return super().state_dict() | {"kl_coef": self.kl_coef, "cloning": self.cloning.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        super().load_state_dict(state)
        self.kl_coef = state.get("kl_coef", self.kl_coef)
        if "cloning" in state:
            self.cloning.load_state_dict(state["cloning"])

    def _descend(self, batch: Minibatch, clip_range: float, entropy_coef: float) -> dict[str, Tensor]:
        """Take one gradient step on L = L_pi + c_v L_v - c_e H, L_v the mean over samples and heads."""
        hyper = self.hyper
        new_logp, entropy = self.actor.log_prob_and_entropy(batch.obs, batch.act)
        kl = kl_divergence(new_logp.detach(), batch.logp)
        if hyper.learning_rate_schedule == "adaptive":
            set_rate(self.optimizer, adapted_rate(self._rate(), float(kl), hyper.kl_target))
        if hyper.objective == "clip":
            policy_loss = clipped_policy_loss(new_logp, batch.logp, batch.adv, clip_range)
        else:
            policy_loss = penalized_policy_loss(new_logp, batch.logp, batch.adv, self.kl_coef)
        val = self.critic(batch.critic_obs)
        if hyper.value_clipping:
            value_loss = clipped_value_loss(val, batch.val, batch.returns, clip_range)
        else:
            value_loss = (batch.returns - val).square().mean()
        loss = policy_loss + hyper.value_coefficient * value_loss - entropy_coef * entropy
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        grad_norm = clip_gradient(self.parameters, hyper.max_grad_norm)
        self.optimizer.step()
        ratio = (new_logp.detach() - batch.logp).exp()
        return {
            "losses/policy_loss": policy_loss,
            "losses/value_loss": value_loss,
            "policy/entropy": entropy,
            "policy/kl": kl,
            "policy/clip_fraction": ((ratio - 1.0).abs() > clip_range).float().mean(),
            "policy/grad_norm": grad_norm,
        }

    @torch.no_grad()
    def _samples(self) -> Minibatch:
        """Return the rollout's samples, their advantages normalised."""
        obs, act, adv, returns, val = self._batch()
        logp = self.actor.log_prob(self.reader.all(self.actor, "actor"), act)
        return Minibatch(obs, act, logp, (adv - adv.mean()) / (adv.std(correction=0) + 1e-8), returns, val, obs)

    @torch.no_grad()
    def _divergence(self, samples: Minibatch) -> float:
        """Return how far the policy has come from the one that made the samples, in nats."""
        logp = self.actor.log_prob(self.reader.all(self.actor, "actor"), samples.act)
        return float(kl_divergence(logp, samples.logp))


def _minibatch(samples: Minibatch, read: Read) -> Minibatch:
    """Return some of the samples, with what the networks read of them."""
    act, logp, adv, returns, val = (part[read.samples] for part in samples[1:-1])
    return Minibatch(read.actor, act, logp, adv, returns, val, read.critic)


def clipped_policy_loss(new_logp: Tensor, old_logp: Tensor, adv: Tensor, clip_range: float) -> Tensor:
    """Return L_pi = -mean min(rho A, clip(rho, 1 - eps, 1 + eps) A), rho = pi(a|s) / pi_old(a|s); eq. 7.

    Args:
        new_logp: log pi(a|s), (B,).
        old_logp: log pi_old(a|s), (B,).
        adv: A, (B,).
        clip_range: eps.

    Returns:
        ().
    """
    ratio = torch.exp(new_logp - old_logp)
    return -torch.minimum(ratio * adv, ratio.clamp(1.0 - clip_range, 1.0 + clip_range) * adv).mean()


def penalized_policy_loss(new_logp: Tensor, old_logp: Tensor, adv: Tensor, kl_coef: float) -> Tensor:
    """Return L_pi = -(mean rho A - beta KL(pi_old || pi)); eq. 8. Arguments as above; kl_coef is beta."""
    return kl_coef * kl_divergence(new_logp, old_logp) - surrogate(new_logp, old_logp, adv)


def adapted_penalty(kl_coef: float, kl: float, target: float) -> float:
    """Return beta of the next update: half where the KL fell short of the target, double beyond it; section 4."""
    if kl < target / 1.5:
        return kl_coef / 2.0
    return kl_coef * 2.0 if kl > target * 1.5 else kl_coef


def adapted_rate(rate: float, kl: float, target: float) -> float:
    """Return the learning rate of the next step, as rsl_rl does: less beyond twice the target, more below its half."""
    if kl > 2.0 * target:
        return max(MIN_RATE, rate / 1.5)
    return min(MAX_RATE, rate * 1.5) if 0.0 < kl < target / 2.0 else rate


def clipped_value_loss(val: Tensor, old_val: Tensor, returns: Tensor, clip_range: float) -> Tensor:
    """Return mean max((G - V)^2, (G - clip(V, V_old - eps, V_old + eps))^2); all (B, K), the mean ().

    From the code beside Schulman et al. 2017; see Andrychowicz et al. 2021, arXiv 2006.05990, section 3.2.
    """
    clipped = old_val + (val - old_val).clamp(-clip_range, clip_range)
    return torch.maximum((returns - val).square(), (returns - clipped).square()).mean()
