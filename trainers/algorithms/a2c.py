"""Advantage actor-critic, synchronous: A3C with all rows in one batch (Mnih et al. 2016, arXiv 1602.01783)."""

from torch import Tensor
from torch.optim import Optimizer, RMSprop

from trainers.algorithms.actor_critic import ActorCritic, Samples
from trainers.algorithms.algorithm import Metrics
from trainers.descent import clip_gradient, set_rate
from trainers.hyperparameters import A2cHyperparameters
from trainers.schedules import BETA_FLOOR, LEARNING_RATE_FLOOR, scheduled


class A2c(ActorCritic):
    """One gradient step per rollout, on A(s, a) grad log pi(a|s)."""

    hyper: A2cHyperparameters

    def _make_optimizer(self) -> Optimizer:
        hyper = self.hyper
        return RMSprop(self.parameters, lr=hyper.learning_rate, alpha=hyper.rms_decay, eps=hyper.rms_epsilon)

    def update(self, progress: float) -> Metrics:
        """Take one step."""
        self._schedule_rate(progress)
        metrics = self._differentiate(progress)
        self.optimizer.step()
        return metrics | {"policy/learning_rate": self._rate()}

    def _schedule_rate(self, progress: float) -> None:
        hyper = self.hyper
        rate = scheduled(hyper.learning_rate, hyper.learning_rate_schedule, progress, LEARNING_RATE_FLOOR)
        set_rate(self.optimizer, rate)

    def _differentiate(self, progress: float) -> Metrics:
        """Leave the gradient of the rollout's loss in the parameters, and the rollout empty."""
        beside = self.costs.update(self.rollout)
        beside |= self.intrinsic.pay(self.rollout, self.hyper.buffer_size, 1)
        samples = self._batch()
        entropy_coef = scheduled(self.hyper.beta, self.hyper.beta_schedule, progress, BETA_FLOOR)
        self.actor.zero_grad()
        self.critic.zero_grad()
        loss, parts = self._loss(samples, entropy_coef)
        loss.backward()  # type: ignore[no-untyped-call]
        grad_norm = clip_gradient(self.parameters, self.hyper.max_grad_norm)
        self._update_normalizers(samples.obs)
        self.rollout.clear()
        return {name: float(part) for name, part in parts.items()} | {
            "policy/grad_norm": float(grad_norm),
            "policy/entropy_coef": entropy_coef,
            **self._value_metrics(samples.returns, samples.val),
            **beside,
        }

    def _loss(self, samples: Samples, entropy_coef: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Return L = L_pi + c_v L_v - c_e H, with L_pi = -mean A log pi(a|s), and its parts."""
        _, act, adv, returns, _ = samples
        if self.hyper.normalize_advantage:
            adv = (adv - adv.mean()) / (adv.std(correction=0) + 1e-8)
        logp, entropy = self.actor.log_prob_and_entropy(self.reader.all(self.actor, "actor"), act)
        policy_loss = -(adv * logp).mean()
        value_loss = (returns - self.critic(self.reader.all(self.critic, "critic"))).square().mean()
        loss: Tensor = policy_loss + self.hyper.value_coefficient * value_loss - entropy_coef * entropy
        parts = {"losses/policy_loss": policy_loss, "losses/value_loss": value_loss, "policy/entropy": entropy}
        return loss, {name: part.detach() for name, part in parts.items()}
