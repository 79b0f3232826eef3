"""What intrinsic rewards are computed from."""

from typing import NamedTuple

from torch import Tensor


class Transitions(NamedTuple):
    """Transitions in any arrangement (...), one by one or as a rollout (T, N).

    Attributes:
        obs: s_t, (..., D).
        act: as the robot got it, (..., C + M): C numbers in [-1, 1], M choices one-hot; see `ActionShape.encode`.
        next_obs: s_{t+1} of the same episode, (..., D).
    """

    obs: Tensor
    act: Tensor
    next_obs: Tensor
