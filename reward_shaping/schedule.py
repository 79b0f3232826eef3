"""Weights that change while a policy trains."""

from bisect import bisect_right
from math import cos, pi
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from reward_shaping.fields import Finite, Fraction, StepCount, Strict


class Ramp(Strict):
    """From `initial` to `final` while the training goes from step `begin` to step `end`."""

    schedule: Literal["linear", "cosine"]
    initial: Finite
    final: Finite
    begin: StepCount = 0
    end: StepCount

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.begin >= self.end:
            raise ValueError(f"begin {self.begin} is not before end {self.end}")
        return self

    def at(self, step: float, success: float) -> float:
        """Return the weight."""
        del success
        share = _share(step, self.begin, self.end)
        return _between(self.initial, self.final, share if self.schedule == "linear" else (1 - cos(pi * share)) / 2)

    def __str__(self) -> str:
        return f"{self.initial:g} to {self.final:g}, {self.schedule}, steps {self.begin:,} to {self.end:,}"


class BySuccess(Strict):
    """From `initial` to `final` while the success of the training's latest episodes goes from `begin` to `end`."""

    schedule: Literal["success"]
    initial: Finite
    final: Finite
    begin: Fraction = 0.0
    end: Fraction

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.begin >= self.end:
            raise ValueError(f"begin {self.begin:g} is not before end {self.end:g}")
        return self

    def at(self, step: float, success: float) -> float:
        """Return the weight."""
        del step
        return _between(self.initial, self.final, _share(success, self.begin, self.end))

    def __str__(self) -> str:
        return f"{self.initial:g} to {self.final:g}, success {self.begin:g} to {self.end:g}"


class WeightFrom(Strict):
    """The weight from a training step on."""

    step: StepCount
    weight: Finite


class Stairs(Strict):
    """One weight after another."""

    schedule: Literal["steps"]
    weights: Annotated[list[WeightFrom], Field(min_length=1)]

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        steps = [stair.step for stair in self.weights]
        if steps[0] != 0 or steps != sorted(set(steps)):
            raise ValueError(f"weights begin at steps {steps}; expected 0 first, then each later than the one before")
        return self

    def at(self, step: float, success: float) -> float:
        """Return the weight."""
        del success
        return self.weights[bisect_right(self.weights, step, key=lambda stair: stair.step) - 1].weight

    def __str__(self) -> str:
        return ", ".join(f"{stair.weight:g} from {stair.step:,}" for stair in self.weights)


Schedule = Ramp | Stairs | BySuccess


def _kind(value: Any) -> str:
    return "changing" if isinstance(value, dict | Strict) else "number"


Weight = Annotated[
    Annotated[Finite, Tag("number")] | Annotated[Annotated[Schedule, Field(discriminator="schedule")], Tag("changing")],
    Discriminator(_kind),
]


def weight_at(weight: float | Schedule, step: float, success: float) -> float:
    """Return what a weight is at a training step and a success rate."""
    return weight.at(step, success) if isinstance(weight, Schedule) else weight


def _share(value: float, begin: float, end: float) -> float:
    return min(max((value - begin) / (end - begin), 0.0), 1.0)


def _between(initial: float, final: float, share: float) -> float:
    return initial + share * (final - initial) if share < 1.0 else final
