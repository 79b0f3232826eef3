"""A term bound to an environment: its signals chosen, its parameters checked."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from reward_shaping.term import BEFORE, FROM_TRANSITION, Array, Known, RewardError, Source, Term, nearest

Path = tuple[str, ...]
View = Literal["after", "both"]

TRIAL_ROWS = 2


class BoundTerm:
    """A term that knows where its inputs come from.

    Args:
        path: of its settings, for messages.
        term: what it computes.
        signal: as in `PartSettings`.
        parameters: as in `PartSettings`.
        available: names of the signals that there are, with their sizes where these are known.
        view: `after` scores the N transitions; `both` scores 2 N states: those before, then those after.

    Raises:
        RewardError: a parameter or a signal does not fit.
    """

    def __init__(
        self,
        path: Path,
        term: Term,
        signal: str | dict[str, str] | None,
        parameters: Mapping[str, Any],
        available: Collection[str],
        view: View = "after",
    ) -> None:
        self.term = term
        self.signal_of = _choose_signals(path, term, signal, available)
        self.parameters = _checked(path, term, parameters)
        self.sources = tuple(_source(argument, self.signal_of, view) for argument in term.inputs)
        self._function = partial(term.function, **self.parameters)
        if isinstance(available, Mapping):
            self._try(path, available)

    def __call__(self, known: Known) -> Array:
        """Score all rows, (N,) or (2 N,)."""
        return self._function(*map(known.__getitem__, self.sources))

    def _try(self, path: Path, sizes: Mapping[str, int]) -> None:
        """Compute two made-up rows, so that what does not fit shows before a training begins."""
        if any("action" in field for field, _ in self.sources):
            return  # the size of the action is not known here
        inputs = [np.full((TRIAL_ROWS, sizes[name]) if name else TRIAL_ROWS, 0.5) for _, name in self.sources]
        given = ", ".join(f"{name} ({sizes[name]})" for name in self.signal_of.values()) or "no signal"
        try:
            with np.errstate(all="ignore"):
                shape = np.shape(self._function(*inputs))
        except Exception as error:  # the function may be anybody's code
            raise RewardError(path, f"this term cannot be computed from {given}: {error}") from None
        if shape != (TRIAL_ROWS,):
            raise RewardError(path, f"this term returns shape {shape} for {TRIAL_ROWS} rows; expected ({TRIAL_ROWS},)")


def _source(argument: str, signal_of: Mapping[str, str], view: View) -> Source:
    """Return where an argument's array is to be found, (field, name of a signal or nothing)."""
    if argument in FROM_TRANSITION:
        return ("both_actions" if view == "both" else argument), ""
    if argument in signal_of:
        return ("both" if view == "both" else "next_signals"), signal_of[argument]
    return "signals", signal_of[argument.removesuffix(BEFORE)]


def _checked(path: Path, term: Term, given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        parameters = term.parameters.model_validate(given).model_dump()
    except ValidationError as error:
        errors = error.errors()
        for unknown in (str(each["loc"][0]) for each in errors if each["type"] == "extra_forbidden"):
            hint = nearest(unknown, term.parameters.model_fields)
            raise RewardError((*path, "parameters", unknown), f"unknown parameter {unknown}{hint}") from None
        first = errors[0]
        where = (*path, "parameters", *(str(key) for key in first["loc"]))
        known = ", ".join(term.parameters.model_fields) or "none"
        what = "is missing" if first["type"] == "missing" else first["msg"]
        raise RewardError(where, f"{what} (parameters of this term: {known})") from None
    if term.check is not None:
        try:
            term.check(**parameters)
        except ValueError as error:
            key, _, rest = str(error).partition(": ")
            raise RewardError((*path, "parameters", key), rest) from None
    return parameters


def _choose_signals(
    path: Path, term: Term, signal: str | dict[str, str] | None, available: Collection[str]
) -> dict[str, str]:
    path = (*path, "signal")
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
