"""Deep Q-network (Mnih et al. 2015, doi 10.1038/nature14236), with what has become of it as options."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from trainers.action_value import soft_update
from trainers.actors import ActionKind, ActionShape
from trainers.algorithms.algorithm import Metrics
from trainers.algorithms.off_policy import OffPolicy
from trainers.choices import best
from trainers.descent import clip_gradient
from trainers.heads import Role
from trainers.hyperparameters import DqnHyperparameters
from trainers.observation import Observed
from trainers.priorities import PrioritizedReplay
from trainers.q_network import QNetwork
from trainers.replay import Replay
from trainers.settings import BehaviorSettings, NetworkSettings

Array = np.ndarray


class Experience(NamedTuple):
    """B sampled pieces of episodes, of up to n transitions.

    Attributes:
        obs: where they begin, (B, D + M).
        act: the first action's choices, (B, branches).
        ret: the discounted sum of the rewards, (B,).
        discount: gamma^n for n transitions, 0 where the task ended, (B,).
        next_obs: where they end, (B, D + M).
        weight: of the importance sampling, (B,).
        indices: of the first transitions in the replay, (B,).
    """

    obs: Tensor
    act: Tensor
    ret: Tensor
    discount: Tensor
    next_obs: Tensor
    weight: Tensor
    indices: Array


class Dqn(OffPolicy):
    """Algorithm 1: epsilon-greedy, learning from a replay towards a target network that is frozen for a while.

    Attributes:
        actor: Q; it acts greedily.
        target: Q', which follows it.
        epsilon: the share of random actions now.
    """

    kinds: ClassVar[tuple[ActionKind, ...]] = ("discrete",)
    head_roles: ClassVar[tuple[Role, ...]] = ("total",)  # the policy is its Q, of one reward
    clones: ClassVar[bool] = False
    reads_signals: ClassVar[bool] = False
    parts: ClassVar[tuple[str, ...]] = ("actor", "target", "q_optimizer")
    learned: ClassVar[tuple[str, ...]] = (*parts, "updates")
    actor: QNetwork

    def __init__(
        self, obs: Observed, shape: ActionShape, rows: int, settings: BehaviorSettings, seed: int, device: torch.device
    ) -> None:
        assert isinstance(settings.hyperparameters, DqnHyperparameters)
        self.hyper = settings.hyperparameters
        super().__init__(obs, shape, rows, settings, seed, device)
        self._follow(0.0)

    @staticmethod
    def make_actor(observed: Observed, shape: ActionShape, settings: NetworkSettings) -> QNetwork:
        """Make a network of action values."""
        return QNetwork(observed, shape, settings)

    def make_critics(self, network: NetworkSettings) -> None:  # noqa: ARG002  # they are the actor's copies
        """Make the target network and the optimiser."""
        self.target = self.target_of(self.actor)
        self.q_optimizer = self.adam(self.actor)

    def make_replay(self, rows: int, sizes: Mapping[str, int], seed: int) -> Replay:
        """Make the buffer, sampled uniformly or by priority."""
        if self.hyper.prioritized is None:
            return super().make_replay(rows, sizes, seed)
        return PrioritizedReplay(self.hyper.buffer_size, rows, sizes, seed, self.hyper.prioritized.alpha)

    def explore(self, obs: Tensor) -> Tensor:
        """Act at random with probability epsilon, else greedily."""
        at_random = torch.rand((len(obs), 1), generator=self.generator) < self.epsilon
        return torch.where(at_random, self.random_action(obs.cpu()), self.actor.action(obs).cpu())

    def update(self, progress: float) -> Metrics:
        """Take the gradient steps that are due."""
        metrics = super().update(progress)
        self._follow(progress)
        return metrics | {"policy/epsilon": self.epsilon}

    def draw_batches(self, count: int) -> Iterator[Experience]:
        """Draw pieces of episodes; one minibatch after the other, since priorities change between them."""
        for _ in range(count):
            yield self._draw_batch()

    def _draw_batch(self) -> Experience:
        replay = self.replay
        indices = replay.sample(self.hyper.batch_size)
        columns = replay.read(indices)
        if self.hindsight is not None:
            self.hindsight.relabel(replay, indices, columns)
        ret, discount, last = n_step(replay, columns, indices, self.hyper.n_step, self.gamma)
        weight = torch.ones(len(indices))
        if isinstance(replay, PrioritizedReplay):
            weight = torch.from_numpy(replay.weights(indices, self.beta))
        parts = (columns["obs"], columns["act"], ret, discount, last["next_obs"], weight)
        obs, act, ret, discount, next_obs, weight = (part.to(self.device) for part in parts)
        return Experience(obs, act, ret, discount, next_obs, weight, indices)

    def gradient_step(self, batch: Experience) -> dict[str, Tensor]:
        """Move Q towards y; every target_update_interval steps the target network follows."""
        target = self.target_value(batch)
        chosen = values_of(self.actor.scores(batch.obs), batch.act)
        error = chosen - target[:, None]
        loss = (batch.weight * self._loss(error).mean(dim=1)).mean()
        self.q_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        grad_norm = clip_gradient(self.actor.parameters(), self.hyper.max_grad_norm)
        self.q_optimizer.step()
        if isinstance(self.replay, PrioritizedReplay):
            self.replay.set_errors(batch.indices, error.detach().abs().mean(dim=1).cpu().numpy())
        if (self.updates + 1) % self.hyper.target_update_interval == 0:
            soft_update(self.target.parameters(), self.actor.parameters(), self.hyper.tau)
        return {"losses/value_loss": loss, "value/q_mean": chosen.mean(), "policy/grad_norm": grad_norm}

    @torch.no_grad()
    def target_value(self, batch: Experience) -> Tensor:
        """Return y = r + gamma max_c Q'(s', c), (B,); of several branches the mean, eq. 6 of Tavakoli et al.

        With `double` c maximises Q, and not Q' (van Hasselt et al. 2015, arXiv 1509.06461, eq. 4).
        """
        scores = self.target.scores(batch.next_obs)
        choices = self.actor.action(batch.next_obs) if self.hyper.double else best(scores)
        target: Tensor = batch.ret + batch.discount * values_of(scores, choices).mean(dim=1)
        return target

    def state_dict(self) -> dict[str, Any]:
        """What all have, and epsilon and beta."""
        return super().state_dict() | {"epsilon": self.epsilon, "beta": self.beta}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        super().load_state_dict(state)
        self.epsilon, self.beta = state["epsilon"], state["beta"]

    def _follow(self, progress: float) -> None:
        """Let epsilon fall, and the importance weights' exponent rise to 1."""
        hyper = self.hyper
        done = min(progress / hyper.exploration_fraction, 1.0)
        self.epsilon = hyper.exploration_initial_eps + done * (
            hyper.exploration_final_eps - hyper.exploration_initial_eps
        )
        first = 1.0 if hyper.prioritized is None else hyper.prioritized.beta
        self.beta = first + min(progress, 1.0) * (1.0 - first)

    def _loss(self, error: Tensor) -> Tensor:
        if self.hyper.loss == "square":
            return 0.5 * error.square()
        return nn.functional.huber_loss(error, torch.zeros_like(error), reduction="none")


