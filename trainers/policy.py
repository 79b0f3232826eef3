"""Ways to act in the rows of a behavior."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from trainers.actors import Actor
from trainers.recurrence import RowMemory

Array = np.ndarray
Policy = Callable[[Array, Mapping[str, Any]], Any]
"""(N, D) observations and the infos that came with them, with `valid` and `first` -> actions of all rows."""


class GreedyPolicy:
    """What an actor does without exploration, step after step in the same rows.

    Args:
        actor: that acts, as it is at the time.
        device: where it lives.
    """

    def __init__(self, actor: Actor, device: torch.device) -> None:
        self._actor, self._device = actor, device
        self._memory: RowMemory | None = None

    @torch.no_grad()
    def __call__(self, obs: Array, infos: Mapping[str, Any]) -> Any:
        """Choose actions; see `Policy`."""
        inputs = torch.from_numpy(obs).to(self._device)
        if self._actor.memory is not None:
            inputs = self._recall(infos).step(self._actor, inputs)
        return self._actor.shape.for_env(self._choose(inputs).cpu())

    def _choose(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._actor.action(inputs)

    def _recall(self, infos: Mapping[str, Any]) -> RowMemory:
        """Return what the rows remember now."""
        valid, first = (torch.from_numpy(infos[name]).to(self._device) for name in ("valid", "first"))
        if self._memory is None:
            self._memory = RowMemory(len(first), self._actor.memory_size, self._device)
        self._memory.advance(valid, first)
        return self._memory


class SamplingPolicy(GreedyPolicy):
    """What an actor does with its own randomness, but for a learner's exploration."""

    def _choose(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._actor.random_action(inputs)
