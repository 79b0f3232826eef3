"""Rewards for what is new to the agent: ML-Agents' `reward_signals` curiosity and rnd."""

from trainers.intrinsic.reward import IntrinsicReward, IntrinsicRewards
from trainers.intrinsic.transitions import Transitions

__all__ = ["IntrinsicReward", "IntrinsicRewards", "Transitions"]
