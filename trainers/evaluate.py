"""Separate episodes that measure a policy, or the policies of several behaviors in one scene."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from reward_shaping.cost import Cost
from trainers.errors import RunError
from trainers.policy import Policy
from trainers.world import Start, World
from unity_env.agent_rows import StepResult
from unity_env.vector_env import SILENT_STEPS

Array = np.ndarray
CONFIDENCE = 0.95
_RESAMPLES = 10_000


@dataclass(frozen=True)
class MeasuredCost:
    """What a cost came to.

    Attributes:
        mean: per episode or per step, as the limit is.
        limit: what it may be.
        excess: how far it is above its limit, in units of it; 0 where it is not.
    """

    mean: float
    limit: float
    excess: float


@dataclass(frozen=True)
class Evaluation:
    """What a number of episodes came to; arrays are (episodes,).

    Attributes:
        returns: undiscounted sums of the reward.
        lengths: decisions.
        successes: bool; None where the environment signals no `success`.
        joint_successes: bool, of all behaviors of the scene together; None where it signals no `joint_success`.
        costs: what the reward's costs came to, by name.
    """

    returns: Array
    lengths: Array
    successes: Array | None
    joint_successes: Array | None = None
    costs: Mapping[str, MeasuredCost] = field(default_factory=dict)

    @property
    def success(self) -> float | None:
        """Fraction of solved episodes."""
        return None if self.successes is None else float(self.successes.mean())

    @property
    def joint_success(self) -> float | None:
        """Fraction of episodes that all behaviors of the scene solved together."""
        return None if self.joint_successes is None else float(self.joint_successes.mean())

    @property
    def score(self) -> tuple[float, float]:
        """What the best checkpoint is chosen by: joint success where there is one, else success; then the return.

        A policy whose costs exceed their limits comes behind all that keep them, the further the more they do.
        """
        success = self.success if self.joint_success is None else self.joint_success
        excess = sum(cost.excess for cost in self.costs.values())
        return (-excess if excess > 0 else success or 0.0, float(self.returns.mean()))

    def summary(self) -> dict[str, float]:
        """Return the means, by their names in the log."""
        means = {"success": self.success, "joint_success": self.joint_success}
        known = {name: value for name, value in means.items() if value is not None}
        known |= {"return": float(self.returns.mean()), "length": float(self.lengths.mean())}
        return known | {f"cost/{name}": cost.mean for name, cost in self.costs.items()}

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Return 95% bootstrap confidence intervals of the means of success, return and length."""
        measured = {
            "success": self.successes,
            "joint_success": self.joint_successes,
            "return": self.returns,
            "length": self.lengths,
        }
        return {name: bootstrap_interval(values) for name, values in measured.items() if values is not None}


