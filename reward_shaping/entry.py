"""A named term of a reward, with its weight."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reward_shaping.bound import BoundTerm, Path
from reward_shaping.part import Part
from reward_shaping.schedule import Schedule, weight_at
from reward_shaping.settings import PartSettings, TermSettings, Use
from reward_shaping.term import Score


@dataclass(frozen=True)
class Entry:
    """A named term of a reward.

    Attributes:
        name: of the term.
        settings: of the term.
        part: what it computes.
        use: what becomes of it.
        score: N transitions -> (N,); a potential's are weighted already.
        factor: of the weight: the control period where the weight is per second, else 1.
    """

    name: str
    settings: TermSettings
    part: Part
    use: Use
    score: Score
    factor: float

    @property
    def scheduled(self) -> bool:
        """Whether its weight changes."""
        return isinstance(self.settings.weight, Schedule)

    def weight_at(self, step: float, success: float) -> float:
        """Return what the values are multiplied by at a training step and a success rate."""
        return self.factor * weight_at(self.settings.weight, step, success)

    def describe(self) -> tuple[str, str, str, str, str]:
        """Return for a table: name, term, signals, parameters, weight."""
        settings = self.settings
        what, signals, parameters = describe_part(settings, self.part)
        weight = settings.weight if isinstance(settings.weight, Schedule) else f"{self.factor * settings.weight:g}"
        return (
            self.name,
            what if self.use == "state" else f"{what} ({self.use})",
            signals,
            parameters,
            f"{weight} (probe)" if settings.probe else str(weight),
        )

    def resolved(self) -> dict[str, Any]:
        """Return the settings with every default written out."""
        return resolve_part(self.settings, ("terms", self.name), self.part.bound) | {"use": self.use}


def describe_part(settings: PartSettings, part: Part) -> tuple[str, str, str]:
    """Return for a table: term, signals, parameters."""
    terms = part.bound.values()
    what = settings.term or f"{'product' if settings.product else 'max'} of {', '.join(settings.parts)}"
    signals = dict.fromkeys(signal for term in terms for signal in term.signal_of.values())
    parameters = [f"{key}={_text(value)}" for term in terms for key, value in term.parameters.items()]
    return what, ", ".join(signals), ", ".join(parameters)


def resolve_part(settings: PartSettings, path: Path, bound: Mapping[Path, BoundTerm]) -> dict[str, Any]:
    """Return the settings of a term, a cost or a part of one, with every default written out."""
    if path in bound:
        read = {"signal": bound[path].signal_of, "parameters": bound[path].parameters}
        return settings.model_dump(mode="json") | read
    key = "max" if settings.product is None else "product"
    parts = {name: resolve_part(part, (*path, key, name), bound) for name, part in settings.parts.items()}
    return settings.model_dump(mode="json") | {key: parts}


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
