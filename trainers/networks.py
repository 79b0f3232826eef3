"""Encoders and critics."""

import math
from collections.abc import Callable
from itertools import pairwise

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


class Encoder(nn.Sequential):
    """Observation -> features: the normaliser, if wanted, and a multilayer perceptron.

    It reads the first obs_size numbers of what it is given; masks of discrete actions may follow.
    """

    def __init__(self, obs_size: int, settings: NetworkSettings) -> None:
        sizes = [obs_size] + [settings.hidden_units] * settings.num_layers
        layers: list[nn.Module] = [Normalizer(obs_size)] if settings.normalize else []
        for fan_in, fan_out in pairwise(sizes):
            layers += [orthogonal(fan_in, fan_out, math.sqrt(2)), ACTIVATIONS[settings.activation]()]
        super().__init__(*layers)
        self.obs_size, self.output_size = obs_size, sizes[-1]

    def forward(self, obs: Tensor) -> Tensor:
        """Return features, (..., output_size)."""
        features = obs if obs.shape[-1] == self.obs_size else obs[..., : self.obs_size]
        for layer in self:
            features = layer(features)
        return features

    def update_normalizer(self, obs: Tensor) -> None:
        """Take observations, (B, obs_size) or wider, into the statistics, where there are any."""
        normalizer = self.normalizer()
        if normalizer is not None:
            normalizer.update(obs[:, : self.obs_size])

    def normalizer(self) -> Normalizer | None:
        """Return the normaliser, None where observations go in as they are."""
        return self[0] if isinstance(self[0], Normalizer) else None


class Critic(nn.Module):
    """V_k(s), one value per head."""

    def __init__(self, obs_size: int, heads: int, settings: NetworkSettings) -> None:
        super().__init__()
        self.encoder = Encoder(obs_size, settings)
        self.value = orthogonal(self.encoder.output_size, heads, 1.0)

    def forward(self, obs: Tensor) -> Tensor:
        """Return V, (B, K)."""
        value: Tensor = self.value(self.encoder(obs))
        return value


def orthogonal(fan_in: int, fan_out: int, gain: float) -> nn.Linear:
    """Return a linear layer with orthogonal weights times `gain`, and no bias."""
    layer = nn.Linear(fan_in, fan_out)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer
