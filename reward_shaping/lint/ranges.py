"""Between which values a part of a reward lies in a given situation."""

from collections.abc import Mapping
from itertools import product
from math import inf, isfinite
from typing import Literal, NamedTuple, get_args

import numpy as np

from reward_shaping.bound import BoundTerm, Path
from reward_shaping.lint.facts import Facts, SignalFacts
from reward_shaping.settings import PartSettings
from reward_shaping.term import FROM_TRANSITION, Array, Known, Source

Situation = Literal["going on", "at rest", "solved", "failed"]
SITUATIONS: tuple[Situation, ...] = get_args(Situation)

SOLVED, FAILED = ("success", "joint_success"), ("collision",)
RATES = ("m/s", "rad/s", "N m", "N")
RATE_NAMES = ("velocity", "_vel", "speed", "torque", "force")
ACTIONS = ("action", "previous_action", "both_actions")
UNKNOWN = SignalFacts(1)


class Interval(NamedTuple):
    """A closed interval."""

    low: float
    high: float

    def times(self, other: "Interval") -> "Interval":
        """Return all products."""
        ends = [0.0 if 0.0 in (a, b) else a * b for a in self for b in other]
        return Interval(min(ends), max(ends))

    def plus(self, other: "Interval") -> "Interval":
        """Return all sums."""
        return Interval(self.low + other.low, self.high + other.high)

    def within(self, other: "Interval") -> "Interval":
        """Return what both have in common."""
        return Interval(max(self.low, other.low), min(self.high, other.high))

    @property
    def is_finite(self) -> bool:
        """Whether both ends are numbers."""
        return isfinite(self.low) and isfinite(self.high)


NOTHING, ONE = Interval(0.0, 0.0), Interval(1.0, 1.0)


def event_of(bound: BoundTerm) -> int:
    """Tell whether a term is the event that solves the task, 1, one that fails it, -1, or neither, 0."""
    if bound.term.kind == "event":
        return bound.term.sign
    read = set(bound.signal_of.values())
    if not read or bound.term.inputs[0] in FROM_TRANSITION:
        return 0
    return 1 if read <= set(SOLVED) else -1 if read <= set(FAILED) else 0


def range_of(
    settings: PartSettings, path: Path, bound: Mapping[Path, BoundTerm], facts: Facts, situation: Situation
) -> Interval:
    """Return the interval that holds a part's value, unweighted.

    `solved` is the step that solves the task, `failed` the one that fails it; in the others neither event has
    happened. `at rest` the robot also stands still and its actions are 0.
    """
    if settings.term is not None:
        result = _range_of_term(bound[path], facts, situation)
    else:
        key = "max" if settings.product is None else "product"
        parts = [range_of(part, (*path, key, name), bound, facts, situation) for name, part in settings.parts.items()]
        result = parts[0]
        for part in parts[1:]:
            result = result.times(part) if key == "product" else Interval(*map(max, result, part))
    if settings.pays is not None:
        low, high = settings.pays
        result = Interval(low, low).plus(Interval(high - low, high - low).times(result))
    return result if settings.when is None else Interval(min(result.low, 0.0), max(result.high, 0.0))


def reads_rates(bound: BoundTerm, facts: Facts) -> bool:
    """Tell whether a term reads an action, or a signal that is 0 while the robot stands still."""
    return any(is_rate(source, facts) for source in bound.sources)


def is_rate(source: Source, facts: Facts) -> bool:
    """Tell whether something that a term reads is 0 while the robot stands still."""
    field, name = source
    if not name:
        return field in ACTIONS
    known = (facts.signals or {}).get(name)
    return known.unit in RATES if known and known.unit else any(part in name for part in RATE_NAMES)


def _range_of_term(bound: BoundTerm, facts: Facts, situation: Situation) -> Interval:
    event = event_of(bound)
    if event:
        happened = situation == ("solved" if event > 0 else "failed")
        return ONE if happened else NOTHING
    declared = Interval(*bound.term.range)
    rest = situation == "at rest" and reads_rates(bound, facts)
    if declared.is_finite and not rest:
        return declared
    computed = _computed(bound, facts, rest=rest)
    return declared if computed is None else declared.within(computed)


def _computed(bound: BoundTerm, facts: Facts, *, rest: bool) -> Interval | None:
    """Compute a term where each of its inputs has its lowest, a middle or its highest value, or is 0.

    Our terms are monotone in each input or even about 0, so that their ends lie there. None where an input has no
    known limits; at rest those inputs take values about 1 instead, since what matters then is the standing still.
    """
    ends = {source: _ends(source, facts, rest=rest) for source in dict.fromkeys(bound.sources)}
    if any(values is None for values in ends.values()):
        return None
    corners = np.array(list(product(*(values or () for values in ends.values()))))
    sizes = {source: _size(source, facts) for source in ends}
    known: Known = {source: _filled(corners[:, index], sizes[source], source) for index, source in enumerate(ends)}
    try:
        with np.errstate(all="ignore"):
            values = np.asarray(bound(known), dtype=float)
    except Exception:  # the function may be anybody's code, and sizes may be unknown
        return None
    return Interval(float(values.min()), float(values.max())) if np.isfinite(values).all() else None


def _ends(source: Source, facts: Facts, *, rest: bool) -> tuple[float, ...] | None:
    field, name = source
    if rest and is_rate(source, facts):
        return (0.0,)
    if field in ACTIONS:
        return (-1.0, 0.0, 1.0)
    if field in ("terminated", "truncated"):
        return (0.0, 1.0)
    low, high = (facts.signals or {}).get(name, UNKNOWN).limit if name else (-inf, inf)
    if isfinite(low) and isfinite(high):
        return tuple(dict.fromkeys((low, 0.5 * (low + high), high, min(max(0.0, low), high))))
    return (0.0, 0.5, 1.0) if rest else None


def _size(source: Source, facts: Facts) -> int:
    field, name = source
    if field in ACTIONS:
        return facts.action_size or 1
    return (facts.signals or {}).get(name, UNKNOWN).size if name else 0


def _filled(values: Array, size: int, source: Source) -> Array:
    """Give every number of an input the same value, (M,) -> (M, size), or (M,) where the input is one per row."""
    if size:
        return np.repeat(values[:, None], size, axis=1)
    return values > 0 if source[0] in ("terminated", "truncated") else values
