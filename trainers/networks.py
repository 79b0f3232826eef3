"""Actors and critics."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from trainers.normalizer import Normalizer
from trainers.settings import NetworkSettings

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "swish": nn.SiLU,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
}
ACTION_LIMIT = 3.0


class Encoder(nn.Sequential):
    """Observation -> features: the normaliser, if wanted, and a multilayer perceptron."""

    def __init__(self, obs_size: int, settings: NetworkSettings) -> None:
        sizes = [obs_size] + [settings.hidden_units] * settings.num_layers
        layers: list[nn.Module] = [Normalizer(obs_size)] if settings.normalize else []
        for fan_in, fan_out in pairwise(sizes):
            layers += [_orthogonal(fan_in, fan_out, math.sqrt(2)), ACTIVATIONS[settings.activation]()]
        super().__init__(*layers)
        self.output_size = sizes[-1]

    def normalizer(self) -> Normalizer | None:
        """Return the normaliser, None where observations go in as they are."""
        return self[0] if isinstance(self[0], Normalizer) else None


class GaussianActor(nn.Module):
    """pi(a|s) = N(mean(s), diag(std^2)) with a std that does not depend on the state.

    The action sent to the robot is clamp(a, -3, 3) / 3, as in ML-Agents, so it lies in [-1, 1] and a standard
    deviation of 1 still leaves most of the range to the mean.
    """

    def __init__(self, obs_size: int, action_size: int, settings: NetworkSettings) -> None:
        super().__init__()
        self.obs_size, self.action_size = obs_size, action_size
        self.encoder = Encoder(obs_size, settings)
        self.mean = _orthogonal(self.encoder.output_size, action_size, 0.01)
        self.log_std = nn.Parameter(torch.zeros(action_size))

    def forward(self, obs: Tensor) -> Tensor:
        """Return the mean, (B, A)."""
        mean: Tensor = self.mean(self.encoder(obs))
        return mean

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


class Critic(nn.Module):
    """V_k(s), one value per head."""

    def __init__(self, obs_size: int, heads: int, settings: NetworkSettings) -> None:
        super().__init__()
        self.encoder = Encoder(obs_size, settings)
        self.value = _orthogonal(self.encoder.output_size, heads, 1.0)

    def forward(self, obs: Tensor) -> Tensor:
        """Return V, (B, K)."""
        value: Tensor = self.value(self.encoder(obs))
        return value


def to_env(act: Tensor) -> Tensor:
    """Turn the policy's action into the robot's, in [-1, 1]."""
    return act.clamp(-ACTION_LIMIT, ACTION_LIMIT) / ACTION_LIMIT


def _orthogonal(fan_in: int, fan_out: int, gain: float) -> nn.Linear:
    layer = nn.Linear(fan_in, fan_out)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer
