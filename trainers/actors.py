"""Policies: networks that turn observations into actions. The actor is what a run exports."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from trainers.layers import orthogonal
from trainers.networks import Body
from trainers.observation import Observed, as_observation
from trainers.settings import NetworkSettings

ACTION_LIMIT = 3.0
LOG_STD_RANGE = (-20.0, 2.0)  # as in the implementation of Haarnoja et al.

ActionKind = Literal["continuous", "discrete", "hybrid"]


@dataclass(frozen=True)
class ActionShape:
    """What a policy decides on, as in ML-Agents' ActionSpec.

    Attributes:
        continuous: numbers in [-1, 1].
        branches: of each discrete decision, how many choices it has.
    """

    continuous: int
    branches: tuple[int, ...] = ()

    @property
    def kind(self) -> ActionKind:
        """Numbers, choices or both."""
        if not self.branches:
            return "continuous"
        return "hybrid" if self.continuous else "discrete"

    @property
    def size(self) -> int:
        """A: the numbers, and an index per branch."""
        return self.continuous + len(self.branches)

    @property
    def choices(self) -> int:
        """M: the choices of all branches, which as many masks allow or forbid."""
        return sum(self.branches)

    @property
    def encoded_size(self) -> int:
        """Of an action with its choices one-hot."""
        return self.continuous + self.choices

    def encode(self, act: Tensor) -> Tensor:
        """Return sampled actions, (..., A), as networks read them, (..., C + M): as in [-1, 1], choices one-hot."""
        return self.one_hot(torch.cat((to_env(act[..., : self.continuous]), act[..., self.continuous :]), dim=-1))

    def one_hot(self, act: Tensor) -> Tensor:
        """Return actions, (..., A), with their choices one-hot, (..., C + M)."""
        choices = act[..., self.continuous :].long().unbind(dim=-1)
        one_hot = [nn.functional.one_hot(of, size).float() for of, size in zip(choices, self.branches, strict=True)]
        return torch.cat((act[..., : self.continuous], *one_hot), dim=-1)

    def for_env(self, act: Tensor) -> Any:
        """Turn actions, (N, A), into those of `unity_env.spaces.action_space`."""
        continuous, discrete = act[:, : self.continuous], act[:, self.continuous :]
        if not self.branches:
            return act.numpy()
        chosen = discrete.numpy().astype(np.int32)
        return {"continuous": continuous.numpy(), "discrete": chosen} if self.continuous else chosen


class Actor(Body, ABC):
    """pi(a|s).

    It is given observations, (B, D), followed by 1 for every choice that is allowed, (B, D + M) in all, where there
    are branches; with a memory, what `step` makes of them. Its actions are (B, A): numbers in [-1, 1], then the index
    of each branch's choice.

    Attributes:
        observation: the sensors that it sees.
        obs_size: D, how many numbers they make.
        shape: of the actions.
    """

    def __init__(self, observed: Observed, shape: ActionShape, settings: NetworkSettings) -> None:
        super().__init__(observed, settings)
        self.observation, self.shape = as_observation(observed), shape
        self.obs_size = self.observation.size

    @abstractmethod
    def action(self, obs: Tensor) -> Tensor:
        """Return what the robot gets without exploration, (B, A)."""

    @abstractmethod
    def random_action(self, obs: Tensor) -> Tensor:
        """Return what the robot gets with the policy's own randomness, (B, A); traced into exports."""

    def imitation(self, obs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return what is compared with demonstrations, as far as gradients go through it.

        Returns:
            The numbers as the robot gets them without exploration, (B, C), and the log-probabilities of each branch's
            choices, (B, choices).
        """
        return self.action(obs), []

    def scores(self, obs: Tensor) -> list[Tensor]:  # noqa: ARG002  # numbers are not scored
        """Return how good each branch's choices are, (B, choices) each; `action` takes the best."""
        return []


class StochasticActor(Actor):
    """A policy that is learned by the gradient of log pi(a|s).

    Its samples may lie outside what the robot can do; `command` is what the robot gets of them.
    """

    @abstractmethod
    def sample(self, obs: Tensor, noise: Tensor) -> Tensor:
        """Draw actions from standard normal noise, (B, A); returns (B, A)."""

    @abstractmethod
    def command(self, act: Tensor) -> Tensor:
        """Return what the robot gets of samples, (..., A)."""

    @abstractmethod
    def log_prob_and_entropy(self, obs: Tensor, act: Tensor) -> tuple[Tensor, Tensor]:
        """Return log pi(a|s) of samples, (B,), and the mean entropy of pi, in nats, ()."""

    def log_prob(self, obs: Tensor, act: Tensor) -> Tensor:
        """Return log pi(a|s) of samples, (B,)."""
        return self.log_prob_and_entropy(obs, act)[0]

    def imitation(self, obs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the means before they are clamped, and the log-probabilities of each branch's choices."""
        mean, log_probs = self.parts(obs)
        return mean / ACTION_LIMIT, log_probs

    @abstractmethod
    def parts(self, obs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the mean of the numbers, (B, C), and the log-probabilities of each branch's choices, (B, choices)."""


class Decision(NamedTuple):
    """What a policy decides in B states, and how likely that is.

    Attributes:
        act: the numbers as the robot gets them, then the index of each branch's choice, (B, A).
        logp: log pi of the numbers, (B,); 0 where there are none.
        log_probs: log pi of all choices, (B, choices) per branch.
    """

    act: Tensor
    logp: Tensor
    log_probs: Sequence[Tensor]


class SoftActor(Actor):
    """A policy that is learned through a critic that reads its actions, and by its own entropy."""

    @abstractmethod
    def decide(self, obs: Tensor, noise: Tensor) -> Decision:
        """Draw actions from standard normal noise, (B, A); gradients flow through numbers and log-probabilities."""


class GaussianActor(StochasticActor):
    """pi(a|s) = N(mean(s), diag(std^2)) with a std that does not depend on the state.

    The action sent to the robot is clamp(a, -3, 3) / 3, as in ML-Agents, so it lies in [-1, 1] and a standard
    deviation of 1 still leaves most of the range to the mean.
    """

    def __init__(self, observed: Observed, shape: ActionShape, settings: NetworkSettings) -> None:
        super().__init__(observed, shape, settings)
        self.mean = orthogonal(self.feature_size, shape.continuous, 0.01)
        self.log_std = nn.Parameter(torch.zeros(shape.continuous))

    def forward(self, obs: Tensor) -> Tensor:
        """Return the mean, (B, A)."""
        mean: Tensor = self.mean(self.features(obs))
        return mean

    def parts(self, obs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the mean; there are no choices."""
        return self(obs), []

    def action(self, obs: Tensor) -> Tensor:
        """Return the mean as the robot gets it."""
        return to_env(self(obs))

    def random_action(self, obs: Tensor) -> Tensor:
        """Return a sample as the robot gets it."""
        mean = self(obs)
        return to_env(mean + torch.randn_like(mean) * self.log_std.exp())

    def sample(self, obs: Tensor, noise: Tensor) -> Tensor:
        """Draw actions from standard normal noise (B, A); returns (B, A), before the clamp."""
        return torch.addcmul(self(obs), noise, self.log_std.exp())

    def command(self, act: Tensor) -> Tensor:
        """Clamp and scale to [-1, 1]."""
        return to_env(act)

    def log_prob_and_entropy(self, obs: Tensor, act: Tensor) -> tuple[Tensor, Tensor]:
        """Return both; the entropy is the same in every state."""
        return self.log_prob(obs, act), self.entropy()

    def log_prob(self, obs: Tensor, act: Tensor) -> Tensor:
        """Return log pi(a|s), (B,)."""
        return gaussian_log_prob(self(obs), self.log_std, act)

    def entropy(self) -> Tensor:
        """Return the entropy of pi, in nats, ()."""
        return gaussian_entropy(self.log_std)


def gaussian_log_prob(mean: Tensor, log_std: Tensor, act: Tensor) -> Tensor:
    """Return log N(a; mean, diag(std^2)), (B,)."""
    noise = (act - mean) * torch.exp(-log_std)
    logp: Tensor = -0.5 * noise.square().sum(dim=-1) - (log_std + 0.5 * math.log(2.0 * math.pi)).sum()
    return logp


def gaussian_entropy(log_std: Tensor) -> Tensor:
    """Return the sum of log std + (1 + log 2 pi) / 2, in nats, ()."""
    return (log_std + 0.5 * (1.0 + math.log(2.0 * math.pi))).sum()


class TanhActor(Actor):
    """mu(s) = tanh(...): a deterministic policy (Silver et al. 2014); its exploration is not its own."""

    def __init__(self, observed: Observed, shape: ActionShape, settings: NetworkSettings) -> None:
        super().__init__(observed, shape, settings)
        self.mean = orthogonal(self.feature_size, shape.continuous, 0.01)

    def forward(self, obs: Tensor) -> Tensor:
        """Return mu(s), (B, A)."""
        return torch.tanh(self.mean(self.features(obs)))

    def action(self, obs: Tensor) -> Tensor:
        """Return mu(s)."""
        act: Tensor = self(obs)
        return act

    def random_action(self, obs: Tensor) -> Tensor:
        """Return mu(s), which knows no randomness."""
        return self.action(obs)


class SquashedGaussianActor(SoftActor):
    """pi(a|s): a = tanh(u), u ~ N(mean(s), diag(std(s)^2)) (Haarnoja et al. 2018, arXiv 1812.05905, appendix C)."""

    def __init__(self, observed: Observed, shape: ActionShape, settings: NetworkSettings) -> None:
        super().__init__(observed, shape, settings)
        self.mean = orthogonal(self.feature_size, shape.continuous, 0.01)
        self.log_std = orthogonal(self.feature_size, shape.continuous, 0.01)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of u and the logarithm of its standard deviation, (B, A) each."""
        features = self.features(obs)
        return self.mean(features), self.log_std(features).clamp(*LOG_STD_RANGE)

    def action(self, obs: Tensor) -> Tensor:
        """Return the mean of u as the robot gets it."""
        mean, _ = self(obs)
        return torch.tanh(mean)

    def random_action(self, obs: Tensor) -> Tensor:
        """Return a sample."""
        mean, log_std = self(obs)
        return torch.tanh(mean + torch.randn_like(mean) * log_std.exp())

    def decide(self, obs: Tensor, noise: Tensor) -> Decision:
        """Draw numbers; there are no choices."""
        mean, log_std = self(obs)
        return Decision(*squashed_sample(mean, log_std, noise), [])


def squashed_sample(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return a = tanh(mean + noise std), (B, A), and log pi(a|s), (B,).

    Equation 26, with log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u)), which no u overflows.
    """
    before = torch.addcmul(mean, noise, log_std.exp())
    gaussian = -0.5 * (noise.square() + math.log(2.0 * math.pi)) - log_std
    squash = 2.0 * (math.log(2.0) - before - nn.functional.softplus(-2.0 * before))
    return torch.tanh(before), (gaussian - squash).sum(dim=-1)


def to_env(act: Tensor) -> Tensor:
    """Turn a Gaussian policy's action into the robot's, in [-1, 1]."""
    return act.clamp(-ACTION_LIMIT, ACTION_LIMIT) / ACTION_LIMIT
