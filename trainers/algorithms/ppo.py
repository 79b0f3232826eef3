"""Proximal policy optimisation with a clipped objective (Schulman et al. 2017, arXiv 1707.06347)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from trainers.actors import ActionKind, ActionShape, StochasticActor
from trainers.algorithms.algorithm import Algorithm, Metrics, Step
from trainers.algorithms.cost_control import CostControl
from trainers.choices import make_stochastic_actor
from trainers.gae import gae
from trainers.heads import advantage_shares, heads_of
from trainers.hyperparameters import PpoHyperparameters
from trainers.imitation.cloning import Cloning
from trainers.imitation.demonstrations import Shown
from trainers.intrinsic import IntrinsicRewards
from trainers.networks import Critic
from trainers.rollout import Rollout
from trainers.schedules import BETA_FLOOR, EPSILON_FLOOR, LEARNING_RATE_FLOOR, scheduled
from trainers.settings import BehaviorSettings, NetworkSettings


class Ppo(Algorithm):
    """PPO with GAE, separate actor and critic, and minibatch epochs.

    Args:
        obs_size: D.
        shape: of the actions, A of them, of any kind.
        rows: N.
        settings: of the behavior.
        seed: of everything random in it.
        device: where the networks live and learn.
    """

    learned: ClassVar[tuple[str, ...]] = ("actor", "critic", "optimizer")
    kinds: ClassVar[tuple[ActionKind, ...]] = ("continuous", "discrete", "hybrid")
    has_heads: ClassVar[bool] = True
    clones: ClassVar[bool] = True
    actor: StochasticActor

    def __init__(
        self, obs_size: int, shape: ActionShape, rows: int, settings: BehaviorSettings, seed: int, device: torch.device
    ) -> None:
        self.settings = settings
        assert isinstance(settings.hyperparameters, PpoHyperparameters)
        self.hyper = settings.hyperparameters
        self.heads = heads_of(settings)
        self.device = device
        torch.manual_seed(seed)
        self.actor = self.make_actor(obs_size, shape, settings.network_settings).to(device)
        self.critic = Critic(obs_size, len(self.heads), settings.network_settings).to(device)
        if self.hyper.shared_critic:
            self.critic.encoder = self.actor.encoder
        self.parameters = list(dict.fromkeys([*self.actor.parameters(), *self.critic.parameters()]))
        self.optimizer = torch.optim.Adam(self.parameters, lr=self.hyper.learning_rate, eps=1e-5, fused=True)
        self.generator = torch.Generator().manual_seed(seed)
        steps = max(1, self.hyper.buffer_size // rows)
        self.rollout = Rollout(steps, rows, obs_size + shape.choices, shape.size, len(self.heads))
        costs = settings.reward_shaping.costs if settings.reward_shaping else {}
        self.costs = CostControl(self.heads, costs, rows)
        self.intrinsic = IntrinsicRewards(self.heads, settings, obs_size, shape, rows, seed, device)
        self.cloning = Cloning(self.actor, settings.behavioral_cloning, self.hyper, seed)
        self._episodic = torch.tensor([head.episodic for head in self.heads], device=device)
        self._last_act = torch.zeros(rows, shape.size)

    @staticmethod
    def make_actor(obs_size: int, shape: ActionShape, settings: NetworkSettings) -> StochasticActor:
        """Make a Gaussian policy, a categorical one, or both in one."""
        return make_stochastic_actor(obs_size, shape, settings)

    @torch.no_grad()
    def act(self, obs: np.ndarray, requesting: np.ndarray) -> Any:
        """Sample from the policy."""
        rollout, t = self.rollout, self.rollout.length
        if t == 0:
            rollout.obs[0] = torch.from_numpy(obs)
            rollout.noise.normal_(generator=self.generator)
        act = self.actor.sample(rollout.obs[t].to(self.device), rollout.noise[t].to(self.device)).cpu()
        if not requesting.all():
            act = torch.where(torch.from_numpy(requesting)[:, None], act, self._last_act)
        rollout.act[t] = self._last_act = act
        return self.actor.shape.for_env(self.actor.command(act))

    @torch.no_grad()
    def act_deterministic(self, obs: np.ndarray) -> Any:
        """Take the policy's mean, and its likeliest choices."""
        return self.actor.shape.for_env(self.actor.action(torch.from_numpy(obs).to(self.device)).cpu())

    def observe(self, step: Step) -> None:
        """Store the transition."""
        rollout, t = self.rollout, self.rollout.length
        rollout.rew[t] = torch.from_numpy(step.rew[:, None] if step.head_rew is None else step.head_rew)
        rollout.terminated[t] = torch.from_numpy(step.terminated)
        rollout.truncated[t] = torch.from_numpy(step.truncated)
        rollout.valid[t] = torch.from_numpy(step.valid)
        if step.final_obs is not None:
            rows = torch.from_numpy(np.flatnonzero(step.terminated | step.truncated))
            rollout.add_final_obs(rows, torch.from_numpy(step.final_obs)[rows])
        rollout.length += 1
        rollout.obs[rollout.length] = torch.from_numpy(step.next_obs)

    def show(self, shown: Mapping[str, Shown]) -> None:
        """Learn from demonstrations, too."""
        self.cloning.show(shown, self.device)
        self.intrinsic.show(shown)

    def abandon_episodes(self) -> None:
        """Drop the rollout under way."""
        self.rollout.clear()
        self.costs.abandon_episodes()

    def ready(self) -> bool:
        """Whether buffer_size samples are there."""
        return self.rollout.full

    def update(self, progress: float) -> Metrics:
        """Run num_epoch passes of minibatch descent over the rollout."""
        hyper = self.hyper
        clip_range = scheduled(hyper.epsilon, hyper.epsilon_schedule, progress, EPSILON_FLOOR)
        entropy_coef = scheduled(hyper.beta, hyper.beta_schedule, progress, BETA_FLOOR)
        lr = scheduled(hyper.learning_rate, hyper.learning_rate_schedule, progress, LEARNING_RATE_FLOOR)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        beside = self.costs.update(self.rollout) | self.intrinsic.pay(self.rollout)
        obs, act, logp, adv, returns, val = self._samples()
        sums: dict[str, Tensor] = {}
        count = 0
        for _ in range(hyper.num_epoch):
            order = torch.randperm(len(obs), generator=self.generator).to(self.device)
            for batch in torch.split(order, hyper.batch_size):
                metrics = self._descend(
                    obs[batch], act[batch], logp[batch], adv[batch], returns[batch], clip_range, entropy_coef
                )
                sums = {name: sums.get(name, 0.0) + value for name, value in metrics.items()}
                count += 1
        self._update_normalizers(obs)
        beside |= self.cloning.update(round(progress * self.settings.max_steps))
        self.rollout.clear()
        return {name: float(total) / count for name, total in sums.items()} | {
            "policy/learning_rate": lr,
            "policy/clip_range": clip_range,
            "policy/entropy_coef": entropy_coef,
            **self._value_metrics(returns, val),
            **beside,
        }

    def state_dict(self) -> dict[str, Any]:
        """Networks, optimiser, random state, and the rollout under way."""
        return {
            "heads": [head.label for head in self.heads],
            "actor": self.actor.state_dict(),
            "critic": self.critic.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "rollout": self.rollout.state_dict(),
            "costs": self.costs.state_dict(),
            "intrinsic": self.intrinsic.state_dict(),
            "cloning": self.cloning.state_dict(),
            "last_act": self._last_act.clone(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        self.actor.load_state_dict(state["actor"])
        self.critic.load_state_dict(state["critic"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.rollout.load_state_dict(state["rollout"])
        self.costs.load_state_dict(state["costs"])
        self.intrinsic.load_state_dict(state["intrinsic"])
        if "cloning" in state:
            self.cloning.load_state_dict(state["cloning"])
        if state["last_act"].shape == self._last_act.shape:
            self._last_act = state["last_act"].clone()

    def _descend(
        self,
        obs: Tensor,
        act: Tensor,
        logp: Tensor,
        adv: Tensor,
        returns: Tensor,
        clip_range: float,
        entropy_coef: float,
    ) -> dict[str, Tensor]:
        """Take one gradient step on L = L_pi + c_v L_v - c_e H, L_v the mean over samples and heads."""
        new_logp, entropy = self.actor.log_prob_and_entropy(obs, act)
        policy_loss = clipped_policy_loss(new_logp, logp, adv, clip_range)
        value_loss = (returns - self.critic(obs)).square().mean()
        loss = policy_loss + self.hyper.value_coefficient * value_loss - entropy_coef * entropy
        self.optimizer.zero_grad()
        loss.backward()
        max_norm = torch.inf if self.hyper.max_grad_norm is None else self.hyper.max_grad_norm
        grad_norm = nn.utils.clip_grad_norm_(self.parameters, max_norm)
        self.optimizer.step()
        with torch.no_grad():
            log_ratio = new_logp - logp
            ratio = log_ratio.exp()
            return {
                "losses/policy_loss": policy_loss.detach(),
                "losses/value_loss": value_loss.detach(),
                "policy/entropy": entropy.detach(),
                "policy/kl": (ratio - 1.0 - log_ratio).mean(),
                "policy/clip_fraction": ((ratio - 1.0).abs() > clip_range).float().mean(),
                "policy/grad_norm": grad_norm,
            }

    @torch.no_grad()
    def _samples(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the rollout's B valid samples.

        Returns:
            obs, act, log pi_old(a|s), normalised advantages (B,), and of every head returns and values, (B, K).
        """
        rollout = self.rollout
        obs = rollout.obs.to(self.device)
        val = self.critic(obs)
        head_adv, valid = self._advantages(val[:-1], self._next_values(val))
        head_adv, val = head_adv[valid], val[:-1][valid]
        adv = (head_adv * self.costs.weights().to(self.device)).sum(dim=1)
        obs, act = obs[:-1][valid], rollout.act.to(self.device)[valid]
        return (
            obs,
            act,
            self.actor.log_prob(obs, act),
            (adv - adv.mean()) / (adv.std(correction=0) + 1e-8),
            head_adv + val,
            val,
        )

    def _next_values(self, val: Tensor) -> Tensor:
        """Return V(s_{t+1}), (T, N, K), from V of the stored observations, (T + 1, N, K).

        After a cut, an episodic head looks at the true last observation, any other one at the next episode's first.
        """
        rollout, next_val = self.rollout, val[1:].clone()
        for t, rows, final_obs in rollout.final_obs:
            cut = rollout.truncated[t, rows] > 0.0
            final_val = self.critic(final_obs[cut].to(self.device))
            next_val[t, rows[cut]] = torch.where(self._episodic, final_val, next_val[t, rows[cut]])
        return next_val

    def _advantages(self, val: Tensor, next_val: Tensor) -> tuple[Tensor, Tensor]:
        """Return the advantages of every head, (T, N, K), and where they are to be had, (T, N), bool."""
        rollout, device = self.rollout, self.device
        rew, terminated, valid = (part.to(device) for part in (rollout.rew, rollout.terminated, rollout.valid))
        done = torch.maximum(terminated, rollout.truncated.to(device))
        horizon_ends = torch.arange(1, rollout.steps + 1, device=device) % self.settings.time_horizon == 0
        ends, done_ends = (flag.unsqueeze(-1) * self._episodic for flag in (terminated, done))
        cut = torch.maximum(done_ends, horizon_ends[:, None, None].float())
        gamma = [head.gamma for head in self.heads]
        return gae(rew, val, next_val, ends, cut, valid.unsqueeze(-1), gamma=gamma, lam=self.hyper.lambd), valid

    def _value_metrics(self, returns: Tensor, val: Tensor) -> Metrics:
        """Return how well the reward is foreseen; where there are several heads, each of them, and what it weighs."""
        rewards = [column for column, head in enumerate(self.heads) if head.role != "cost"]
        metrics = {"value/explained_variance": explained_variance(val[:, rewards].sum(1), returns[:, rewards].sum(1))}
        if len(self.heads) == 1:
            return metrics
        for column, head in enumerate(self.heads):
            metrics[f"value/explained_variance/{head.label}"] = explained_variance(val[:, column], returns[:, column])
        adv = (returns - val) * self.costs.weights().to(self.device)
        return metrics | advantage_shares(self.heads, adv.cpu().numpy())

    def _update_normalizers(self, obs: Tensor) -> None:
        """Take the rollout's observations in; after the update, so that logp and its ratio see one network."""
        for encoder in dict.fromkeys((self.actor.encoder, self.critic.encoder)):
            encoder.update_normalizer(obs)


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


def explained_variance(val: Tensor, returns: Tensor) -> float:
    """Return 1 - Var[returns - V] / Var[returns]: 1 is perfect, 0 no better than a constant; nan without variance."""
    variance = returns.var(correction=0)
    return float(1.0 - (returns - val).var(correction=0) / variance) if variance > 0 else float("nan")
