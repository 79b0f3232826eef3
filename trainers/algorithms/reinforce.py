"""REINFORCE: the policy gradient of whole episodes, in four variants (Williams 1992)."""

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from trainers.actors import ActionKind, ActionShape, StochasticActor
from trainers.algorithms.algorithm import Algorithm, Metrics, Step
from trainers.choices import make_stochastic_actor
from trainers.descent import clip_gradient, set_rate
from trainers.episodes import Episodes
from trainers.hyperparameters import ReinforceHyperparameters
from trainers.observation import Observed
from trainers.schedules import LEARNING_RATE_FLOOR, scheduled
from trainers.settings import BehaviorSettings

Variant = Literal["plain", "baseline", "reward_to_go", "discounted"]


class Reinforce(Algorithm):
    """Takes one step up the gradient (1/N) sum_n sum_t w_t^n grad log pi(a_t^n|s_t^n) of N whole episodes.

    Every row plays as many of them, and each is of one policy from its first step to its last: what is under way
    when the policy changes is not learned from. So no episode counts more for being short.
    """

    learned: ClassVar[tuple[str, ...]] = ("actor", "optimizer")
    kinds: ClassVar[tuple[ActionKind, ...]] = ("continuous", "discrete", "hybrid")
    make_actor = staticmethod(make_stochastic_actor)
    actor: StochasticActor

    def __init__(
        self, obs: Observed, shape: ActionShape, rows: int, settings: BehaviorSettings, seed: int, device: torch.device
    ) -> None:
        assert isinstance(settings.hyperparameters, ReinforceHyperparameters)
        self.hyper, self.gamma = settings.hyperparameters, settings.reward_signals.extrinsic.gamma
        self.device = device
        torch.manual_seed(seed)
        self.actor = self.make_actor(obs, shape, settings.network_settings).to(device)
        self.optimizer = torch.optim.Adam(self.actor.parameters(), lr=self.hyper.learning_rate, eps=1e-5, fused=True)
        self.generator = torch.Generator().manual_seed(seed)
        self.episodes = Episodes(rows, -(-self.hyper.num_episodes // rows))
        self._obs = np.zeros((rows, self.actor.obs_size + shape.choices), dtype=np.float32)
        self._act = torch.zeros(rows, shape.size)

    @torch.no_grad()
    def act(self, obs: np.ndarray, requesting: np.ndarray) -> Any:
        """Sample from the policy."""
        noise = torch.randn(self._act.shape, generator=self.generator)
        act = self.actor.sample(torch.from_numpy(obs).to(self.device), noise.to(self.device)).cpu()
        self._obs = obs.copy()
        self._act = torch.where(torch.from_numpy(requesting)[:, None], act, self._act)
        return self.actor.shape.for_env(self.actor.command(self._act))

    def observe(self, step: Step) -> None:
        """Store the transition."""
        self.episodes.add(self._obs, self._act.numpy(), step)

    def abandon_episodes(self) -> None:
        """Drop the episodes; those that begin now count."""
        self.episodes.clear(under_way=False)

    def ready(self) -> bool:
        """Whether every row has played its episodes."""
        return self.episodes.complete

    def update(self, progress: float) -> Metrics:
        """Take one step."""
        hyper = self.hyper
        rate = scheduled(hyper.learning_rate, hyper.learning_rate_schedule, progress, LEARNING_RATE_FLOOR)
        set_rate(self.optimizer, rate)
        obs, act, rew, running = (torch.from_numpy(part).to(self.device) for part in self.episodes.padded())
        weights = credit(rew, running, hyper.variant, self.gamma)
        logp, entropy = self.actor.log_prob_and_entropy(obs[running], act[running])
        loss = -(weights[running] * logp).sum() / rew.shape[1]
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        grad_norm = clip_gradient(self.actor.parameters(), hyper.max_grad_norm)
        self.optimizer.step()
        self.actor.encoder.update_normalizer(obs[running])
        self.episodes.clear(under_way=True)
        return {
            "losses/policy_loss": loss.item(),
            "policy/entropy": entropy.item(),
            "policy/grad_norm": float(grad_norm),
            "policy/learning_rate": rate,
            "policy/episodes": float(rew.shape[1]),
        }

    def state_dict(self) -> dict[str, Any]:
        """Network, optimiser, random state, and the episodes so far."""
        return {
            "actor": self.actor.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "episodes": self.episodes.state_dict(),
            "last_act": self._act.clone(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken; with another number of rows, episodes begin anew."""
        self.actor.load_state_dict(state["actor"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        if state["last_act"].shape == self._act.shape:
            self.episodes.load_state_dict(state["episodes"])
            self._act = state["last_act"].clone()


def credit(rew: Tensor, running: Tensor, variant: Variant, gamma: float) -> Tensor:
    """Return what each grad log pi(a_t|s_t) is multiplied by, (T, N).

    `plain`: R = sum_t r_t. `reward_to_go`: sum_{t'>=t} r_t'. `discounted`: sum_{t'>=t} gamma^(t'-t) r_t'. All but
    `plain` less a baseline: the mean of the same quantity at the same step, over the other episodes that still run
    there. It knows nothing of the action, and so leaves the mean of the gradient as it is.

    Args:
        rew: of N episodes, (T, N), 0 after their end.
        running: whether an episode takes step t, (T, N), bool.
        variant: one of the four.
        gamma: discount.
    """
    decay = {"plain": 1.0, "baseline": 1.0, "reward_to_go": 1.0, "discounted": gamma}[variant]
    weights = torch.zeros_like(rew)
    tail = torch.zeros_like(rew[0])
    for t in range(len(rew) - 1, -1, -1):
        tail = rew[t] + decay * tail
        weights[t] = tail
    if variant in ("plain", "baseline"):
        weights = weights[0].expand_as(rew)
    weights = weights * running
    if variant == "plain":
        return weights
    others = running.sum(dim=1, keepdim=True) - running.to(rew.dtype)
    baseline = (weights.sum(dim=1, keepdim=True) - weights) / others.clamp(min=1.0)
    return (weights - baseline) * running
