"""Running mean and variance of observations, part of the exported network."""

import torch
from torch import Tensor, nn

from trainers.observation import Observed, as_observation

CLIP = 5.0
VAR_FLOOR = 1e-8


class Normalizer(nn.Module):
    """Standardise observations: clamp((x - mean) / sqrt(var + 1e-8), -5, 5), the form ML-Agents exports.

    Statistics follow Chan, Golub and LeVeque (1983), eq. 2.1: exact, whatever the batch sizes.
    """

    mean: Tensor
    var: Tensor
    inverse_std: Tensor
    count: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("var", torch.ones(size))
        self.register_buffer("inverse_std", torch.ones(size))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def forward(self, obs: Tensor) -> Tensor:
        """Standardise (..., size)."""
        return ((obs - self.mean) * self.inverse_std).clamp(-CLIP, CLIP)

    @torch.no_grad()
    def update(self, obs: Tensor) -> None:
        """Take a batch, (B, size), into the statistics."""
        batch = obs.double()
        mean, var, count = self.mean.double(), self.var.double(), self.count
        total = count + len(batch)
        delta = batch.mean(dim=0) - mean
        squares = var * count + batch.var(dim=0, correction=0) * len(batch) + delta**2 * count * len(batch) / total
        self.mean.copy_(mean + delta * len(batch) / total)
        self.var.copy_(squares / total)
        self.inverse_std.copy_(torch.rsqrt(self.var + VAR_FLOOR))
        self.count.copy_(total)


class RowNormalizer(Normalizer):
    """Standardise the vectors in rows of sensors, (..., D); images and buffers stay as they are, as in policies.

    Args:
        observed: D, or the sensors whose D numbers make a row.
    """

    columns: Tensor

    def __init__(self, observed: Observed) -> None:
        sensors = as_observation(observed).sensors
        of_vectors = torch.cat([torch.full((sensor.size,), sensor.kind == "vector") for sensor in sensors])
        columns = of_vectors.nonzero()[:, 0]
        super().__init__(len(columns))
        self.register_buffer("columns", columns, persistent=False)

    def forward(self, obs: Tensor) -> Tensor:
        """Standardise the vectors of (..., D)."""
        return obs.index_copy(-1, self.columns, super().forward(obs[..., self.columns]))

    def update(self, obs: Tensor) -> None:
        """Take the vectors of a batch, (B, D), into the statistics, where there are any."""
        if len(self.columns):
            super().update(obs[..., self.columns])
