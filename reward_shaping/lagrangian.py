"""How dear a cost is: Lagrange multipliers that a controller moves until the cost is what it may be."""

from typing import Any

from reward_shaping.settings import CostSettings


class Multiplier:
    """lambda of one cost, driven by a PID controller (Stooke, Achiam & Abbeel 2020, arXiv 2007.03964, algorithm 2).

    After each batch of samples, whose mean cost is J and may be d, both in the cost's unit,

        I <- clip(I + ki (J - d), 0, max)
        S <- s S + (1 - s) J
        lambda = clip(I + kp (S - d) + kd (S - S_before)_+, 0, max)

    so that lambda rises while the cost is above its limit and falls while it is below. The integral alone is
    gradient ascent on the Lagrangian, which overshoots and swings; the proportional part damps that, and the
    derivative part answers to a cost that rises, never to one that falls. Two things are not in the paper's
    algorithm but in its authors' code: J is smoothed where noise would pass straight through, and I is bounded.

    Args:
        settings: of the cost.

    Attributes:
        value: lambda, reward per unit of cost.
    """

    def __init__(self, settings: CostSettings) -> None:
        self._unit, self._limit, self._pid = settings.unit, settings.limit / settings.unit, settings.multiplier
        self.value = self._integral = self._pid.initial
        self._smoothed: float | None = None

    def update(self, cost: float) -> None:
        """Take in the mean cost of the latest samples, per episode or per step as the limit is."""
        pid, cost = self._pid, cost / self._unit
        before = cost if self._smoothed is None else self._smoothed
        self._smoothed = pid.smoothing * before + (1.0 - pid.smoothing) * cost
        self._integral = self._clip(self._integral + pid.ki * (cost - self._limit))
        rise = max(self._smoothed - before, 0.0)
        self.value = self._clip(self._integral + pid.kp * (self._smoothed - self._limit) + pid.kd * rise)

    def state_dict(self) -> dict[str, Any]:
        """Everything that later values depend on."""
        return {"value": self.value, "integral": self._integral, "smoothed": self._smoothed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self.value, self._integral, self._smoothed = state["value"], state["integral"], state["smoothed"]

    def _clip(self, value: float) -> float:
        return min(max(value, 0.0), self._pid.max)
