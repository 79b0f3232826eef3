"""What a linter is told, and what it finds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class SignalFacts:
    """What is known of a signal.

    Attributes:
        size: how many numbers.
        limit: interval that holds each of them.
        unit: SI.
    """

    size: int
    limit: tuple[float, float] = (-inf, inf)
    unit: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known of the training that a reward is meant for; None where it is not known.

    Attributes:
        signals: name -> what the environment sends.
        observed: names of what the policy observes.
        gamma: discount of what trains.
        period_s: control period.
        episode_steps: decisions until the time limit.
        action_size: how many numbers in [-1, 1] an action has.
        ends: names of the signals that end an episode for good where they are 1.
    """

    signals: Mapping[str, SignalFacts] | None = None
    observed: Collection[str] | None = None
    gamma: float | None = None
    period_s: float | None = None
    episode_steps: int | None = None
    action_size: int | None = None
    ends: Collection[str] = ()


@dataclass(frozen=True)
class Finding:
    """Something wrong with a reward.

    Attributes:
        rule: name of the rule that it breaks.
        severity: `error`: training it would teach something else; `warning`: it may.
        path: of the setting, below the reward.
        what: what is wrong, with the arithmetic.
        right: what would be right.
    """

    rule: str
    severity: Severity
    path: tuple[str, ...]
    what: str
    right: str
