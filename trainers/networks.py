"""Encoders and critics."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from trainers.layers import orthogonal
from trainers.memory import Memory
from trainers.normalizer import Normalizer
from trainers.observation import Observed, as_observation
from trainers.sensors import Sensors
from trainers.settings import NetworkSettings

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "swish": nn.SiLU,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
}


class Encoder(nn.Sequential):
    """Observation -> features: the normaliser, if wanted, and a multilayer perceptron.

    Where more than vectors is seen, the sensors' own encoders stand in the normaliser's place. It reads the first
    obs_size numbers of what it is given; signals and masks of discrete actions may follow.

    Args:
        observed: D, or the sensors whose D numbers are read.
        settings: of the network.
        normalizer: one that other networks have, too; None makes one where it is wanted.
    """

    def __init__(self, observed: Observed, settings: NetworkSettings, normalizer: Normalizer | None = None) -> None:
        observation = as_observation(observed)
        first = observation.size
        layers: list[nn.Module] = []
        if not observation.is_vector:
            layers, first = [sensors := Sensors(observation, settings, normalizer)], sensors.output_size
        elif settings.normalize:
            layers = [normalizer or Normalizer(first)]
        sizes = [first] + [settings.hidden_units] * settings.num_layers
        for fan_in, fan_out in pairwise(sizes):
            layers += [orthogonal(fan_in, fan_out, math.sqrt(2)), ACTIVATIONS[settings.activation]()]
        super().__init__(*layers)
        self.obs_size, self.output_size = observation.size, sizes[-1]

    def forward(self, obs: Tensor) -> Tensor:
        """Return features, (..., output_size)."""
        features = obs if obs.shape[-1] == self.obs_size else obs[..., : self.obs_size]
        for layer in self:
            features = layer(features)
        return features

    def update_normalizer(self, obs: Tensor) -> None:
        """Take observations, (B, obs_size) or wider, into the statistics, where there are any."""
        first = self[0]
        if isinstance(first, Sensors):
            first.update_normalizer(obs)
        elif isinstance(first, Normalizer):
            first.update(obs[:, : self.obs_size])

    def normalizer(self) -> Normalizer | None:
        """Return the normaliser of what is seen, or of its vectors; None where it goes in as it is."""
        first = self[0]
        if isinstance(first, Sensors):
            return first.normalizer
        return first if isinstance(first, Normalizer) else None


class Body(nn.Module):
    """What policies and critics have in common: an encoder and, where it is wanted, a memory behind it.

    With a memory a network reads in two stages: `remember` (or `step`) makes inputs of observations and of what is
    remembered, and everything else reads these inputs. Without one, inputs are the observations themselves.

    Attributes:
        encoder: observation -> features.
        memory: features so far -> features; None where nothing is remembered.
    """

    def __init__(self, observed: Observed, settings: NetworkSettings, normalizer: Normalizer | None = None) -> None:
        super().__init__()
        self.encoder = Encoder(observed, settings, normalizer)
        self.memory = None if settings.memory is None else Memory(self.encoder.output_size, settings.memory)

    @property
    def memory_size(self) -> int:
        """S, how many numbers are remembered."""
        return 0 if self.memory is None else self.memory.size

    @property
    def feature_size(self) -> int:
        """Of what `features` returns."""
        return self.encoder.output_size if self.memory is None else self.memory.output_size

    def features(self, inputs: Tensor) -> Tensor:
        """Return what the network's heads read, (..., feature_size)."""
        if self.memory is not None:
            return inputs[..., : self.memory.output_size]
        features: Tensor = self.encoder(inputs)
        return features

    def remember(self, obs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Read L steps of B sequences.

        Args:
            obs: (L, B, D) or wider; what follows the D numbers is kept.
            memory: before the first step, (B, S).

        Returns:
            Inputs, (L, B, ...), and what is remembered after the last step, (B, S).
        """
        if self.memory is None:
            return obs, memory
        features, memory = self.memory(self.encoder(obs), memory)
        return torch.cat((features, obs[..., self.encoder.obs_size :]), dim=-1), memory

    def step(self, obs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Read one step: observations (B, D) or wider, in the light of (B, S); returns inputs, and what comes after."""
        if self.memory is None:
            return obs, memory
        inputs, memory = self.remember(obs.unsqueeze(0), memory)
        return inputs.squeeze(0), memory


class Critic(Body):
    """V_k(s), one value per head."""

    def __init__(self, observed: Observed, heads: int, settings: NetworkSettings) -> None:
        super().__init__(observed, settings)
        self.value = orthogonal(self.feature_size, heads, 1.0)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return V, (B, K)."""
        value: Tensor = self.value(self.features(inputs))
        return value
