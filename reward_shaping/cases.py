"""Small cases kept beside a reward: a transition, and what the reward is to make of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from reward_shaping.fields import Finite, Fraction, Positive, StepCount, Strict
from reward_shaping.part import signals_read
from reward_shaping.reward import Reward
from reward_shaping.settings import RewardSettings
from reward_shaping.term import Array, RewardError, Transition, nearest

BASE, TOTAL = "base", "total"
Values = Finite | Annotated[list[Finite], Field(min_length=1)]


class CaseSettings(Strict):
    """One transition of one row; what is left out is that of the case named `base`.

    Attributes:
        signals: name -> its numbers before the step.
        next_signals: name -> its numbers after it; left out, they are as before.
        action: its numbers; left out, 0.
        previous_action: the same of the step before.
        ends: how the step ends the episode; left out, it does not.
        env_reward: the environment's own reward.
        gamma: discount with which potentials were worked out.
        period_s: control period of weights per second.
        step: training step of weights that change.
        success: success rate of weights that follow it.
        expect: a term's name -> its weighted value; `cost/<name>` -> that of a cost; `total` -> the total.
        tolerance: by how much it may differ.
        better_than: cases whose total is lower.
    """

    signals: dict[str, Values] = Field(default={})
    next_signals: dict[str, Values] = Field(default={})
    action: list[Finite] | None = None
    previous_action: list[Finite] | None = None
    ends: Literal["terminated", "truncated"] | None = None
    env_reward: Finite = 0.0
    gamma: Fraction | None = None
    period_s: Positive | None = None
    step: StepCount = 0
    success: Fraction = 0.0
    expect: dict[str, Finite] = Field(default={})
    tolerance: Annotated[float, Field(ge=0)] = 1e-6
    better_than: str | list[str] = Field(default=[])

    def over(self, base: "CaseSettings") -> "CaseSettings":
        """Return this case with what it leaves out taken from a base, signal by signal."""
        given: dict[str, Any] = {key: getattr(self, key) for key in self.model_fields_set}
        for key in ("signals", "next_signals"):
            given[key] = getattr(base, key) | getattr(self, key)
        return base.model_copy(update={"expect": {}, "better_than": []} | given)

    @property
    def lower(self) -> list[str]:
        """The cases whose total is lower."""
        return [self.better_than] if isinstance(self.better_than, str) else self.better_than

    def transition(self) -> Transition:
        """Return the transition, one row."""
        before = {name: _row(value) for name, value in self.signals.items()}
        after = before | {name: _row(value) for name, value in self.next_signals.items()}
        size = len(self.action or self.previous_action or [0.0])
        return Transition(
            signals=after | before,
            next_signals=after,
            action=_row(self.action or [0.0] * size),
            previous_action=_row(self.previous_action or [0.0] * size),
            terminated=np.array([self.ends == "terminated"]),
            truncated=np.array([self.ends == "truncated"]),
            env_reward=np.array([self.env_reward]),
        )


class RewardFile(RewardSettings):
    """What a reward's file holds: the reward, and cases that it has to pass.

    Attributes:
        cases: by name; the one called `base` is what the others start from, and itself one if it expects something.
    """

    cases: dict[str, CaseSettings] = Field(default={}, exclude=True)


@dataclass(frozen=True)
class Outcome:
    """What came of one expectation.

    Attributes:
        case: its name.
        expected: what it expects, as text.
        got: what the reward paid.
        passed: whether that is right.
        path: of the expectation, in the file.
    """

    case: str
    expected: str
    got: float
    passed: bool
    path: tuple[str, ...]


def run_cases(file: RewardFile) -> list[Outcome]:
    """Score the cases of a reward, in their order.

    Raises:
        RewardError: a case that expects nothing or names what there is not, a signal that is missing, or a reward
            that cannot be computed.
    """
    if TOTAL in file.terms:
        raise RewardError(("terms", TOTAL), f"cases mean the sum of all terms by {TOTAL}; expected another name")
    base = file.cases.get(BASE, CaseSettings())
    cases = {name: base if name == BASE else case.over(base) for name, case in file.cases.items()}
    tested = {name: case for name, case in cases.items() if name != BASE or case.expect or case.lower}
    paid = {name: _score(file, name, case) for name, case in tested.items()}
    outcomes: list[Outcome] = []
    for name, case in tested.items():
        _check(name, case, paid)
        path = ("cases", name)
        for what, value in case.expect.items():
            got = paid[name][what]
            right = abs(got - value) <= case.tolerance
            outcomes.append(Outcome(name, f"{what} = {value:g}", got, right, (*path, "expect", what)))
        for other in case.lower:
            got, lower = paid[name][TOTAL], paid[other][TOTAL]
            outcomes.append(Outcome(name, f"total > {other} ({lower:.6g})", got, got > lower, (*path, "better_than")))
    return outcomes


def _score(file: RewardFile, name: str, case: CaseSettings) -> dict[str, float]:
    """Return what a case is paid: term -> weighted value, the costs, and the total."""
    transition = case.transition()
    needed = {signal for part in file.parts for signal in signals_read(part)}
    missing = sorted(needed - transition.next_signals.keys())
    if missing:
        raise RewardError(
            ("cases", name), f"the reward reads {', '.join(missing)}, which neither this case nor {BASE} gives"
        )
    sizes = {signal: value.shape[1] for signal, value in transition.next_signals.items()}
    reward = Reward(file, sizes, case.gamma, case.period_s)
    reward.restart(case.step, case.success)
    total, breakdown = reward(transition)
    costs = [f"cost/{cost.name}" for cost in reward.costs]
    names, values = [*reward.names, *costs, TOTAL], [*breakdown[:, 0], *reward.cost_of(transition)[:, 0], total[0]]
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def _check(name: str, case: CaseSettings, paid: Mapping[str, Mapping[str, float]]) -> None:
    if not (case.expect or case.lower):
        raise RewardError(("cases", name), "expects nothing; give it expect or better_than")
    for what in case.expect:
        if what not in paid[name]:
            raise RewardError(("cases", name, "expect", what), f"no such term or cost{nearest(what, paid[name])}")
    for other in case.lower:
        if other not in paid:
            raise RewardError(("cases", name, "better_than"), f"no case {other}{nearest(other, paid)}")


def _row(value: float | list[float]) -> Array:
    return np.array([value if isinstance(value, list) else [value]], dtype=float)
