"""States that somebody else's sensors tell of, put into the embedded simulation: would it sense the same?"""

from collections.abc import Callable, Mapping

import mujoco
import numpy as np

from unity_env.sim.env import SimEnv
from unity_env.sim.plane import to_complex
from unity_env.sim.tasks import Task
from unity_env.sim.tasks.arm_pick_place import ArmPickPlace
from unity_env.sim.tasks.arm_reach import ArmReach
from unity_env.sim.tasks.mobile_base import MobileBase
from unity_env.sim.tasks.mobile_follow import MobileFollow
from unity_env.sim.tasks.mobile_goal import MobileGoal
from unity_env.sim.tasks.playroom import Playroom
from unity_env.sim.tasks.task import ALL_ROWS

Array = np.ndarray
Known = Mapping[str, Array]

ARM = ("tool_pos",)
HAND = (*ARM, "tool_axis", "tool_down", "finger_opening")
CUBE = ("cube_height", "cube_tool", "cube_turn", "tool_cube_distance", "cube_goal_distance")
ROOM = ("lidar", "nearness", "clearance")
DERIVED: dict[str, dict[str, tuple[str, ...]]] = {
    "arm_reach": {"RobotArm": (*ARM, "goal_error", "goal_distance")},
    "arm_pick_place": {"RobotArm": (*HAND, *CUBE)},
    "mobile_goal": {"MobileRobot": (*ROOM, "goal_bearing")},
    "mobile_goal_discrete": {"MobileRobot": (*ROOM, "goal_bearing")},
    "mobile_follow": {"MobileRobot": (*ROOM, "person_bearing")},
    "playroom": {"RobotArm": (*HAND, *CUBE), "MobileRobot": (*ROOM, "goal_distance", "goal_direction", "goal_bearing")},
}
"""Task -> behavior -> components that follow from the others."""


def sense_again(task_name: str, known: Mapping[str, Known]) -> dict[str, dict[str, Array]]:
    """Put states into the embedded simulation and measure.

    Args:
        task_name: whose obstacles are away.
        known: behavior -> component name -> (N, size), as a player's sensors tell.

    Returns:
        behavior -> component name -> (N, size), those of DERIVED.
    """
    rows = len(next(iter(next(iter(known.values())).values())))
    doubles = {
        behavior: {name: np.array(value, np.float64) for name, value in of.items()} for behavior, of in known.items()
    }
    task = SimEnv(task_name, rows, threads=1, parameters=_empty_room(task_name)).task
    task.batch.reset(ids=np.arange(rows), stage=mujoco.mjtStage.mjSTAGE_NONE)
    _WRITERS[type(task)](task, doubles)
    task.batch.forward(stage=task.stage)
    measured = task.measure(ALL_ROWS)
    return {
        behavior: {name: measured[behavior][name] for name in names if name in known[behavior]}
        for behavior, names in DERIVED[task_name].items()
    }


def _empty_room(task_name: str) -> dict[str, float]:
    return {"obstacle_count": 0.0} if task_name.startswith("mobile_goal") else {}


def _reach(task: ArmReach, known: Mapping[str, Known]) -> None:
    arm = known["RobotArm"]
    task._joint_pos[:] = arm["joint_pos"]
    task._goal_pos[:] = arm["goal_pos"]


def _pick_place(task: ArmPickPlace, known: Mapping[str, Known]) -> None:
    arm = known["RobotArm"]
    rows = np.arange(task.num_rows)
    task.vary(rows, {"cube_size": arm["cube_size"][:, 0], "cube_mass": np.full(task.num_rows, 0.1)})
    _hand_and_cube(task, arm)
    task._goal_pos[:] = arm["cube_pos"] + arm["goal_cube"] - [0.0, 0.0, 0.5] * arm["cube_size"]


def _hand_and_cube(task: ArmPickPlace | Playroom, arm: Known) -> None:
    """Write joints, fingers and a cube whose yaw is the one that cube_turn tells, up to quarter turns."""
    rows = np.arange(task.num_rows)
    hand, cube = task.arm, task.cube if isinstance(task, ArmPickPlace) else task.toy
    hand.start(rows, arm["joint_pos"])
    task.batch.bind("qpos")[:, hand.finger_qpos] = 0.5 * arm["finger_opening"]
    task.batch.forward(stage=mujoco.mjtStage.mjSTAGE_VEL)
    axis = hand.hand(ALL_ROWS).axis
    sine, cosine = arm["cube_turn"].T
    yaw = np.arctan2(axis[:, 1], axis[:, 0]) + 0.25 * np.arctan2(sine, cosine)
    for row in rows.tolist():
        cube.place(row, arm["cube_pos"][row], yaw[row])


def _stand(base: MobileBase, known: Known) -> None:
    heading = known["heading"]
    yaw = np.arctan2(heading[:, 1], heading[:, 0])
    base.place(np.arange(len(yaw)), np.column_stack([known["position"], yaw]))


def _place_of(name: str, known: Known) -> Array:
    """Return where something is in the room, (N,) complex, from its distance and bearing."""
    bearing = np.exp(1j * known[f"{name}_bearing"][:, 0])
    ahead = to_complex(known["heading"])
    place: Array = to_complex(known["position"]) + known[f"{name}_distance"][:, 0] * bearing * ahead
    return place


def _goal(task: MobileGoal, known: Mapping[str, Known]) -> None:
    _stand(task.base, known["MobileRobot"])
    task._goal[:] = _place_of("goal", known["MobileRobot"])
    task._obstacle_pos[:] = task._parked


def _follow(task: MobileFollow, known: Mapping[str, Known]) -> None:
    _stand(task.base, known["MobileRobot"])
    task.person.position[:] = _place_of("person", known["MobileRobot"])


def _playroom(task: Playroom, known: Mapping[str, Known]) -> None:
    _stand(task.base, known["MobileRobot"])
    _hand_and_cube(task, known["RobotArm"])


_WRITERS: dict[type[Task], Callable[..., None]] = {
    ArmReach: _reach,
    ArmPickPlace: _pick_place,
    MobileGoal: _goal,
    MobileFollow: _follow,
    Playroom: _playroom,
}
