"""Encoders of images, with the layers of ML-Agents' `vis_encode_type`."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from trainers.layers import orthogonal

SMALLEST = {"fully_connected": 1, "match3": 5, "simple": 20, "nature_cnn": 36, "resnet": 15}
"""The least height and width in pixels, as in ML-Agents."""

AT_ONCE = 1024  # images of a whole rollout, whose convolutions nobody needs later, need not be in memory together
RESNET_CHANNELS = (16, 32, 32)


class ImageEncoder(nn.Module):
    """Image -> features: convolutions, and a linear layer with an activation behind them.

    Args:
        shape: (channels, height, width).
        output_size: of the features.
        kind: a key of `CONVOLUTIONS`.
    """

    def __init__(self, shape: Sequence[int], output_size: int, kind: str) -> None:
        super().__init__()
        self.convolutions = CONVOLUTIONS[kind](shape[0])
        with torch.no_grad():
            flat = self.convolutions(torch.zeros(1, *shape)).numel()
        self.dense = orthogonal(flat, output_size, math.sqrt(2))
        self.activation = nn.ReLU() if kind == "resnet" else nn.LeakyReLU()

    def forward(self, images: Tensor) -> Tensor:
        """Return features, (B, output_size), of images (B, channels, height, width), usually from 0 to 1."""
        if not (torch.is_grad_enabled() or torch.compiler.is_compiling()) and len(images) > AT_ONCE:
            return torch.cat([self(some) for some in torch.split(images, AT_ONCE)])
        features: Tensor = self.activation(self.dense(self.convolutions(images).flatten(1)))
        return features


class ResidualBlock(nn.Module):
    """x + f(x), f being two convolutions behind activations (He et al. 2016, arXiv 1603.05027)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        both = [(nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)) for _ in range(2)]
        self.layers = nn.Sequential(*(layer for pair in both for layer in pair))

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        y: Tensor = x + self.layers(x)
        return y


def _convolutions(channels: int, *layers: tuple[int, int, int]) -> nn.Sequential:
    """Return convolutions of (channels out, kernel, stride), each with a leaky ReLU behind it."""
    sizes = [channels, *(out for out, _, _ in layers)]
    found: list[nn.Module] = []
    for (fan_in, fan_out), (_, kernel, stride) in zip(pairwise(sizes), layers, strict=True):
        found += [nn.Conv2d(fan_in, fan_out, kernel, stride), nn.LeakyReLU()]
    return nn.Sequential(*found)


def _resnet(channels: int) -> nn.Sequential:
    """Return the deeper network of Espeholt et al. 2018, IMPALA, arXiv 1802.01561, figure 3, as ML-Agents has it."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise((channels, *RESNET_CHANNELS)):
        layers += [nn.Conv2d(fan_in, fan_out, 3, padding=1), nn.MaxPool2d(3, 2)]
        layers += [ResidualBlock(fan_out), ResidualBlock(fan_out)]
    return nn.Sequential(*layers, nn.SiLU())


CONVOLUTIONS: dict[str, Callable[[int], nn.Module]] = {
    "fully_connected": lambda _: nn.Identity(),
    "match3": lambda channels: _convolutions(channels, (35, 3, 1), (144, 3, 1)),
    "simple": lambda channels: _convolutions(channels, (16, 8, 4), (32, 4, 2)),
    "nature_cnn": lambda channels: _convolutions(channels, (32, 8, 4), (64, 4, 2), (64, 3, 1)),
    "resnet": _resnet,
}
