"""Policies: networks that turn observations into actions. The actor is what a run exports."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainers.networks import Encoder, orthogonal
from trainers.settings import NetworkSettings

ACTION_LIMIT = 3.0
LOG_STD_RANGE = (-20.0, 2.0)  # as in the implementation of Haarnoja et al.


@dataclass(frozen=True)
class ActionShape:
    """What a policy decides on, as in ML-Agents' ActionSpec.

    Attributes:
        continuous: numbers in [-1, 1].
        branches: of each discrete decision, how many choices it has.
    """

    continuous: int
    branches: tuple[int, ...] = ()


class Actor(nn.Module, ABC):
    """pi(a|s).

    Attributes:
        obs_size: D.
        shape: of the actions.
        encoder: observation -> features.
    """

    def __init__(self, obs_size: int, shape: ActionShape, settings: NetworkSettings) -> None:
        super().__init__()
        self.obs_size, self.shape = obs_size, shape
        self.encoder = Encoder(obs_size, settings)

    @abstractmethod
    def action(self, obs: Tensor) -> Tensor:
        """Return what the robot gets without exploration, (B, A) in [-1, 1]."""

    @abstractmethod
    def random_action(self, obs: Tensor) -> Tensor:
        """Return what the robot gets with the policy's own randomness, (B, A) in [-1, 1]; traced into exports."""


class GaussianActor(Actor):
    """pi(a|s) = N(mean(s), diag(std^2)) with a std that does not depend on the state.

    The action sent to the robot is clamp(a, -3, 3) / 3, as in ML-Agents, so it lies in [-1, 1] and a standard
    deviation of 1 still leaves most of the range to the mean.
    """

    def __init__(self, obs_size: int, shape: ActionShape, settings: NetworkSettings) -> None:
        super().__init__(obs_size, shape, settings)
        self.mean = orthogonal(self.encoder.output_size, shape.continuous, 0.01)
        self.log_std = nn.Parameter(torch.zeros(shape.continuous))

    def forward(self, obs: Tensor) -> Tensor:
        """Return the mean, (B, A)."""
        mean: Tensor = self.mean(self.encoder(obs))
        return mean

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

    def log_prob(self, obs: Tensor, act: Tensor) -> Tensor:
        """Return log pi(a|s), (B,)."""
        noise = (act - self(obs)) * torch.exp(-self.log_std)
        logp: Tensor = -0.5 * noise.square().sum(dim=-1) - (self.log_std + 0.5 * math.log(2.0 * math.pi)).sum()
        return logp

    def entropy(self) -> Tensor:
        """Return the entropy of pi, in nats: sum of log std + (1 + log 2 pi) / 2; ()."""
        return (self.log_std + 0.5 * (1.0 + math.log(2.0 * math.pi))).sum()


class TanhActor(Actor):
    """mu(s) = tanh(...): a deterministic policy (Silver et al. 2014); its exploration is not its own."""

    def __init__(self, obs_size: int, shape: ActionShape, settings: NetworkSettings) -> None:
        super().__init__(obs_size, shape, settings)
        self.mean = orthogonal(self.encoder.output_size, shape.continuous, 0.01)

    def forward(self, obs: Tensor) -> Tensor:
        """Return mu(s), (B, A)."""
        return torch.tanh(self.mean(self.encoder(obs)))

    def action(self, obs: Tensor) -> Tensor:
        """Return mu(s)."""
        act: Tensor = self(obs)
        return act

    def random_action(self, obs: Tensor) -> Tensor:
        """Return mu(s), which knows no randomness."""
        return self.action(obs)


class SquashedGaussianActor(Actor):
    """pi(a|s): a = tanh(u), u ~ N(mean(s), diag(std(s)^2)) (Haarnoja et al. 2018, arXiv 1812.05905, appendix C)."""

    def __init__(self, obs_size: int, shape: ActionShape, settings: NetworkSettings) -> None:
        super().__init__(obs_size, shape, settings)
        self.mean = orthogonal(self.encoder.output_size, shape.continuous, 0.01)
        self.log_std = orthogonal(self.encoder.output_size, shape.continuous, 0.01)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of u and the logarithm of its standard deviation, (B, A) each."""
        features = self.encoder(obs)
        return self.mean(features), self.log_std(features).clamp(*LOG_STD_RANGE)

    def action(self, obs: Tensor) -> Tensor:
        """Return the mean of u as the robot gets it."""
        mean, _ = self(obs)
        return torch.tanh(mean)

    def random_action(self, obs: Tensor) -> Tensor:
        """Return a sample."""
        mean, log_std = self(obs)
        return torch.tanh(mean + torch.randn_like(mean) * log_std.exp())

    def sample(self, obs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Draw actions from standard normal noise (B, A); returns them, (B, A), and log pi(a|s), (B,).

        Equation 26, with log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u)), which no u overflows.
        """
        mean, log_std = self(obs)
        before = torch.addcmul(mean, noise, log_std.exp())
        gaussian = -0.5 * (noise.square() + math.log(2.0 * math.pi)) - log_std
        squash = 2.0 * (math.log(2.0) - before - nn.functional.softplus(-2.0 * before))
        return torch.tanh(before), (gaussian - squash).sum(dim=-1)


def to_env(act: Tensor) -> Tensor:
    """Turn a Gaussian policy's action into the robot's, in [-1, 1]."""
    return act.clamp(-ACTION_LIMIT, ACTION_LIMIT) / ACTION_LIMIT
