"""Action values of discrete actions."""

import torch
from torch import Tensor

from trainers.actors import ActionShape, Actor
from trainers.choices import best, masked
from trainers.layers import orthogonal
from trainers.observation import Observed
from trainers.settings import NetworkSettings


class QNetwork(Actor):
    """Q(s, c) of every choice; several branches have a Q each, from one encoder (Tavakoli et al. 2018, 1711.08946).

    With `dueling` Q(s, c) = V(s) + A(s, c) - mean_c' A(s, c'), eq. 9 of Wang et al. 2016, arXiv 1511.06581, of each
    branch; V is common to all.
    """

    def __init__(self, observed: Observed, shape: ActionShape, settings: NetworkSettings) -> None:
        super().__init__(observed, shape, settings)
        self.advantage = orthogonal(self.feature_size, shape.choices, 1.0)
        self.value = orthogonal(self.feature_size, 1, 1.0) if settings.dueling else None

    def forward(self, obs: Tensor) -> Tensor:
        """Return Q of all choices, forbidden ones too, (B, M)."""
        features = self.features(obs)
        advantage: Tensor = self.advantage(features)
        if self.value is None:
            return advantage
        parts = torch.split(advantage, list(self.shape.branches), dim=-1)
        centred = torch.cat([part - part.mean(dim=-1, keepdim=True) for part in parts], dim=-1)
        values: Tensor = self.value(features) + centred
        return values

    def scores(self, obs: Tensor) -> list[Tensor]:
        """Return Q of each branch, (B, choices) each; very low where a choice is forbidden."""
        return masked(self(obs), obs, self.shape)

    def action(self, obs: Tensor) -> Tensor:
        """Return the choices of the highest Q."""
        return best(self.scores(obs))

    def random_action(self, obs: Tensor) -> Tensor:
        """Return the same: exploring is the learner's business."""
        return self.action(obs)
