"""Exploration noise of deterministic policies."""

from typing import Any

import torch
from torch import Tensor

from trainers.hyperparameters import NoiseSettings


class Noise:
    """What is added to a deterministic policy's actions, for each of N rows.

    Gaussian noise is drawn anew in every step: n_t = std e_t, e_t ~ N(0, 1). Ornstein-Uhlenbeck noise remembers
    (Uhlenbeck & Ornstein 1930; Lillicrap et al. 2015, section 7): n_t = (1 - theta) n_(t-1) + std e_t, from 0 at an
    episode's start; its variance tends to std^2 / (1 - (1 - theta)^2).

    Args:
        settings: kind, std and theta.
        rows: N.
        action_size: A.
    """

    def __init__(self, settings: NoiseSettings, rows: int, action_size: int) -> None:
        self.settings = settings
        self._kept = 0.0 if settings.type == "gaussian" else 1.0 - settings.theta
        self._value = torch.zeros(rows, action_size)

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return the noise of the next step, (N, A)."""
        fresh = torch.randn(self._value.shape, generator=generator)
        self._value = self._kept * self._value + self.settings.std * fresh
        return self._value

    def restart(self, rows: Tensor | slice = slice(None)) -> None:
        """Begin anew in the rows, (N,) bool, whose episodes begin; in all where none are named."""
        self._value[rows] = 0.0

    def state_dict(self) -> dict[str, Any]:
        """The noise of the last step."""
        return {"value": self._value.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; with another number of rows, begin anew."""
        if state["value"].shape == self._value.shape:
            self._value = state["value"].clone()
