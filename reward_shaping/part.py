"""What a reward is composed of: terms, their products and maxima, with gates."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce

import numpy as np

from reward_shaping.bound import BoundTerm, Path, View
from reward_shaping.registry import find_term
from reward_shaping.settings import GateSettings, PartSettings
from reward_shaping.term import Array, Known, RewardError, Score, Source, nearest


@dataclass(frozen=True)
class Senses:
    """What a reward may read.

    Attributes:
        signals: names of the signals that the environment sends, with their sizes where these are known.
        observed: what the policy sees, by name; None where that is not known.
    """

    signals: Collection[str]
    observed: Collection[str] | None = None


class Gate:
    """1 where a signal lies between two bounds, else 0.

    Raises:
        RewardError: an unknown signal, one of several numbers, or one that the policy cannot know of.
    """

    def __init__(self, settings: GateSettings, path: Path, senses: Senses, view: View) -> None:
        self._above = -np.inf if settings.above is None else settings.above
        self._below = np.inf if settings.below is None else settings.below
        self.source: Source = ("both" if view == "both" else "next_signals", settings.signal)
        if settings.signal not in senses.signals:
            hint = nearest(settings.signal, senses.signals)
            raise RewardError((*path, "signal"), f"unknown signal {settings.signal}{hint}")
        if isinstance(senses.signals, Mapping) and senses.signals[settings.signal] != 1:
            size = senses.signals[settings.signal]
            raise RewardError((*path, "signal"), f"{settings.signal} has {size} numbers; a gate reads one")
        _check_observed(settings, path, senses.observed)

    def __call__(self, known: Known) -> Array:
        """Return (N,) or (2 N,), bool."""
        x = known[self.source][:, 0]
        inside: Array = (x > self._above) & (x < self._below)
        return inside


@dataclass(frozen=True)
class Part:
    """A term or a combination.

    Attributes:
        score: of all rows, (N,) or (2 N,).
        bound: the terms in it, by their paths in the YAML.
        gates: all that are in it.
    """

    score: Score
    bound: dict[Path, BoundTerm]
    gates: tuple[Gate, ...]

    @property
    def is_state(self) -> bool:
        """Whether it is a function of one state."""
        return all(bound.term.is_state for bound in self.bound.values())

    @property
    def is_potential(self) -> bool:
        """Whether it is declared to be one."""
        return all(bound.term.kind == "potential" for bound in self.bound.values())

    def sources(self) -> Iterator[Source]:
        """Iterate over everything that is read."""
        for reader in self.bound.values():
            yield from reader.sources
        for gate in self.gates:
            yield gate.source


def bind_part(settings: PartSettings, path: Path, senses: Senses, view: View = "after") -> Part:
    """Make what the settings describe.

    Raises:
        RewardError: an unknown term or signal, or a parameter that does not fit.
    """
    gate = None if settings.when is None else Gate(settings.when, (*path, "when"), senses, view)
    own = () if gate is None else (gate,)
    if settings.term is not None:
        term = find_term(settings.term, (*path, "term"))
        bound = BoundTerm(path, term, settings.signal, settings.parameters, senses.signals, view)
        return Part(_paid(bound, settings.pays, gate), {path: bound}, own)
    key, combine = ("max", np.maximum) if settings.product is None else ("product", np.multiply)
    parts = [bind_part(part, (*path, key, name), senses, view) for name, part in settings.parts.items()]
    inside = {where: bound for part in parts for where, bound in part.bound.items()}
    gates = (*own, *(gate for part in parts for gate in part.gates))
    return Part(_paid(_combined(parts, combine), settings.pays, gate), inside, gates)


def signals_read(settings: PartSettings) -> Iterator[str]:
    """Iterate over the signals that a part reads; a term that is not known reads those that are named."""
    if settings.when is not None:
        yield settings.when.signal
    for part in settings.parts.values():
        yield from signals_read(part)
    if isinstance(settings.signal, str):
        yield settings.signal
    elif settings.term is not None:
        named = settings.signal or {}
        yield from named.values()
        with suppress(RewardError):
            yield from (name for name in find_term(settings.term, ()).signals if name not in named)


def _combined(parts: list[Part], combine: np.ufunc) -> Score:
    def score(known: Known) -> Array:
        return reduce(combine, [part.score(known) for part in parts])

    return score


def _paid(score: Score, pays: Sequence[float] | None, gate: Gate | None) -> Score:
    """Let a score's 0 and 1 become what is paid for them, and count where the gate says so."""
    if pays is None and gate is None:
        return score
    low, high = pays or (0.0, 1.0)

    def paid(known: Known) -> Array:
        result = score(known) if pays is None else low + (high - low) * score(known)
        return result if gate is None else result * gate(known)

    return paid


def _check_observed(settings: GateSettings, path: Path, observed: Collection[str] | None) -> None:
    """Refuse a gate that the policy cannot know of."""
    if observed is None:
        return
    if settings.observed_by is None and settings.signal not in observed:
        raise RewardError(
            (*path, "signal"),
            f"the policy does not observe {settings.signal}, so that it could not know when the term counts; "
            f"gate by one of {', '.join(sorted(observed)) or 'nothing'}, or name in observed_by which of them tells it",
        )
    if settings.observed_by is not None and settings.observed_by not in observed:
        hint = nearest(settings.observed_by, observed)
        raise RewardError((*path, "observed_by"), f"the policy does not observe {settings.observed_by}{hint}")
