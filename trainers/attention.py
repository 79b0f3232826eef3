"""Buffers of entities: each is embedded, all attend to each other, and their mean is what is known of them.

As in ML-Agents, after Baker et al. 2019, arXiv 1909.07528, appendix B; weights begin small, as Huang et al. 2020,
"Improving Transformer Optimization Through Better Initialization", let them.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

EMBEDDING = 128
HEADS = 4
HIDDEN = -1e6  # the score of an entity that is not there
EPSILON = 1e-7


class EntityAttention(nn.Module):
    """Entities -> features, (B, 128), whatever their order and number; zeros where there are none.

    An entity whose numbers are all 0 is not there: so do Unity's buffer sensors fill up. ML-Agents takes one for absent
    as soon as the sum of its squares is below 0.01.

    Args:
        entity_sizes: k of each buffer.
        self_size: of the features of everything else that is seen, which entities are embedded with; 0 for nothing.
    """

    def __init__(self, entity_sizes: Sequence[int], self_size: int) -> None:
        super().__init__()
        self.self_encoder = _embedding(self_size) if self_size else None
        beside = EMBEDDING if self_size else 0
        self.embeddings = nn.ModuleList(_embedding(beside + size) for size in entity_sizes)
        self.query, self.key, self.value, self.out = (_linear(EMBEDDING) for _ in range(4))

    def forward(self, buffers: Sequence[Tensor], itself: Tensor | None) -> Tensor:
        """Return features, (B, 128).

        Args:
            buffers: of entities, (B, entities, k) each.
            itself: features of everything else, (B, self_size).
        """
        there = torch.cat([buffer.abs().sum(dim=-1) > 0.0 for buffer in buffers], dim=1).float()
        entities = torch.cat(self._embedded(buffers, itself), dim=1)
        entities = layer_norm(entities, (EMBEDDING,))
        attended = layer_norm(self.out(self._attend(entities, there)) + entities, (EMBEDDING,))
        total = (attended * there.unsqueeze(-1)).sum(dim=1)
        mean: Tensor = total / (there.sum(dim=1, keepdim=True) + EPSILON)
        return mean

    def _embedded(self, buffers: Sequence[Tensor], itself: Tensor | None) -> list[Tensor]:
        if self.self_encoder is None:
            return [embed(buffer) for embed, buffer in zip(self.embeddings, buffers, strict=True)]
        own = self.self_encoder(itself).unsqueeze(1)
        return [
            embed(torch.cat((own.expand(-1, buffer.shape[1], -1), buffer), dim=-1))
            for embed, buffer in zip(self.embeddings, buffers, strict=True)
        ]

    def _attend(self, entities: Tensor, there: Tensor) -> Tensor:
        """Return the heads' attention side by side, (B, E, 128), of entities (B, E, 128) to those that are there."""
        query, key, value = (
            layer(entities).reshape(-1, entities.shape[1], HEADS, EMBEDDING // HEADS).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(2, 3) / math.sqrt(EMBEDDING)
        seen = there[:, None, None, :]
        weights = (seen * scores + (1.0 - seen) * HIDDEN).softmax(dim=-1)
        attended: Tensor = (weights @ value).transpose(1, 2).reshape(-1, entities.shape[1], EMBEDDING)
        return attended


def _embedding(size: int) -> nn.Sequential:
    return nn.Sequential(_linear(size), nn.SiLU())


def _linear(size: int) -> nn.Linear:
    layer = nn.Linear(size, EMBEDDING)
    nn.init.normal_(layer.weight, std=math.sqrt(0.125 / EMBEDDING))
    nn.init.zeros_(layer.bias)
    return layer