def values_of(scores: Sequence[Tensor], choices: Tensor) -> Tensor:
    """Return the scores of choices, (B, branches)."""
    columns = choices.long().unbind(dim=-1)
    return torch.cat([part.gather(-1, of[:, None]) for part, of in zip(scores, columns, strict=True)], dim=-1)


def n_step(
    replay: Replay, columns: Mapping[str, Tensor], indices: Array, n: int, gamma: float
) -> tuple[Tensor, Tensor, Mapping[str, Tensor]]:
    """Sum rewards along episodes: R = r_t + gamma r_{t+1} + ... + gamma^{n-1} r_{t+n-1} (Sutton 1988).

    The sum ends where the episode does, and at what was stored last; the discount tells how far it goes.

    Args:
        replay: where the further transitions are.
        columns: the first transitions.
        indices: theirs, (B,).
        n: transitions at most.
        gamma: discount per decision.

    Returns:
        R, (B,); gamma^k for k transitions, 0 where the task ended, (B,); and the last transitions.
    """
    ret, last = columns["rew"][:, 0].clone(), columns
    ahead = replay.ahead(indices, n - 1)
    for step in range(1, n):
        reaches = torch.from_numpy(ahead >= step)
        last = replay.read(replay.after(indices, np.minimum(ahead, step)))
        ret += torch.where(reaches, gamma**step * last["rew"][:, 0], 0.0)
    discount = gamma ** (torch.from_numpy(ahead) + 1.0) * (1.0 - last["terminated"][:, 0])
    return ret, discount.float(), last
