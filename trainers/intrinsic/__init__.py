"""Rewards for what is new to the agent: ML-Agents' `reward_signals` curiosity and rnd."""

from trainers.intrinsic.replay_rewards import ReplayRewards
from trainers.intrinsic.reward import IntrinsicReward
from trainers.intrinsic.rollout_rewards import RolloutRewards
from trainers.intrinsic.transitions import Transitions

__all__ = ["IntrinsicReward", "ReplayRewards", "RolloutRewards", "Transitions"]
