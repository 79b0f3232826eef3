"""A reward: the weighted sum of named terms, with its breakdown."""

from collections.abc import Collection

import numpy as np

from reward_shaping.settings import RewardSettings
from reward_shaping.term import Array, BoundTerm, RewardError, Transition, nearest
from reward_shaping.terms import TERMS


class Reward:
    """Total and per-term reward of a batch of transitions.

    Args:
        settings: the reward's YAML.
        available: names of the signals that the environment sends.

    Raises:
        RewardError: an unknown term or signal, or a parameter that does not fit.
    """

    def __init__(self, settings: RewardSettings, available: Collection[str]) -> None:
        self.settings = settings
        self.terms = [_bind(name, settings, available) for name in settings.terms]
        self.names = tuple(settings.terms)
        self.weights = np.array([term.weight for term in settings.terms.values()])
        self.signals = frozenset(signal for term in self.terms for signal in term.signal_of.values())

    def __call__(self, transition: Transition) -> tuple[Array, Array]:
        """Compute the reward.

        Returns:
            total (N,) and breakdown (terms, N), the weighted terms that sum to it.

        Raises:
            RewardError: a term is NaN or infinite, with its name and row.
        """
        breakdown = np.empty((len(self.terms), len(transition.env_reward)))
        known = transition.by_source()
        for index, term in enumerate(self.terms):
            breakdown[index] = term(known)
        breakdown *= self.weights[:, None]
        total = breakdown.sum(axis=0)
        if not np.isfinite(total).all():
            raise self._not_finite(breakdown, transition)
        return total, breakdown

    def describe(self) -> list[tuple[str, str, str, str, float]]:
        """Return a row per term: name, term, signals, parameters, weight."""
        return [
            (
                bound.name,
                self.settings.terms[bound.name].term,
                ", ".join(bound.signal_of.values()),
                ", ".join(f"{key}={value:g}" for key, value in bound.parameters.items()),
                float(weight),
            )
            for bound, weight in zip(self.terms, self.weights, strict=True)
        ]

    def _not_finite(self, breakdown: Array, transition: Transition) -> RewardError:
        culprits = np.argwhere(~np.isfinite(breakdown))
        if len(culprits) == 0:
            return RewardError(("terms",), "the sum of the weighted terms overflows; smaller weights would help")
        index, row = (int(i) for i in culprits[0])
        bound = self.terms[index]
        read = {signal: transition.next_signals[signal][row].tolist() for signal in bound.signal_of.values()}
        return RewardError(
            ("terms", bound.name),
            f"reward term {bound.name} is {breakdown[index, row]} in row {row}; it read {read or 'no signal'}",
        )


def _bind(name: str, settings: RewardSettings, available: Collection[str]) -> BoundTerm:
    chosen = settings.terms[name]
    if chosen.term not in TERMS:
        raise RewardError(("terms", name, "term"), f"unknown term {chosen.term}{nearest(chosen.term, TERMS)}")
    return BoundTerm(name, TERMS[chosen.term], chosen.signal, chosen.parameters, available)
