"""What a reward pays in the situations that a policy can choose between."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from reward_shaping.entry import Entry
from reward_shaping.lint.facts import Facts
from reward_shaping.lint.ranges import Interval, Situation, event_of, range_of
from reward_shaping.reward import Reward

KEPT_BY_STANDING_FREE = ("clearance", "lidar_clearance")  # at their best wherever nothing is near


@dataclass(frozen=True)
class Line:
    """What one term pays in a step, weighted.

    Attributes:
        entry: the term.
        going_on: interval that holds it while the task is neither solved nor failed.
        at_rest: the same while the robot stands still.
        solved: in the step that solves the task.
        failed: in the step that fails it.
    """

    entry: Entry
    going_on: Interval
    at_rest: Interval
    solved: Interval
    failed: Interval

    @property
    def telescopes(self) -> bool:
        """Whether it pays changes of a state, which come to nothing where a robot stays or returns.

        An event that ends the episode has no way back: as a gain it pays all that it pays as a state.
        """
        part, use = self.entry.part, self.entry.use
        if use == "gain" and all(event_of(bound) for bound in part.bound.values()):
            return False
        return use != "state" or any(field == "signals" for field, _ in part.sources())

    @property
    def is_stage(self) -> bool:
        """Whether it pays for having come to some stage, in every step spent there."""
        part, settings = self.entry.part, self.entry.settings
        terms = [bound.term for bound in part.bound.values()]
        lasting = any(term.kind == "potential" or term.function.__name__ == "flag" for term in terms)
        return lasting or settings.max is not None or settings.when is not None

    @property
    def unavoidable(self) -> float:
        """The least that it pays to a robot that stands still in a free place, far from what it is to achieve."""
        terms = [bound.term for bound in self.entry.part.bound.values()]
        conduct = all(term.sign < 0 or term.function.__name__ in KEPT_BY_STANDING_FREE for term in terms)
        return self.at_rest.high if conduct else self.at_rest.low


class Budget:
    """The counted terms of a reward, with their weights at one moment of the training.

    Args:
        reward: whose weights are those of the moment.
        facts: what is known.
        measured: term -> interval of its weighted values in a recording, for terms without known bounds.

    Attributes:
        lines: of the terms that pay by state or event; those that telescope pay nothing that lasts.
    """

    def __init__(self, reward: Reward, facts: Facts, measured: Mapping[str, Interval]) -> None:
        counted = [(e, float(w)) for e, w in zip(reward.entries, reward.weights, strict=True) if not e.settings.probe]
        every = [self._line(entry, weight, facts, measured) for entry, weight in counted]
        self.lines = [line for line in every if not line.telescopes]
        self.gamma, self.episode_steps = facts.gamma, facts.episode_steps

    @staticmethod
    def _line(entry: Entry, weight: float, facts: Facts, measured: Mapping[str, Interval]) -> Line:
        def pays(situation: Situation) -> Interval:
            x = range_of(entry.settings, ("terms", entry.name), entry.part.bound, facts, situation)
            paid = Interval(weight, weight).times(x)
            return paid if paid.is_finite else paid.within(measured.get(entry.name, Interval(-inf, inf)))

        return Line(entry, pays("going on"), pays("at rest"), pays("solved"), pays("failed"))

    @property
    def steps_ahead(self) -> float | None:
        """How many steps of the same pay a state is worth after this one: gamma / (1 - gamma); None if not known."""
        if self.gamma is None:
            return None
        if self.gamma < 1.0:
            return self.gamma / (1.0 - self.gamma)
        return None if self.episode_steps is None else self.episode_steps - 1.0

    def best_waiting(self) -> list[tuple[Line, float]]:
        """Return the lines that pay or charge in the best step that solves nothing, each with its pay."""
        always = [line for line in self.lines if line.entry.settings.when is None]
        paid = [(line, line.going_on.high) for line in always]
        gated: dict[str, list[Line]] = {}
        for line in self.lines:
            if line.entry.settings.when is not None:
                gated.setdefault(line.entry.settings.when.signal, []).append(line)
        for lines in gated.values():
            paid += max((_where(lines, x) for x in _cells(lines)), key=total)
        return [(line, pay) for line, pay in paid if pay]

    def bonus(self) -> float | None:
        """Return what solving the task adds to the pay of its step; None where nothing pays for it."""
        return _difference(self.lines, 1, [(line.solved.high, line.going_on.high) for line in self.lines])

    def fine(self) -> float | None:
        """Return what failing takes from the pay of its step; None where nothing charges for it."""
        lost = _difference(self.lines, -1, [(line.failed.low, line.going_on.low) for line in self.lines])
        return None if lost is None else -lost

    def at_rest(self) -> list[tuple[Line, float]]:
        """Return the lines that pay or charge a robot that stands still far from its goal, each with its pay."""
        return [(line, line.unavoidable) for line in self.lines if line.unavoidable]


def total(paid: Iterable[tuple[Line, float]]) -> float:
    """Return the sum of the pay."""
    return sum(pay for _, pay in paid)


def as_sum(paid: Iterable[tuple[Line, float]]) -> str:
    """Return the pay as a sum to be read: near 0.03 + docked 0.1 - time 0.02 = 0.11."""
    ordered = sorted(paid, key=lambda item: -item[1])
    text = " ".join(f"{'+' if pay > 0 else '-'} {line.entry.name} {abs(pay):g}" for line, pay in ordered)
    text = text.removeprefix("+ ")
    return f"{text} = {total(ordered):.4g}" if len(ordered) > 1 else text


def _difference(lines: list[Line], event: int, pairs: list[tuple[float, float]]) -> float | None:
    happens = [any(event_of(b) == event for b in line.entry.part.bound.values()) for line in lines]
    if not any(happens):
        return None
    return sum(then - otherwise for (then, otherwise), counts in zip(pairs, happens, strict=True) if counts)


def _cells(lines: list[Line]) -> list[float]:
    """Return a value of the signal that gates these lines in each interval between the gates' bounds."""
    gates = [line.entry.settings.when for line in lines]
    bounds = sorted({x for gate in gates if gate for x in (gate.above, gate.below) if x is not None})
    return [bounds[0] - 1.0, *(0.5 * (low + high) for low, high in pairwise(bounds)), bounds[-1] + 1.0]


def _where(lines: list[Line], x: float) -> list[tuple[Line, float]]:
    """Return the lines that count where the signal is x, and what they pay there."""
    gates = [(line, line.entry.settings.when) for line in lines]
    return [
        (line, line.going_on.high)
        for line, gate in gates
        if gate and (gate.above is None or x > gate.above) and (gate.below is None or x < gate.below)
    ]
