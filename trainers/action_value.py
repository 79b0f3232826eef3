"""Q(s, a) of continuous actions, and the target networks that follow what is learned."""

import math
from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn

from trainers.networks import ACTIVATIONS
from trainers.normalizer import Normalizer
from trainers.observation import Observed, as_observation
from trainers.sensors import Sensors
from trainers.settings import NetworkSettings


class ActionValue(nn.Module):
    """Q_i(s, a) of several networks that share nothing but the observations' normaliser, computed at once.

    Args:
        observed: D, or the sensors that are seen; what is no vector goes through encoders that the networks share.
        action_size: A.
        settings: shape of each network.
        networks: how many, I.
        normalizer: of the observations, the actor's own; None takes them as they are.
    """

    def __init__(
        self,
        observed: Observed,
        action_size: int,
        settings: NetworkSettings,
        networks: int,
        normalizer: Normalizer | None,
    ) -> None:
        super().__init__()
        observation = as_observation(observed)
        obs_size = observation.size
        self.normalizer = normalizer
        self.sensors = None if observation.is_vector else Sensors(observation, settings, normalizer)
        if self.sensors is not None:
            obs_size = self.sensors.output_size
        hidden = [settings.hidden_units] * settings.num_layers
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise([obs_size + action_size, *hidden]):
            layers += [ParallelLinear(networks, fan_in, fan_out, math.sqrt(2)), ACTIVATIONS[settings.activation]()]
        self.layers = nn.Sequential(*layers, ParallelLinear(networks, hidden[-1], 1, 1.0))

    def forward(self, obs: Tensor, act: Tensor) -> Tensor:
        """Return Q_i of (B, D) observations and (B, A) actions, (I, B)."""
        if self.sensors is not None:
            obs = self.sensors(obs)
        elif self.normalizer is not None:
            obs = self.normalizer(obs)
        value: Tensor = self.layers(torch.cat((obs, act), dim=1))
        return value.squeeze(-1)


class ParallelLinear(nn.Module):
    """The linear layers of several networks, with orthogonal weights times `gain` and no bias to begin with."""

    def __init__(self, networks: int, fan_in: int, fan_out: int, gain: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(networks, fan_in, fan_out))
        self.bias = nn.Parameter(torch.zeros(networks, 1, fan_out))
        for weight in self.weight:
            nn.init.orthogonal_(weight, gain)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, fan_in), the same for all networks, or (I, B, fan_in), to (I, B, fan_out)."""
        return torch.baddbmm(self.bias, x.expand(len(self.weight), -1, -1), self.weight)


@torch.no_grad()
def soft_update(targets: Iterable[Tensor], learned: Iterable[Tensor], tau: float) -> None:
    """Let the target parameters follow: theta' <- tau theta + (1 - tau) theta'; Lillicrap et al. 2015, algorithm 1."""
    for target, source in zip(targets, learned, strict=True):
        target.lerp_(source, tau)
