"""Hand-written controllers: what a learned policy stands beside."""

from collections.abc import Callable, Mapping

import numpy as np

from unity_env.sim.baselines import arm, mobile
from unity_env.sim.env import SimEnv

Controller = Callable[[Mapping[str, np.ndarray]], np.ndarray]
"""Components of both sensors, name -> (N, k), to commands, (N, command_size) in [-1, 1]."""


def playroom(env: SimEnv) -> Mapping[str, Controller]:
    """Let the base drive to its dock and the arm put the toy on the tray, each by itself."""
    return {**arm.pick_place(env), **mobile.go_to_goal(env)}


BASELINES: dict[str, Callable[[SimEnv], Mapping[str, Controller]]] = {
    "arm_pick_place": arm.pick_place,
    "arm_reach": arm.reach,
    "mobile_follow": mobile.follow,
    "mobile_goal": mobile.go_to_goal,
    "mobile_goal_discrete": mobile.go_to_goal,
    "playroom": playroom,
}
