"""What a critic estimates: one value head for every stream of rewards that is discounted and credited apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from trainers.settings import BehaviorSettings

Role = Literal["total", "term", "cost"]


@dataclass(frozen=True)
class Head:
    """A stream of rewards with a value head of its own.

    Attributes:
        name: `extrinsic` for the total, else that of the term or the cost.
        role: what is paid into it: the `total` reward, one `term` of it, or a `cost`, which no reward holds.
        gamma: its discount per decision.
    """

    name: str
    role: Role
    gamma: float

    @property
    def label(self) -> str:
        """Its name in the log and in messages: a cost may be called like a term."""
        return f"cost/{self.name}" if self.role == "cost" else self.name


def heads_of(settings: BehaviorSettings) -> tuple[Head, ...]:
    """Return the value heads that a behavior's settings ask for: the total reward alone."""
    return (Head("extrinsic", "total", settings.reward_signals.extrinsic.gamma),)


def head_rewards(heads: Sequence[Head], rew: np.ndarray, infos: Mapping[str, Any]) -> np.ndarray:
    """Return what a step has paid into each head, (N, K).

    Args:
        heads: K.
        rew: the total reward, (N,).
        infos: of the step, with what `RewardScorer.score` adds to them.
    """
    del infos
    return np.stack([rew for _ in heads], axis=1)
