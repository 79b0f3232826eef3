"""The YAML form of a reward: named terms with weights."""

from math import inf
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from reward_shaping.fields import Finite, NonNegative, Positive, Strict
from reward_shaping.schedule import Weight, weight_at

Use = Literal["state", "potential", "gain"]


class GateSettings(Strict):
    """Where a term counts; elsewhere it is 0.

    Attributes:
        signal: one number, of the state after the step.
        above: the term counts where the signal is above this.
        below: and where it is below this.
        observed_by: what the policy observes and can tell the gate from, where it does not observe the signal
            itself: a gate that it cannot know of would make the reward a riddle.
    """

    signal: str
    above: Finite | None = None
    below: Finite | None = None
    observed_by: str | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("neither above nor below; expected one of them, or both")
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ValueError(f"above {self.above:g} and below {self.below:g} leave nothing between them")
        return self


class PartSettings(Strict):
    """A term, or a product or the largest of several.

    Attributes:
        term: a key of `reward_shaping.terms.TERMS`, `python:package.module:function`, or a published one.
        product: parts that are multiplied.
        max: parts of which the largest counts: stages, each of which pays more than the one before.
        signal: the signal the term reads, or argument name -> signal where it reads several; left out, each
            argument reads the signal of its own name.
        parameters: the term's numbers, as its function names them.
        when: where it counts.
        pays: [low, high]: x in [0, 1] becomes low + (high - low) x, before the gate.
    """

    term: str | None = None
    product: Annotated[dict[str, "PartSettings"], Field(min_length=2)] | None = None
    max: Annotated[dict[str, "PartSettings"], Field(min_length=2)] | None = None
    signal: str | dict[str, str] | None = None
    parameters: dict[str, Any] = Field(default={})
    when: GateSettings | None = None
    pays: Annotated[list[Finite], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        given = [key for key in ("term", "product", "max") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of term, product and max, found {' and '.join(given) or 'none'}")
        if self.term is None and (self.signal is not None or self.parameters):
            raise ValueError(f"signal and parameters belong to the parts of a {given[0]}, not to itself")
        return self

    @property
    def parts(self) -> dict[str, "PartSettings"]:
        """The parts of a product or a largest."""
        return self.product or self.max or {}


class TermSettings(PartSettings):
    """One named term of a reward.

    Attributes:
        weight: factor of the term in the total; its sign says whether the term is wanted. A mapping changes it
            while the policy trains.
        use: what becomes of x, a function of the state: `state` pays x(s') in every step; `potential` pays
            gamma x(s') - x(s), which leaves the best policy what it is; `gain` pays x(s') - x(s). Left out,
            potentials are `potential`, and the rest `state`.
        offset: added to x of a potential; it changes how one learns, not what is best (Müller & Kudenko 2025).
        probe: compute and log the term without counting it.
    """

    weight: Weight
    use: Use | None = None
    offset: Finite = 0.0
    probe: bool = False


class MultiplierSettings(Strict):
    """How a cost's multiplier follows the cost: a PID controller, see `reward_shaping.lagrangian.Multiplier`.

    Cost and multiplier are counted in units of the limit, where that is above 1: a multiplier of 3 with a limit of
    50 takes a cost of 50 as a loss of 3 in reward. A cost that is to stay far below 1 may want larger gains.

    Attributes:
        kp: proportional gain.
        ki: integral gain, per update of the policy.
        kd: derivative gain.
        smoothing: share of the past in the moving average that kp and kd see; 0 takes each update's cost as it is.
        initial: the multiplier before the first update.
        max: the multiplier never exceeds this.
    """

    kp: NonNegative = 0.5
    ki: NonNegative = 0.05
    kd: NonNegative = 0.1
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.9
    initial: NonNegative = 0.0
    max: Positive = 100.0

    @model_validator(mode="after")
    def _can_move(self) -> Self:
        if self.initial > self.max:
            raise ValueError(f"initial {self.initial:g} is above max {self.max:g}")
        if self.kp == 0 and self.ki == 0:
            raise ValueError("kp and ki are 0, so that the multiplier would not follow the cost; expected one above 0")
        return self


class CostSettings(PartSettings):
    """One named cost: made like a term, but kept below a limit instead of weighed.

    It is no part of the total reward, and `strength` does not scale it. The limit is kept by the policy that explores;
    without exploration most costs are lower.

    Attributes:
        limit: what the mean cost may be.
        per: `episode`: the mean over episodes of the sum over their steps, undiscounted; `step`: the mean over steps.
        multiplier: how what the learner pays for the cost follows it.
    """

    limit: Finite
    per: Literal["episode", "step"] = "episode"
    multiplier: MultiplierSettings = MultiplierSettings()

    @model_validator(mode="before")
    @classmethod
    def _has_a_limit(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("limit") is None:
            raise ValueError(
                "a cost needs a limit: what its mean per episode may be, or with per: step its mean per step"
            )
        return data

    @property
    def unit(self) -> float:
        """What a learner counts the cost in: its limit where that is above 1, so that gains suit costs of any size."""
        return max(abs(self.limit), 1.0)


class RewardSettings(Strict):
    """A reward function; the total is the weighted sum of its terms.

    Attributes:
        terms: by name.
        costs: by name; constraints beside the reward, for trainers that have cost critics.
        only_positive: a negative total becomes 0. It takes from potentials what makes them harmless, and so
            cannot be had together with them.
        per_second: weights of terms that scale with the control period are per second, and are multiplied by it.
    """

    terms: dict[str, TermSettings] = Field(min_length=1)
    costs: dict[str, CostSettings] = Field(default={})
    only_positive: bool = False
    per_second: bool = False

    @model_validator(mode="after")
    def _something_counts(self) -> Self:
        if all(term.probe for term in self.terms.values()):
            raise ValueError("all terms are probes; expected one that counts")
        return self

    @property
    def parts(self) -> list[PartSettings]:
        """The terms, and the costs."""
        return [*self.terms.values(), *self.costs.values()]

    def at_the_end(self) -> Self:
        """Return this reward with the weights that schedules end with, as evaluations use it."""
        final = {
            name: term.model_copy(update={"weight": weight_at(term.weight, inf, success=1.0)})
            for name, term in self.terms.items()
        }
        return self.model_copy(update={"terms": final})


ENV_REWARD_ONLY = RewardSettings(terms={"env_reward": TermSettings(term="env_reward", weight=1.0)})
