"""What is wrong with a reward, told before a second of training."""

from reward_shaping.lint.facts import Facts, Finding, SignalFacts
from reward_shaping.lint.linter import lint

__all__ = ["Facts", "Finding", "SignalFacts", "lint"]