def bootstrap_interval(values: Array, confidence: float = CONFIDENCE, seed: int = 0) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean (Efron & Tibshirani 1993, chapter 13).

    Where all values are the same, so are its ends: what was never seen cannot be drawn again.

    Args:
        values: (n,), at least one.
        confidence: that the interval holds the mean of the population.
        seed: of the 10,000 resamples.
    """
    drawn = np.random.default_rng(seed).choice(values, (_RESAMPLES, len(values)))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(drawn.mean(axis=1), (tail, 1.0 - tail)).tolist()
    return low, high


def permutation_p(better: Array, worse: Array, seed: int = 0) -> float:
    """Return the p-value of means so far apart, one-sided, where both samples are of one population.

    (1 + k) / (1 + n), k of n random divisions of all values having means at least as far apart (Phipson & Smyth 2010,
    doi 10.2202/1544-6115.1585).

    Args:
        better: whose mean is said to be the larger one, (m,).
        worse: (n,).
        seed: of the 10,000 divisions.
    """
    pooled, size = np.concatenate([better, worse]), len(better)
    divided = np.random.default_rng(seed).permuted(np.tile(pooled, (_RESAMPLES, 1)), axis=1)
    apart = divided[:, :size].mean(axis=1) - divided[:, size:].mean(axis=1)
    rounding = 1e-12 * np.abs(pooled).max()
    as_far = np.count_nonzero(apart >= better.mean() - worse.mean() - rounding)
    return float((1 + as_far) / (1 + _RESAMPLES))


class _Tally:
    """Counts the same number of episodes in every row, so that short ones are not over-represented.

    A row whose agent is gone for good, having reported nothing for 10,000 steps, gives the episodes that it finished.
    """

    def __init__(self, episodes: int, rows: int, infos: Mapping[str, Any], costs: Sequence[Cost] = ()) -> None:
        self._episodes = episodes
        self._per_row = -(-episodes // rows)
        self._returns = np.zeros((self._per_row, rows))
        self._lengths = np.zeros((self._per_row, rows), dtype=np.int64)
        signals = infos.get("signals", {})
        self._flags = {
            name: np.zeros((self._per_row, rows), dtype=bool)
            for name in ("success", "joint_success")
            if name in signals
        }
        self._costs = costs
        self._spent = {cost.name: np.zeros((self._per_row, rows)) for cost in costs}
        self._episode = np.zeros(rows, dtype=np.int64)
        self._silent = np.zeros(rows, dtype=np.int64)

    @property
    def complete(self) -> bool:
        return bool(((self._episode >= self._per_row) | (self._silent >= SILENT_STEPS)).all())

    def add(self, result: StepResult) -> None:
        _, rew, terminated, truncated, infos = result
        self._silent = np.where(infos["valid"], 0, self._silent + 1)
        rows = np.flatnonzero((self._episode < self._per_row) & infos["valid"])
        episode = self._episode
        self._returns[episode[rows], rows] += rew[rows]
        self._lengths[episode[rows], rows] += 1
        for name, spent in self._spent.items():
            spent[episode[rows], rows] += infos["costs"][name][rows]
        ended = rows[(terminated | truncated)[rows]]
        if len(ended):
            for name, flags in self._flags.items():
                flags[episode[ended], ended] = infos["final_info"]["signals"][name][ended, 0] > 0
        episode[ended] += 1

    def result(self) -> Evaluation:
        finished = np.arange(self._per_row)[:, None] < self._episode
        if not finished.any():
            raise RunError(f"evaluation: no agent has finished an episode, nor reported for {SILENT_STEPS:,} steps")
        first = slice(self._episodes)
        flags = {name: values[finished][first] for name, values in self._flags.items()}
        return Evaluation(
            self._returns[finished][first],
            self._lengths[finished][first],
            flags.get("success"),
            flags.get("joint_success"),
            {cost.name: self._measured(cost, finished) for cost in self._costs},
        )

    def _measured(self, cost: Cost, finished: Array) -> MeasuredCost:
        first = slice(self._episodes)
        spent, lengths = self._spent[cost.name][finished][first], self._lengths[finished][first]
        mean = float(spent.mean() if cost.settings.per == "episode" else spent.sum() / lengths.sum())
        limit = cost.settings.limit
        return MeasuredCost(mean, limit, max(mean - limit, 0.0) / cost.settings.unit)


def evaluate(env: VectorEnv[Any, Any, Any], policy: Policy, episodes: int, seed: int) -> Evaluation:
    """Measure a policy.

    Args:
        env: with SAME_STEP autoreset.
        policy: acts in all rows.
        episodes: how many in all; must be at least one.
        seed: of the episodes.

    Raises:
        RunError: not one episode was finished.
    """
    obs, infos = env.reset(seed=seed)
    tally = _Tally(episodes, env.num_envs, infos)
    while not tally.complete:
        result = env.step(policy(obs, infos))
        obs, infos = result[0], result[4]
        tally.add(result)
    return tally.result()


def evaluate_world(
    world: World,
    policies: Mapping[str, Policy],
    episodes: int,
    seed: int,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Evaluation]:
    """Measure the policies of all behaviors of a scene, which act together; behavior -> its evaluation.

    Behaviors without a policy stand still; those that join the scene late are waited for, 10,000 steps at most. As soon
    as `stopped`, all that was measured is dropped, and nothing returned.

    Raises:
        RunError: not one episode of a behavior was finished.
    """
    tallies: dict[str, _Tally] = {}
    seen: dict[str, Start] = {}

    def admit(starts: Mapping[str, Start]) -> None:
        for name in [name for name in starts if name in policies]:
            seen[name] = _, infos = starts[name]
            costs = world.scorers[name].reward.costs
            tallies[name] = _Tally(episodes, len(infos["requesting"]), infos, costs)

    admit(world.reset(seed))
    waited = 0
    while not all(tally.complete for tally in tallies.values()) or (
        len(tallies) < len(policies) and waited < SILENT_STEPS
    ):
        if stopped():
            return {}
        waited += 1
        results = world.step({name: policies[name](*seen[name]) for name in tallies})
        admit(world.newcomers())
        for name, result in results.items():
            seen[name] = result[0], result[4]
            tallies[name].add(result)
    return {name: tally.result() for name, tally in tallies.items()}
