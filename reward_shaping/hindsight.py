"""What a transition would have paid on the way to another goal (Andrychowicz et al. 2017, arXiv 1707.01495).

A signal of the goal is recomputed from the goal and from what the robot has achieved; a reward made of such signals,
and of others that know of no goal, can be scored again:

    r' = r(goal.relabel(transition, new_goal))
"""

from collections.abc import Callable
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from reward_shaping.fields import Strict
from reward_shaping.reward import Reward
from reward_shaping.term import Array, RewardError, Signals, Source, Transition

Rule = Literal["goal", "difference", "distance", "direction", "bearing"]


class Goal(Strict):
    """How a task's signals depend on its goal; in the task's description, `tasks.<name>.goal`.

    Attributes:
        achieved: the signal that is to become the goal: (N, k), g is a value of it.
        recomputed: signal -> its rule, e being g - achieved: `goal` g; `difference` e; `distance` |e|, (N, 1);
            `direction` cosine and sine of the angle of e, (N, 2), and `bearing` that angle in rad, (N, 1), both
            seen along `heading`.
        heading: the signal with cosine and sine of the robot's yaw, (N, 2).
        judged: signals that the environment has judged by its own goal, which nothing here can tell for another.
    """

    achieved: str
    recomputed: dict[str, Rule] = Field(min_length=1)
    heading: str | None = None
    judged: list[str] = Field(default=[])

    @model_validator(mode="after")
    def _angles_have_a_heading(self) -> Self:
        angles = [name for name, rule in self.recomputed.items() if rule in ("direction", "bearing")]
        if angles and self.heading is None:
            raise ValueError(f"heading is missing; {', '.join(angles)} cannot be told without it")
        return self

    @property
    def signals(self) -> frozenset[str]:
        """Names of the signals that relabelling reads, whatever the reward does."""
        return frozenset({self.achieved} | ({self.heading} if self.heading else set()))

    def relabel(self, transition: Transition, goal: Array) -> Transition:
        """Return the transition as it would have been signalled with another goal, (N, k).

        The two flags stay: what ended the episode did end it.
        """
        signals, next_signals = (self.recompute(part, goal) for part in (transition.signals, transition.next_signals))
        return transition._replace(signals=signals, next_signals=next_signals)

    def recompute(self, signals: Signals, goal: Array) -> Signals:
        """Return the signals of a state, or its observed quantities by name, for another goal, (N, k)."""
        error = goal - signals[self.achieved]
        seen = _turned(error, signals[self.heading]) if self.heading else error
        fresh = {name: RULES[rule](goal, error, seen) for name, rule in self.recomputed.items() if name in signals}
        return signals | {name: value.astype(signals[name].dtype) for name, value in fresh.items()}

    def check(self, reward: Reward) -> None:
        """Refuse a reward that cannot be computed for another goal; its probes may be anything.

        Raises:
            RewardError: the first term that reads what the environment has judged or paid, with its path.
        """
        for entry in reward.entries[: reward.counted]:
            read = [(path, source) for path, bound in entry.part.bound.items() for source in bound.sources]
            read += [(("terms", entry.name), gate.source) for gate in entry.part.gates]
            for path, source in read:
                if self._is_fixed(source):
                    raise RewardError(path, self._refusal(entry.name, source))

    def _is_fixed(self, source: Source) -> bool:
        return source[0] == "env_reward" or source[1] in self.judged

    def _refusal(self, term: str, source: Source) -> str:
        what = f"{source[1]}, which the environment judges by" if source[1] else "env_reward, which was paid for"
        known = ", ".join(self.recomputed)
        return f"{term} reads {what} its own goal; for another goal, hindsight can recompute {known}"


def _turned(error: Array, heading: Array) -> Array:
    """Return vectors of the floor, (N, 2), as seen by somebody who looks along `heading`, (N, 2)."""
    along = error[:, 0] * heading[:, 0] + error[:, 1] * heading[:, 1]
    left = error[:, 1] * heading[:, 0] - error[:, 0] * heading[:, 1]
    return np.stack((along, left), axis=1)


def _bearing(seen: Array) -> Array:
    angle: Array = np.arctan2(seen[:, 1:2], seen[:, :1])
    return angle


RULES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "goal": lambda goal, _error, _seen: goal,
    "difference": lambda _goal, error, _seen: error,
    "distance": lambda _goal, error, _seen: np.linalg.norm(error, axis=1, keepdims=True),
    "direction": lambda _goal, _error, seen: np.hstack((np.cos(_bearing(seen)), np.sin(_bearing(seen)))),
    "bearing": lambda _goal, _error, seen: _bearing(seen),
}
