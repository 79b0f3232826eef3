"""What is wrong with a reward, told before a second of training."""

from reward_shaping.lint.facts import Facts, Finding, SignalFacts
from reward_shaping.lint.linter import lint
from reward_shaping.lint.rules import RULES

__all__ = ["RULES", "Facts", "Finding", "SignalFacts", "lint"]
