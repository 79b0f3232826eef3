"""The signal: rewards made of named terms, computed from what the environment signals."""

from reward_shaping.hindsight import Goal
from reward_shaping.reward import Reward
from reward_shaping.scorer import RewardScorer
from reward_shaping.settings import ENV_REWARD_ONLY, RewardSettings, TermSettings
from reward_shaping.term import RewardError, Term, Transition
from reward_shaping.wrapper import RewardWrapper

__all__ = [
    "ENV_REWARD_ONLY",
    "Goal",
    "Reward",
    "RewardError",
    "RewardScorer",
    "RewardSettings",
    "RewardWrapper",
    "Term",
    "TermSettings",
    "Transition",
]
