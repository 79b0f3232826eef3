"""A named cost: what is to stay below a limit, whatever the reward says."""

from dataclasses import dataclass
from typing import Any

from reward_shaping.entry import describe_part, resolve_part
from reward_shaping.part import Part, Senses, bind_part
from reward_shaping.settings import CostSettings


@dataclass(frozen=True)
class Cost:
    """A named cost.

    Attributes:
        name: of the cost.
        settings: of the cost.
        part: what it computes, N transitions -> (N,).
    """

    name: str
    settings: CostSettings
    part: Part

    def describe(self) -> tuple[str, str, str, str, str]:
        """Return for a table: name, term, signals, parameters, limit."""
        limit = f"<= {self.settings.limit:g} per {self.settings.per}"
        return (f"cost/{self.name}", *describe_part(self.settings, self.part), limit)

    def resolved(self) -> dict[str, Any]:
        """Return the settings with every default written out."""
        return resolve_part(self.settings, ("costs", self.name), self.part.bound)


def bind_cost(name: str, settings: CostSettings, senses: Senses) -> Cost:
    """Make what the settings describe.

    Raises:
        RewardError: an unknown term or signal, or a parameter that does not fit.
    """
    return Cost(name, settings, bind_part(settings, ("costs", name), senses))
