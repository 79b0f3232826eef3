"""What a critic estimates: one value head for every stream of rewards that is discounted and credited apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from reward_shaping import ENV_REWARD_ONLY
from trainers.settings import BehaviorSettings

Role = Literal["total", "term", "cost", "intrinsic"]


@dataclass(frozen=True)
class Head:
    """A stream of rewards with a value head of its own.

    Attributes:
        name: `extrinsic` for the total, else that of the term, the cost or the intrinsic reward.
        role: what is paid into it: the `total` reward, one `term` of it, a `cost`, which no reward holds, or an
            `intrinsic` reward, which the learner pays itself.
        gamma: its discount per decision.
        scale: factor on what is paid: `strength` of a term or an intrinsic reward, one over a cost's unit.
        episodic: whether the end of an episode ends it: what is new to the agent stays so in the next one.
    """

    name: str
    role: Role
    gamma: float
    scale: float
    episodic: bool = True

    @property
    def label(self) -> str:
        """Its name in the log and in messages: a cost may be called like a term."""
        return f"{self.role}/{self.name}" if self.role in ("cost", "intrinsic") else self.name


def heads_of(settings: BehaviorSettings) -> tuple[Head, ...]:
    """Return the value heads that a behavior's settings ask for.

    Those of the reward or of its terms come first, then those of its costs and of intrinsic rewards that count.
    """
    extrinsic = settings.reward_signals.extrinsic
    gamma, strength = extrinsic.gamma, extrinsic.strength
    shaping = settings.reward_shaping or ENV_REWARD_ONLY
    rewards = [Head("extrinsic", "total", gamma, 1.0)]  # strength is in the total already
    if settings.per_term_critic:
        rewards = [Head(name, "term", gamma, strength) for name, term in shaping.terms.items() if not term.probe]
    costs = [Head(name, "cost", gamma, 1.0 / cost.unit) for name, cost in shaping.costs.items()]
    intrinsic = [
        Head(name, "intrinsic", of.gamma, of.strength, episodic=name == "gail")
        for name, of in settings.reward_signals.intrinsic.items()
        if of.strength > 0.0
    ]
    return (*rewards, *costs, *intrinsic)


def head_rewards(heads: Sequence[Head], rew: np.ndarray, infos: Mapping[str, Any]) -> np.ndarray:
    """Return what a step has paid into each head, (N, K); 0 into those that are paid when the rollout is complete.

    Args:
        heads: K.
        rew: the total reward, (N,).
        infos: of the step, with what `RewardScorer.score` adds to them.
    """
    return np.stack([_paid(head, rew, infos) for head in heads], axis=1)


def _paid(head: Head, rew: np.ndarray, infos: Mapping[str, Any]) -> np.ndarray:
    if head.role == "total":
        return rew
    if head.role == "intrinsic":
        return np.zeros_like(rew)
    paid: np.ndarray = infos["costs" if head.role == "cost" else "reward_terms"][head.name]
    return head.scale * paid


def advantage_shares(heads: Sequence[Head], adv: np.ndarray) -> dict[str, float]:
    """Return `advantage_share/<head>`: which stream drives the policy, in [0, 1]; together they are 1.

    share_k = mean |A_k - mean A_k| / sum_j mean |A_j - mean A_j|, over the samples of an update. Means are taken off
    because the update takes off the mean of the sum: what is the same for all samples moves no action. What a value
    head gets wrong is in its share, too; `value/explained_variance/<head>` tells how much that is.

    Args:
        heads: K.
        adv: their advantages as they are summed, those of costs times their multipliers, (B, K).
    """
    sizes = np.abs(adv - adv.mean(axis=0)).mean(axis=0)
    shares = sizes / max(float(sizes.sum()), 1e-30)
    return {f"advantage_share/{head.label}": float(share) for head, share in zip(heads, shares, strict=True)}
