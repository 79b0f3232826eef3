"""What the on-policy algorithms have in common: they learn from a rollout of the present policy, and forget it."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from trainers.actors import ActionKind, ActionShape, StochasticActor
from trainers.algorithms.algorithm import Algorithm, Metrics, Step
from trainers.algorithms.cost_control import CostControl
from trainers.choices import make_stochastic_actor
from trainers.gae import gae
from trainers.heads import Role as HeadRole
from trainers.heads import advantage_shares, heads_of
from trainers.hyperparameters import ActorCriticHyperparameters
from trainers.imitation.demonstrations import Shown
from trainers.intrinsic import RolloutRewards
from trainers.networks import Critic
from trainers.observation import Observed, as_observation
from trainers.recurrence import PlainReader, Role, RowMemory, SequenceReader, Sequences, unroll
from trainers.rollout import Rollout
from trainers.settings import BehaviorSettings


class Samples(NamedTuple):
    """A rollout's B valid samples.

    Attributes:
        obs: s, (B, D).
        act: a, (B, A).
        adv: A(s, a), what the heads' advantages come to, (B,).
        returns: of every head, A + V, (B, K).
        val: V(s) of every head at the time of the rollout, (B, K).
    """

    obs: Tensor
    act: Tensor
    adv: Tensor
    returns: Tensor
    val: Tensor


class ActorCritic(Algorithm):
    """A policy and a value function that learn from rollouts of buffer_size samples, with GAE.

    A subclass makes the optimizer, and says in `update` what it does with `_batch()`.
    """

    learned: ClassVar[tuple[str, ...]] = ("actor", "critic", "optimizer")
    kinds: ClassVar[tuple[ActionKind, ...]] = ("continuous", "discrete", "hybrid")
    head_roles: ClassVar[tuple[HeadRole, ...]] = ("total", "term", "cost", "intrinsic")
    remembers: ClassVar[bool] = True
    reads_signals: ClassVar[bool] = True
    make_actor = staticmethod(make_stochastic_actor)
    actor: StochasticActor
    hyper: ActorCriticHyperparameters

    def __init__(
        self, obs: Observed, shape: ActionShape, rows: int, settings: BehaviorSettings, seed: int, device: torch.device
    ) -> None:
        assert isinstance(settings.hyperparameters, ActorCriticHyperparameters)
        self.settings, self.hyper = settings, settings.hyperparameters
        self.heads = heads_of(settings)
        self.device = device
        torch.manual_seed(seed)
        self.actor = self.make_actor(obs, shape, settings.network_settings).to(device)
        observation = as_observation(obs)
        self.critic = Critic(observation.for_critic(), len(self.heads), settings.network_settings).to(device)
        if self.hyper.shared_critic:
            self.critic.encoder, self.critic.memory = self.actor.encoder, self.actor.memory
        self.parameters = list(dict.fromkeys([*self.actor.parameters(), *self.critic.parameters()]))
        self.optimizer = self._make_optimizer()
        self.generator = torch.Generator().manual_seed(seed)
        steps = max(1, self.hyper.buffer_size // rows)
        memory_size = self.actor.memory_size
        self.rollout = Rollout(steps, rows, observation.width + shape.choices, shape.size, len(self.heads), memory_size)
        self.memory = RowMemory(rows, memory_size, device)
        self._critic_memory = self.memory.now  # before the first step of the rollout
        self.reader: PlainReader | SequenceReader
        costs = settings.reward_shaping.costs if settings.reward_shaping else {}
        self.costs = CostControl(self.heads, costs, rows)
        self.intrinsic = RolloutRewards(self.heads, settings, observation, shape, rows, seed, device)
        self._episodic = torch.tensor([head.episodic for head in self.heads], device=device)
        self._last_act = torch.zeros(rows, shape.size)

    @abstractmethod
    def _make_optimizer(self) -> Optimizer:
        """Make what moves `parameters`."""

    @torch.no_grad()
    def act(self, obs: np.ndarray, requesting: np.ndarray) -> Any:
        """Sample from the policy."""
        rollout, t = self.rollout, self.rollout.length
        if t == 0:
            rollout.obs[0] = torch.from_numpy(obs)
            rollout.noise.normal_(generator=self.generator)
        rollout.memory[t] = self.memory.now
        inputs = self.memory.step(self.actor, rollout.obs[t].to(self.device))
        act = self.actor.sample(inputs, rollout.noise[t].to(self.device)).cpu()
        if not requesting.all():
            act = torch.where(torch.from_numpy(requesting)[:, None], act, self._last_act)
        rollout.act[t] = self._last_act = act
        return self.actor.shape.for_env(self.actor.command(act))

    @torch.no_grad()
    def act_deterministic(self, obs: np.ndarray) -> Any:
        """Choose the best known actions, in the light of what the rows remember."""
        inputs = self.memory.step(self.actor, torch.from_numpy(obs).to(self.device))
        return self.actor.shape.for_env(self.actor.action(inputs).cpu())

    def follow(self, valid: np.ndarray, done: np.ndarray) -> None:
        """Let the rows remember what they have seen."""
        if self.actor.memory is not None:
            self.memory.advance(*(torch.from_numpy(flag).to(self.device) for flag in (valid, done)))

    def observe(self, step: Step) -> None:
        """Store the transition; where no row's has ended, nothing but what is seen next."""
        rollout, t = self.rollout, self.rollout.length
        if not step.valid.any():
            rollout.obs[t] = torch.from_numpy(step.next_obs)
            return
        rollout.rew[t] = torch.from_numpy(step.rew[:, None] if step.head_rew is None else step.head_rew)
        rollout.terminated[t] = torch.from_numpy(step.terminated)
        rollout.truncated[t] = torch.from_numpy(step.truncated)
        rollout.valid[t] = torch.from_numpy(step.valid)
        if step.final_obs is not None:
            rows = torch.from_numpy(np.flatnonzero(step.terminated | step.truncated))
            rollout.add_final_obs(rows, torch.from_numpy(step.final_obs)[rows])
        rollout.length += 1
        rollout.obs[rollout.length] = torch.from_numpy(step.next_obs)
        self.follow(step.valid, step.terminated | step.truncated)

    def show(self, shown: Mapping[str, Shown]) -> None:
        """Let rewards for what was shown compare with it."""
        self.intrinsic.show(shown)

    def abandon_episodes(self) -> None:
        """Drop the rollout under way."""
        self.rollout.clear()
        self.memory.clear()
        self._critic_memory = self.memory.now
        self.costs.abandon_episodes()

    def ready(self) -> bool:
        """Whether buffer_size samples are there."""
        return self.rollout.full

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
            "last_act": self._last_act.clone(),
            "memory": {"actor": self.memory.now.clone(), "critic": self._critic_memory.clone()},
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
        if state["last_act"].shape == self._last_act.shape:
            self._last_act = state["last_act"].clone()
        if self.actor.memory is not None:
            self.memory.load(state["memory"]["actor"])
            self._critic_memory = self.memory.fitting(state["memory"]["critic"])

    @torch.no_grad()
    def _batch(self) -> Samples:
        """Return the rollout's samples."""
        rollout = self.rollout
        obs, valid = rollout.obs.to(self.device), rollout.valid.to(self.device)
        seen = obs[:-1][valid]
        if self.actor.memory is None:
            val = self.critic(obs)
            next_val = self._next_values(val)
            self.reader = PlainReader(seen)
        else:
            val, next_val = self._remember(obs, seen)
        head_adv = self._advantages(val[:-1], next_val)[valid]
        val = val[:-1][valid]
        adv = (head_adv * self.costs.weights().to(self.device)).sum(dim=1)
        return Samples(seen, rollout.act.to(self.device)[valid], adv, head_adv + val, val)

    def _rate(self) -> float:
        """Return the learning rate."""
        rate: float = self.optimizer.param_groups[0]["lr"]
        return rate

    def _remember(self, obs: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Let a critic with a memory read the rollout, from where the one before it ended; cut this into sequences.

        Args:
            obs: of the rollout, (T + 1, N, D).
            seen: its samples', (B, D).

        Returns:
            V(s_t), (T + 1, N, K), and V(s_{t+1}), (T, N, K).
        """
        memory = self.settings.network_settings.memory
        assert memory is not None
        valid, done, remembered = (
            part.to(self.device) for part in (self.rollout.valid, self.rollout.done, self.rollout.memory)
        )
        read = unroll(self.critic, obs, self._critic_memory, valid, done)
        self._critic_memory = read.before[-1]
        sequences = Sequences(valid, done, memory.sequence_length)
        memories: dict[Role, Tensor] = {"actor": remembered[valid], "critic": read.before[:-1][valid]}
        self.reader = SequenceReader(seen, sequences, memories)
        val: Tensor = self.critic(read.inputs)
        return val, self._next_values(val, read.after)

    def _next_values(self, val: Tensor, remembered: Tensor | None = None) -> Tensor:
        """Return V(s_{t+1}), (T, N, K), from V of the stored observations, (T + 1, N, K).

        After a cut, an episodic head looks at the true last observation, any other one at the next episode's first.

        Args:
            val: V(s_t).
            remembered: by the critic after each step, (T + 1, N, S); None where it remembers nothing.
        """
        rollout, next_val = self.rollout, val[1:].clone()
        for t, rows, final_obs in rollout.final_obs:
            cut = rollout.truncated[t, rows] > 0.0
            inputs = final_obs[cut].to(self.device)
            if remembered is not None:
                inputs, _ = self.critic.step(inputs, remembered[t, rows[cut]])
            final_val = self.critic(inputs)
            next_val[t, rows[cut]] = torch.where(self._episodic, final_val, next_val[t, rows[cut]])
        return next_val

    def _advantages(self, val: Tensor, next_val: Tensor) -> Tensor:
        """Return the advantages of every head, (T, N, K); meaningless where there is no sample."""
        rollout, device = self.rollout, self.device
        rew, terminated, valid = (part.to(device) for part in (rollout.rew, rollout.terminated, rollout.valid))
        done = torch.maximum(terminated, rollout.truncated.to(device))
        horizon_ends = torch.arange(1, rollout.steps + 1, device=device) % self.settings.time_horizon == 0
        ends, done_ends = (flag.unsqueeze(-1) * self._episodic for flag in (terminated, done))
        cut = torch.maximum(done_ends, horizon_ends[:, None, None].float())
        gamma = [head.gamma for head in self.heads]
        return gae(rew, val, next_val, ends, cut, valid.unsqueeze(-1), gamma=gamma, lam=self.hyper.lambd)

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


def explained_variance(val: Tensor, returns: Tensor) -> float:
    """Return 1 - Var[returns - V] / Var[returns]: 1 is perfect, 0 no better than a constant; nan without variance."""
    variance = returns.var(correction=0)
    return float(1.0 - (returns - val).var(correction=0) / variance) if variance > 0 else float("nan")
