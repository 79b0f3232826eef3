"""Rows of several sensors -> features, each sensor by the encoder that suits it."""

import torch
from torch import Tensor, nn

from trainers.attention import EMBEDDING, EntityAttention
from trainers.normalizer import Normalizer
from trainers.observation import Observation, Sensor, SensorKind
from trainers.settings import NetworkSettings
from trainers.vision import ImageEncoder


class Sensors(nn.Module):
    """Vectors as they are, or standardised; images through convolutions; buffers through attention; side by side.

    Args:
        observation: the sensors.
        settings: `normalize` is about vectors alone; images become hidden_units features each, as in ML-Agents.
        normalizer: of the vectors, one that other networks have, too; None makes one where it is wanted.

    Attributes:
        output_size: of the features.
        normalizer: of the vectors' numbers, all in one; None where they go in as they are.
    """

    def __init__(
        self, observation: Observation, settings: NetworkSettings, normalizer: Normalizer | None = None
    ) -> None:
        super().__init__()
        self.observation = observation
        of: dict[SensorKind, list[Sensor]] = {"vector": [], "image": [], "buffer": []}
        for sensor in observation.sensors:
            of[sensor.kind].append(sensor)
        vectors = sum(sensor.size for sensor in of["vector"])
        wanted = settings.normalize and vectors
        self.normalizer = (normalizer or Normalizer(vectors)) if wanted else None
        self.images = nn.ModuleList(
            ImageEncoder(sensor.shape, settings.hidden_units, settings.vis_encode_type) for sensor in of["image"]
        )
        alone = vectors + len(self.images) * settings.hidden_units
        sizes = [sensor.shape[1] for sensor in of["buffer"]]
        self.attention = EntityAttention(sizes, alone) if sizes else None
        self.output_size = alone + (EMBEDDING if sizes else 0)

    def forward(self, rows: Tensor) -> Tensor:
        """Return features, (..., output_size), of rows (..., D)."""
        vectors, images, buffers = self._by_kind(rows)
        parts = [self._standard(torch.cat(vectors, dim=-1))] if vectors else []
        parts += [encode(image) for encode, image in zip(self.images, images, strict=True)]
        if self.attention is not None:
            parts.append(self.attention(buffers, torch.cat(parts, dim=-1) if parts else None))
        features = torch.cat(parts, dim=-1)
        return features if rows.dim() == 2 else features.reshape(*rows.shape[:-1], self.output_size)

    def update_normalizer(self, rows: Tensor) -> None:
        """Take the vectors of rows, (B, D), into the statistics, where there are any."""
        if self.normalizer is not None:
            self.normalizer.update(torch.cat(self._by_kind(rows)[0], dim=-1))

    def _by_kind(self, rows: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Return vectors, images and buffers, (B, *shape) each."""
        of: dict[SensorKind, list[Tensor]] = {"vector": [], "image": [], "buffer": []}
        for sensor, part in zip(self.observation.sensors, self.observation.split(rows), strict=True):
            of[sensor.kind].append(part)
        return of["vector"], of["image"], of["buffer"]

    def _standard(self, vectors: Tensor) -> Tensor:
        return vectors if self.normalizer is None else self.normalizer(vectors)
