"""What a learner pays for the costs of its reward, so that they come down to their limits."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reward_shaping.lagrangian import Multiplier
from reward_shaping.settings import CostSettings
from trainers.algorithms.algorithm import Metrics
from trainers.heads import Head
from trainers.rollout import Rollout


class CostControl:
    """The multipliers lambda_i of a reward's costs, and what the episodes under way have cost so far.

    Args:
        heads: of the critic; those of costs have a multiplier each.
        settings: of the costs, by name.
        rows: N.
    """

    def __init__(self, heads: Sequence[Head], settings: Mapping[str, CostSettings], rows: int) -> None:
        self._columns = [column for column, head in enumerate(heads) if head.role == "cost"]
        self._costs = {heads[column].name: settings[heads[column].name] for column in self._columns}
        self._heads = heads
        self._multipliers = {name: Multiplier(cost) for name, cost in self._costs.items()}
        self._spent = np.zeros((rows, len(self._columns)))

    def weights(self) -> Tensor:
        """Return what each head's advantage counts in (A_r - sum lambda_i A_ci) / (1 + sum lambda_i), (K,).

        A_r is the sum of the advantages of all heads that are no costs. Without costs every weight is 1.
        """
        of = {name: multiplier.value for name, multiplier in self._multipliers.items()}
        weights = [-of[head.name] if head.role == "cost" else 1.0 for head in self._heads]
        return torch.tensor(weights) / (1.0 + sum(of.values()))

    def update(self, rollout: Rollout) -> Metrics:
        """Move the multipliers by what a full rollout has cost.

        A cost per episode counts with the episode's last step, wherever the episode began; where no episode has
        ended, its multiplier stays.

        Returns:
            Of every cost: `per_step`, `per_episode` where episodes ended, its `limit` and `multiplier`.
        """
        if not self._columns:
            return {}
        cost = rollout.rew[..., self._columns].double().numpy() * [cost.unit for cost in self._costs.values()]
        done = torch.maximum(rollout.terminated, rollout.truncated).bool().numpy()
        per_step = cost[rollout.valid.numpy()].mean(axis=0)
        ended, self._spent = episode_sums(cost, done, self._spent)
        metrics: Metrics = {}
        for index, (name, settings) in enumerate(self._costs.items()):
            seen = {"step": float(per_step[index])}
            if len(ended):
                seen["episode"] = float(ended[:, index].mean())
            if settings.per in seen:
                self._multipliers[name].update(seen[settings.per])
            metrics |= {f"cost/{name}/per_{unit}": value for unit, value in seen.items()}
            metrics[f"cost/{name}/limit"] = settings.limit
            metrics[f"cost/{name}/multiplier"] = self._multipliers[name].value
        return metrics

    def abandon_episodes(self) -> None:
        """Forget the episodes under way."""
        self._spent[:] = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Multipliers, and the episodes under way."""
        multipliers = {name: multiplier.state_dict() for name, multiplier in self._multipliers.items()}
        return {"multipliers": multipliers, "spent": torch.from_numpy(self._spent.copy())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken; with another number of rows, episodes begin anew."""
        for name, multiplier in self._multipliers.items():
            multiplier.load_state_dict(state["multipliers"][name])
        fits = state["spent"].shape == self._spent.shape
        self._spent = state["spent"].numpy().copy() if fits else np.zeros_like(self._spent)


def episode_sums(cost: np.ndarray, done: np.ndarray, spent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum costs over episodes, undiscounted.

    Args:
        cost: of each step, (T, N, C).
        done: an episode ended in this step, (T, N), bool.
        spent: by the episodes under way before the first step, (N, C).

    Returns:
        Sums of the E episodes that ended, (E, C), and of those under way after the last step, (N, C).
    """
    ended = []
    for paid, over in zip(cost, done, strict=True):
        spent = spent + paid
        ended.append(spent[over])
        spent = np.where(over[:, None], 0.0, spent)
    return np.concatenate(ended), spent
