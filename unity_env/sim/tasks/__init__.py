"""The tasks of the embedded simulation, by name."""

from unity_env.sim.tasks.arm_reach import ArmReach
from unity_env.sim.tasks.task import Task

TASKS: dict[str, type[ArmReach]] = {
    "arm_reach": ArmReach,
}

__all__ = ["TASKS", "Task"]
