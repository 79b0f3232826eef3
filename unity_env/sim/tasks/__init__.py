"""The tasks of the embedded simulation, by name."""

from collections.abc import Callable

from unity_env.sim.tasks.arm_pick_place import ArmPickPlace
from unity_env.sim.tasks.arm_reach import ArmReach
from unity_env.sim.tasks.mobile_follow import MobileFollow
from unity_env.sim.tasks.mobile_goal import MobileGoal
from unity_env.sim.tasks.playroom import Playroom
from unity_env.sim.tasks.task import Task

TASKS: dict[str, Callable[[str, int, int], Task]] = {
    "arm_pick_place": ArmPickPlace,
    "arm_reach": ArmReach,
    "playroom": Playroom,
    "mobile_follow": MobileFollow,
    "mobile_goal": MobileGoal,
    "mobile_goal_discrete": MobileGoal,
}

__all__ = ["TASKS", "Task"]
