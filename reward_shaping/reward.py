"""A reward: the weighted sum of named terms, with its breakdown; and the costs beside it."""

import hashlib
import json
from collections.abc import Collection, Mapping
from math import isfinite
from typing import Any

import numpy as np

from reward_shaping.cost import Cost, bind_cost
from reward_shaping.entry import Entry
from reward_shaping.part import Part, Senses, bind_part
from reward_shaping.potential import Gain, Potential
from reward_shaping.settings import RewardSettings, TermSettings, Use
from reward_shaping.term import Array, RewardError, Score, Source, Transition


class Reward:
    """Total and per-term reward of a batch of transitions.

    Args:
        settings: the reward's YAML.
        available: names of the signals that the environment sends, with their sizes where these are known: what
            cannot be computed from them then shows at once.
        gamma: discount of what trains, for potentials.
        period_s: control period, for weights per second.
        observed: names of what the policy observes, which gates must be told from; None where it is not known.

    Attributes:
        names: of the terms; probes come last.
        counted: how many of them, the first ones, sum to the total.
        costs: what is to stay below a limit; never in the total.
        signals: names of the signals that are read.
        signals_before: those of them that are read in the state in which the action was chosen, too.
        sizes: of the available signals, where they are known.

    Raises:
        RewardError: an unknown term or signal, or anything that does not fit.
    """

    def __init__(
        self,
        settings: RewardSettings,
        available: Collection[str],
        gamma: float | None = None,
        period_s: float | None = None,
        observed: Collection[str] | None = None,
    ) -> None:
        self.settings, self.gamma, self.period_s = settings, gamma, period_s
        self.sizes = dict(available) if isinstance(available, Mapping) else {}
        senses = Senses(available, observed)
        ordered = sorted(settings.terms, key=lambda name: settings.terms[name].probe)
        self.entries = [self._bind(name, settings.terms[name], senses) for name in ordered]
        self.names = tuple(ordered)
        self.labels = tuple(f"probe/{entry.name}" if entry.settings.probe else entry.name for entry in self.entries)
        self._check_only_positive()
        self.costs: list[Cost] = [bind_cost(name, cost, senses) for name, cost in settings.costs.items()]
        parts = [entry.part for entry in self.entries] + [cost.part for cost in self.costs]
        beside = [Potential.ENDED] if self._potentials() else []
        self._sources = sorted({*beside, *(source for part in parts for source in part.sources())})
        self.signals = frozenset(name for _, name in self._sources if name)
        self.signals_before = frozenset(name for field, name in self._sources if field in {"signals", "both"})
        self.counted = sum(not entry.settings.probe for entry in self.entries)
        self._scheduled = [(index, entry) for index, entry in enumerate(self.entries) if entry.scheduled]
        self.restart(0, 0.0)

    @property
    def is_scheduled(self) -> bool:
        """Whether `advance` changes anything."""
        return bool(self._scheduled)

    def __call__(self, transition: Transition) -> tuple[Array, Array]:
        """Compute the reward.

        Returns:
            total (N,) and breakdown (terms, N), the weighted terms; all but the probes, which are the last, sum to it.

        Raises:
            RewardError: a term is NaN or infinite, with its name and row.
        """
        known = self.known(transition)
        breakdown = np.empty((len(self.entries), len(transition.env_reward)))
        for index, entry in enumerate(self.entries):
            breakdown[index] = entry.score(known)
        breakdown *= self._factors
        total = np.add.reduce(breakdown[: self.counted], axis=0)
        if not isfinite(breakdown.sum()):  # a sum passes on whatever is not finite
            raise self._broken(breakdown, transition)
        return np.maximum(total, 0.0) if self.settings.only_positive else total, breakdown

    def cost_of(self, transition: Transition) -> Array:
        """Compute the costs, (costs, N).

        Raises:
            RewardError: a cost is NaN or infinite, with its name and row.
        """
        known = self.known(transition)
        values = np.empty((len(self.costs), len(transition.env_reward)))
        for index, cost in enumerate(self.costs):
            values[index] = cost.part.score(known)
        if not np.isfinite(values).all():
            index, row = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
            raise _not_finite("costs", self.costs[index], float(values[index, row]), row, transition)
        return values

    def restart(self, step: float, success: float) -> None:
        """Let the weights be those of a training step and a success rate in [0, 1], whatever they were."""
        self.weights = np.array([entry.weight_at(step, success) for entry in self.entries])
        self._factors = self.weights[:, None].copy()
        for index, score in self._potentials():
            score.restart(float(self.weights[index]))
            self._factors[index] = 1.0  # a potential weighs itself: each of its two states by the weight of its time

    def advance(self, step: float, success: float) -> None:
        """Let the weights of the next transitions be those of a training step; to be called after each of them."""
        for index, entry in self._scheduled:
            self.weights[index] = entry.weight_at(step, success)
            if isinstance(entry.score, Potential):
                entry.score.advance(float(self.weights[index]))
            else:
                self._factors[index] = self.weights[index]

    @property
    def content_hash(self) -> str:
        """SHA-256 of everything that the reward's numbers depend on, defaults included; not of `python:` code."""
        content: dict[str, Any] = self.settings.model_dump(mode="json", exclude={"terms", "costs"})
        content["terms"] = {entry.name: entry.resolved() for entry in self.entries}
        if self.costs:
            content["costs"] = {cost.name: cost.resolved() for cost in self.costs}
        content["gamma"] = self.gamma if self._potentials() else None
        content["period_s"] = self.period_s if self.settings.per_second else None
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def describe(self) -> list[tuple[str, str, str, str, str]]:
        """Return a row per term and cost: name, term, signals, parameters, weight or limit."""
        return [entry.describe() for entry in self.entries] + [cost.describe() for cost in self.costs]

    def _bind(self, name: str, settings: TermSettings, senses: Senses) -> Entry:
        path = ("terms", name)
        part = bind_part(settings, path, senses)
        use = settings.use or ("potential" if part.is_state and part.is_potential else "state")
        if use != "state" and not part.is_state:
            culprit = next(bound for bound in part.bound.values() if not bound.term.is_state)
            reads = ", ".join(culprit.term.inputs)
            raise RewardError((*path, "use"), f"{use} needs a function of one state; this one reads {reads}")
        if use != "potential" and settings.offset:
            raise RewardError((*path, "offset"), f"belongs to use: potential; this is {use}")
        if use != "state":
            part = bind_part(settings, path, senses, view="both")
        return Entry(name, settings, part, use, self._score(path, settings, part, use), self._factor(part, use))

    def _score(self, path: tuple[str, ...], settings: TermSettings, part: Part, use: Use) -> Score:
        if use == "state":
            return part.score
        if use == "gain":
            return Gain(part.score)
        if self.gamma is None:
            raise RewardError(
                path, "a potential needs the discount of what trains: Reward(..., gamma=0.99), in a case gamma: 0.99"
            )
        return Potential(part.score, self.gamma, settings.offset)

    def _factor(self, part: Part, use: Use) -> float:
        scales = all(bound.term.scales_with_period for bound in part.bound.values())
        if not self.settings.per_second or not scales or use != "state":
            return 1.0
        if self.period_s is None:
            raise RewardError(("per_second",), "the environment's control period is not known; env_settings.task tells")
        return self.period_s

    def _potentials(self) -> list[tuple[int, Potential]]:
        scores = enumerate(entry.score for entry in self.entries)
        return [(index, score) for index, score in scores if isinstance(score, Potential)]

    def _check_only_positive(self) -> None:
        potentials = [entry.name for entry in self.entries if entry.use != "state" or entry.part.is_potential]
        if self.settings.only_positive and potentials:
            raise RewardError(
                ("only_positive",), f"clips what keeps potentials harmless, and {', '.join(potentials)} is one"
            )

    def known(self, transition: Transition) -> dict[Source, Array]:
        """Return everything that the terms read."""
        return {source: transition.read(source) for source in self._sources}

    def _broken(self, breakdown: Array, transition: Transition) -> RewardError:
        culprits = np.argwhere(~np.isfinite(breakdown))
        if len(culprits) == 0:
            return RewardError(("terms",), "the sum of the weighted terms overflows; smaller weights would help")
        index, row = (int(i) for i in culprits[0])
        return _not_finite("terms", self.entries[index], float(breakdown[index, row]), row, transition)


def _not_finite(section: str, scored: Entry | Cost, value: float, row: int, transition: Transition) -> RewardError:
    names = sorted({name for _, name in scored.part.sources() if name})
    read = {name: transition.next_signals[name][row].tolist() for name in names}
    what = "reward term" if section == "terms" else "cost"
    return RewardError(
        (section, scored.name), f"{what} {scored.name} is {value} in row {row}; it read {read or 'no signal'}"
    )
