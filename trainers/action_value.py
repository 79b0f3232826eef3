"""Q(s, a) of continuous actions, and of choices beside them; the target networks that follow what is learned."""

import math
from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn

from trainers.networks import ACTIVATIONS, Body
from trainers.normalizer import Normalizer
from trainers.observation import Observed, as_observation
from trainers.sensors import Sensors
from trainers.settings import NetworkSettings


class ActionValue(nn.Module):
    """Q_ki(s, a) of several networks that share nothing but the observations' normaliser, computed at once.

    What is no vector goes through encoders that the networks share; so does what is remembered, an encoder and a memory
    of the observations in front of them (Ni et al. 2022, arXiv 2110.05038, section 4). As with `Body`, inputs are then
    what `remember` or `step` makes of observations. Masks behind them are not read.

    Args:
        observed: D, or the sensors that are seen.
        action_size: C, numbers of an action.
        settings: shape of each network.
        networks: how many, I.
        normalizer: of the observations, the actor's own; None makes one where it is wanted.
        choices: M, each has a Q of its own (Christodoulou 2019, arXiv 1910.07207); 0 where there are numbers alone.
        heads: K, streams of rewards, each of which has a Q of its own, too.
    """

    def __init__(
        self,
        observed: Observed,
        action_size: int,
        settings: NetworkSettings,
        networks: int,
        normalizer: Normalizer | None,
        choices: int = 0,
        heads: int = 1,
    ) -> None:
        super().__init__()
        observation = as_observation(observed)
        obs_size = self.obs_size = observation.size
        self.choices, self.heads = choices, heads
        self.body = None if settings.memory is None else Body(observation, settings, normalizer)
        plain = self.body is not None or observation.is_vector
        self.sensors = None if plain else Sensors(observation, settings, normalizer)
        if self.body is not None:
            self.normalizer, obs_size = self.body.encoder.normalizer(), self.body.feature_size
        elif self.sensors is not None:
            self.normalizer, obs_size = self.sensors.normalizer, self.sensors.output_size
        else:
            self.normalizer = (normalizer or Normalizer(obs_size)) if settings.normalize else None
        hidden = [settings.hidden_units] * settings.num_layers
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise([obs_size + action_size, *hidden]):
            layers += [ParallelLinear(networks, fan_in, fan_out, math.sqrt(2)), ACTIVATIONS[settings.activation]()]
        self.layers = nn.Sequential(*layers, ParallelLinear(networks, hidden[-1], heads * (choices or 1), 1.0))

    def forward(self, inputs: Tensor, act: Tensor) -> Tensor:
        """Return Q_ki, (K, I, B), of choices (K, I, B, M).

        Args:
            inputs: (B, D) or wider.
            act: an action's numbers, (B, C).
        """
        value: Tensor = self.layers(torch.cat((self._features(inputs), act), dim=1))
        by_head = value.reshape(*value.shape[:-1], self.heads, -1).movedim(-2, 0)
        return by_head if self.choices else by_head.squeeze(-1)

    def remember(self, obs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Read sequences; see `Body.remember`."""
        return (obs, memory) if self.body is None else self.body.remember(obs, memory)

    def step(self, obs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Read one step; see `Body.step`."""
        return (obs, memory) if self.body is None else self.body.step(obs, memory)

    def update_normalizer(self, obs: Tensor) -> None:
        """Take observations, (B, D) or wider, into the statistics, where there are any."""
        if self.body is not None:
            self.body.encoder.update_normalizer(obs)
        elif self.sensors is not None:
            self.sensors.update_normalizer(obs)
        elif self.normalizer is not None:
            self.normalizer.update(obs[:, : self.obs_size])

    def _features(self, inputs: Tensor) -> Tensor:
        """Return what stands before the action, (B, F)."""
        if self.body is not None:
            return self.body.features(inputs)
        if self.sensors is not None:
            features: Tensor = self.sensors(inputs)
            return features
        obs = inputs if inputs.shape[-1] == self.obs_size else inputs[..., : self.obs_size]
        return obs if self.normalizer is None else self.normalizer(obs)


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


def least(values: Tensor) -> Tensor:
    """Return the values, (K, ...), of the networks whose sum over the K streams is the least, of (K, I, ...).

    With one stream this is the clipped double Q of Fujimoto et al. 2018, arXiv 1802.09477, eq. 10. With several it is
    that of what the policy maximises: a minimum for every stream by itself would be the lower, the more there are.
    """
    chosen = values.sum(dim=0, keepdim=True).argmin(dim=1, keepdim=True)
    return torch.take_along_dim(values, chosen, dim=1).squeeze(1)


@torch.no_grad()
def soft_update(targets: Iterable[Tensor], learned: Iterable[Tensor], tau: float) -> None:
    """Let the target parameters follow: theta' <- tau theta + (1 - tau) theta'; Lillicrap et al. 2015, algorithm 1."""
    for target, source in zip(targets, learned, strict=True):
        target.lerp_(source, tau)
