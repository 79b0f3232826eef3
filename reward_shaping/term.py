"""What a reward term is: a pure function of arrays, with what it declares about itself."""

import difflib
import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

Array = np.ndarray
Signals = dict[str, Array]
Source = tuple[str, str]
Kind = Literal["per_step", "event", "potential", "cost"]

_FROM_TRANSITION = ("action", "previous_action", "terminated", "truncated", "env_reward")
_BEFORE = "_before"


class RewardError(ValueError):
    """A reward that cannot be built or computed.

    Attributes:
        path: keys that lead to the culprit below `reward_shaping`.
    """

    def __init__(self, path: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


class Transition(NamedTuple):
    """One step of N rows, as reward terms may see it.

    Attributes:
        signals: name -> (N, k), in the state in which the action was chosen.
        next_signals: the same after it; in rows whose episode ended, that of its true last state.
        action: (N, A).
        previous_action: (N, A), 0 in the first step of an episode.
        terminated: (N,) bool.
        truncated: (N,) bool.
        env_reward: (N,), the environment's own reward.
    """

    signals: Signals
    next_signals: Signals
    action: Array
    previous_action: Array
    terminated: Array
    truncated: Array
    env_reward: Array

    def by_source(self) -> dict[Source, Array]:
        """Return everything that a term may read, (field, name of a signal or nothing) -> array."""
        known: dict[Source, Array] = {("signals", name): value for name, value in self.signals.items()}
        known |= {("next_signals", name): value for name, value in self.next_signals.items()}
        return known | {(field, ""): getattr(self, field) for field in _FROM_TRANSITION}


@dataclass(frozen=True)
class Term:
    """A term's function and what it declares.

    The function's array arguments, which come first, are inputs: `action`, `previous_action`, `terminated`,
    `truncated` and `env_reward` come from the transition; every other one is a signal after the step, or before
    it where the name ends in `_before`. Its remaining arguments are parameters, checked by their annotations.
    """

    function: Callable[..., Array]
    kind: Kind
    range: tuple[float, float]
    unit: str

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the array arguments."""
        return tuple(p.name for p in self._arguments if p.annotation is Array)

    @cached_property
    def signals(self) -> tuple[str, ...]:
        """Names under which the function knows its signals."""
        names = (name.removesuffix(_BEFORE) for name in self.inputs if name not in _FROM_TRANSITION)
        return tuple(dict.fromkeys(names))

    @cached_property
    def parameters(self) -> type[BaseModel]:
        """The schema of the parameters."""
        fields: dict[str, Any] = {
            p.name: (p.annotation, ... if p.default is p.empty else p.default)
            for p in self._arguments
            if p.annotation is not Array
        }
        return create_model(self.function.__name__, __config__=ConfigDict(extra="forbid", strict=True), **fields)

    @property
    def _arguments(self) -> list[inspect.Parameter]:
        return list(inspect.signature(self.function).parameters.values())


class BoundTerm:
    """A term under a name in a reward, with its signals chosen and its parameters checked.

    Raises:
        RewardError: a parameter or a signal does not fit.
    """

    def __init__(
        self,
        name: str,
        term: Term,
        signal: str | dict[str, str] | None,
        parameters: dict[str, Any],
        available: Collection[str],
    ) -> None:
        self.name = name
        self.term = term
        self.signal_of = _choose_signals(name, term, signal, available)
        try:
            self.parameters = term.parameters.model_validate(parameters).model_dump()
        except ValidationError as error:
            first = error.errors()[0]
            path = ("terms", name, "parameters", *(str(key) for key in first["loc"]))
            known = ", ".join(term.parameters.model_fields) or "none"
            raise RewardError(path, f"{first['msg']} (parameters of this term: {known})") from None
        self._function = partial(term.function, **self.parameters)
        self._sources = tuple(self._source(argument) for argument in term.inputs)

    def __call__(self, known: dict[Source, Array]) -> Array:
        """Score N transitions, (N,), of which everything is known that `Transition.by_source` tells."""
        return self._function(*map(known.__getitem__, self._sources))

    def _source(self, argument: str) -> Source:
        if argument in _FROM_TRANSITION:
            return argument, ""
        field = "signals" if argument.endswith(_BEFORE) else "next_signals"
        return field, self.signal_of[argument.removesuffix(_BEFORE)]


def _choose_signals(
    name: str, term: Term, signal: str | dict[str, str] | None, available: Collection[str]
) -> dict[str, str]:
    path = ("terms", name, "signal")
    if isinstance(signal, str):
        if len(term.signals) != 1:
            raise RewardError(path, f"this term reads {len(term.signals)} signals: {', '.join(term.signals) or 'none'}")
        signal = {term.signals[0]: signal}
    chosen = {argument: argument for argument in term.signals} | (signal or {})
    for argument, wanted in chosen.items():
        if argument not in term.signals:
            raise RewardError(path, f"unknown argument {argument}{nearest(argument, term.signals)}")
        if wanted not in available:
            raise RewardError(path, f"unknown signal {wanted}{nearest(wanted, available)}")
    return chosen


def nearest(wrong: str, known: Collection[str]) -> str:
    """Return a hint for an error message: the nearest known name, or all of them."""
    close = difflib.get_close_matches(wrong, known, n=1)
    if close:
        return f", did you mean {close[0]}?"
    return f", known are {', '.join(sorted(known))}" if known else ", none are known here"
