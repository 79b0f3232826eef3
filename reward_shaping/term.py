"""What a reward term is: a pure function of arrays, with what it declares about itself."""

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, create_model

Array = np.ndarray
Signals = dict[str, Array]
Source = tuple[str, str]
Known = Mapping[Source, Array]
Score = Callable[[Known], Array]
Kind = Literal["per_step", "event", "potential", "cost"]

FROM_TRANSITION = ("action", "previous_action", "terminated", "truncated", "env_reward")
BEFORE = "_before"


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

    def read(self, source: Source) -> Array:
        """Return what a term reads: a field of this, a signal in one, or a signal or the actions of both moments.

        Args:
            source: field or moment, and the name of a signal or nothing; see `reward_shaping.bound`.

        Returns:
            (N, ...), of both moments (2 N, ...), the earlier one first.
        """
        field, name = source
        if field == "both":
            return np.concatenate((self.signals[name], self.next_signals[name]))
        if field == "both_actions":
            return np.concatenate((self.previous_action, self.action))
        found: Any = getattr(self, field)
        read: Array = found[name] if name else found
        return read


@dataclass(frozen=True)
class Term:
    """A term's function and what it declares.

    The function's array arguments, which come first, are inputs: `action`, `previous_action`, `terminated`,
    `truncated` and `env_reward` come from the transition; every other one is a signal after the step, or before
    it where the name ends in `_before`. Its remaining arguments are parameters, checked by their annotations.

    A function that reads nothing but signals, and the action that led to them, is a *state term*: it may serve
    as a potential. Any other one is a *transition term*.

    Attributes:
        function: the formula, -> (N,).
        kind: `per_step`: paid as long as it holds; `event`: paid in single steps; `potential`: a measure of how
            far along a state is, or a difference of one; `cost`: something to be kept below a limit.
        range: interval that holds every value.
        unit: of the value, SI, "1" where there is none.
        sign: 1 where more of it is wanted, -1 where less is.
        scales_with_period: its sum over a second grows with the number of steps in it, so that a weight per
            second is to be multiplied by the control period.
        check: refuses parameters that do not go together, by a ValueError.
    """

    function: Callable[..., Array]
    kind: Kind
    range: tuple[float, float]
    unit: str = "1"
    sign: Literal[1, -1] = 1
    scales_with_period: bool = False
    check: Callable[..., None] | None = None

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the array arguments."""
        return tuple(p.name for p in self._arguments if p.annotation is Array)

    @cached_property
    def signals(self) -> tuple[str, ...]:
        """Names under which the function knows its signals."""
        names = (name.removesuffix(BEFORE) for name in self.inputs if name not in FROM_TRANSITION)
        return tuple(dict.fromkeys(names))

    @property
    def is_state(self) -> bool:
        """Whether it is a function of one state, and of the action that led there."""
        return all(name == "action" or name in self.signals for name in self.inputs)

    @cached_property
    def parameters(self) -> type[BaseModel]:
        """The schema of the parameters."""
        fields: dict[str, Any] = {
            p.name: (p.annotation, ... if p.default is p.empty else p.default)
            for p in self._arguments
            if p.annotation is not Array
        }
        return create_model(self.function.__name__, __config__=ConfigDict(extra="forbid", strict=True), **fields)

    @cached_property
    def _arguments(self) -> list[inspect.Parameter]:
        return list(inspect.signature(self.function, eval_str=True).parameters.values())


def nearest(wrong: str, known: Collection[str]) -> str:
    """Return a hint for an error message: the nearest known name, or all of them."""
    close = difflib.get_close_matches(wrong, known, n=1)
    if close:
        return f", did you mean {close[0]}?"
    return f", known are {', '.join(sorted(known))}" if known else ", none are known here"
