"""What a policy of discrete actions sees beside the observation: which choices are allowed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainers.errors import RunError

Array = np.ndarray


def with_allowed(obs: Array, masks: Sequence[Array] | None, branches: Sequence[int]) -> Array:
    """Append to observations, (N, D), 1 for every choice that is allowed and 0 for the others; (N, D + M).

    Args:
        obs: of the sensors.
        masks: ML-Agents' `action_mask`: per branch (N, choices) bool, True = not allowed; None allows everything.
        branches: number of choices of each branch, M in all.

    Raises:
        RunError: a mask leaves no choice, which ML-Agents' agents refuse to send.
    """
    for branch, mask in enumerate(masks or ()):
        nothing_left = mask.all(axis=1)
        if nothing_left.any():
            row = int(nothing_left.argmax())
            raise RunError(f"action mask of branch {branch}, row {row}: forbids all choices; an agent needs one")
    if masks is None:
        allowed = np.ones((len(obs), sum(branches)), dtype=np.float32)
    else:
        allowed = 1.0 - np.concatenate(masks, axis=1, dtype=np.float32)
    return np.concatenate((obs, allowed), axis=1)


def seen(obs: Array, infos: dict[str, Any], branches: Sequence[int]) -> Array:
    """Return what policies see of a step, and make the final observations in its infos alike.

    An episode's end comes without a mask: there everything counts as allowed. Observations of behaviors without
    branches stay as they are.

    Args:
        obs: rows, (N, D).
        infos: of the step.
        branches: number of choices of each branch.
    """
    if not branches:
        return obs
    if "final_obs" in infos:
        infos["final_obs"] = with_allowed(infos["final_obs"], None, branches)
    return with_allowed(obs, infos.get("action_mask"), branches)
