"""A robot's part in a task: one ML-Agents behavior, with one agent per row."""

import difflib
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
from mlagents_envs.base_env import (
    ActionSpec,
    ActionTuple,
    BehaviorSpec,
    DimensionProperty,
    ObservationSpec,
    ObservationType,
)

from unity_env.sampling import support
from unity_env.settings import Sampler
from unity_env.sim.description import (
    ROBOTS_DIR,
    Control,
    DescriptionError,
    ParameterDescription,
    RobotDescription,
    TaskDescription,
    common_parameters,
    load_description,
)
from unity_env.spaces import Component, SensorLayout


@dataclass(frozen=True)
class Role:
    """One robot in one task.

    Args:
        robot: the robot's description.
        task_name: a key of the robot's tasks.
    """

    robot: RobotDescription
    task_name: str

    @property
    def task(self) -> TaskDescription:
        """The robot's entry for the task."""
        return self.robot.tasks[self.task_name]

    @property
    def control(self) -> Control:
        """The clock, and the physics below it."""
        return self.task.control or self.robot.control

    @cached_property
    def behavior(self) -> str:
        """ML-Agents' behavior name."""
        return self.task.behavior

    @cached_property
    def sensors(self) -> dict[str, tuple[Component, ...]]:
        """Sensor name -> its components in order: what the policy sees, and what rewards and critics may use."""
        return {"observation": self._parts(self.task.observation), "signals": self._parts(self.task.signals)}

    def _parts(self, names: tuple[str, ...]) -> tuple[Component, ...]:
        parts = self.robot.select(names)
        return tuple(replace(part, size=self.command_size) if part.name == "last_action" else part for part in parts)

    @property
    def layouts(self) -> dict[str, SensorLayout]:
        """Sensor name -> layout."""
        return {name: SensorLayout(parts) for name, parts in self.sensors.items()}

    @property
    def action(self) -> tuple[Component, ...]:
        """What the policy commands, in order."""
        return tuple(self.robot.action[name].named(name) for name in self.task.action)

    @cached_property
    def command_size(self) -> int:
        """Number of values that the robot's drives get in one decision."""
        names = [self.robot.action[name].commands or name for name in self.task.action]
        return sum(self.robot.action[name].size for name in names)

    @cached_property
    def choices(self) -> list[np.ndarray]:
        """Per discrete branch, the values it chooses from, (choices, size); none for continuous actions."""
        chosen = (self.robot.action[name].choices for name in self.task.action)
        return [np.array(values) for values in chosen if values is not None]

    @cached_property
    def spec(self) -> BehaviorSpec:
        """The behavior's specification."""
        branches = tuple(len(values) for values in self.choices)
        action = ActionSpec(0 if branches else self.command_size, branches)
        return BehaviorSpec([_vector_sensor(name, parts) for name, parts in self.sensors.items()], action)

    def command(self, action: ActionTuple) -> np.ndarray:
        """Return what the drives get, (N, command_size) in [-1, 1]."""
        if not self.choices:
            clipped: np.ndarray = np.minimum(np.maximum(action.continuous, -1.0), 1.0)
            return clipped
        return np.concatenate(
            [values[chosen] for values, chosen in zip(self.choices, action.discrete.T, strict=True)], axis=1
        )


def _vector_sensor(name: str, parts: tuple[Component, ...]) -> ObservationSpec:
    size = sum(part.size for part in parts)
    return ObservationSpec((size,), (DimensionProperty.NONE,), ObservationType.DEFAULT, name)


@cache
def all_roles() -> dict[str, tuple[Role, ...]]:
    """Return every described task: name -> the robots' parts in it."""
    robots = [load_description(path.stem) for path in sorted(ROBOTS_DIR.glob("*.yaml"))]
    names = dict.fromkeys(name for robot in robots for name in robot.tasks)
    return {name: tuple(Role(robot, name) for robot in robots if name in robot.tasks) for name in names}


def roles_of(task_name: str) -> tuple[Role, ...]:
    """Return the robots' parts in a task.

    Raises:
        ValueError: unknown task.
    """
    known = all_roles()
    if task_name not in known:
        raise ValueError(f"unknown task {task_name}, known are {', '.join(known)}")
    return known[task_name]


def find_role(task_name: str, behavior: str) -> Role:
    """Return the part of one behavior in a task.

    Raises:
        ValueError: unknown task or behavior.
    """
    roles = {role.behavior: role for role in roles_of(task_name)}
    plain = behavior.partition("?")[0]
    if plain not in roles:
        raise ValueError(f"behavior {behavior}: task {task_name} has {', '.join(roles)}")
    return roles[plain]


def shared_control(roles: tuple[Role, ...]) -> tuple[Control, float]:
    """Return the clock and the time limit, s, that all robots of a task have in common.

    Raises:
        DescriptionError: they have none in common.
    """
    clocks = {(role.control, role.task.episode_s) for role in roles}
    if len(clocks) > 1:
        robots = " and ".join(role.robot.name for role in roles)
        raise DescriptionError(f"tasks.{roles[0].task_name}: {robots} differ in control or episode_s")
    return roles[0].control, roles[0].task.episode_s


def environment_parameters(roles: tuple[Role, ...]) -> dict[str, ParameterDescription]:
    """Return what a training may set in a task: the common parameters and the task's own."""
    own = [role.task.environment_parameters for role in roles]
    return common_parameters() | {name: entry for entries in own for name, entry in entries.items()}


def parameter_fault(roles: tuple[Role, ...], name: str, value: float | Sampler) -> str | None:
    """Tell why a training cannot set an environment parameter of a task so; None where it can.

    A Gaussian has no bounds: its mean has to lie in the described range, and what is drawn is clipped to it.
    """
    described = environment_parameters(roles)
    if name not in described:
        close = difflib.get_close_matches(name, described, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(described)}"
        return f"{roles[0].task_name} has no such environment parameter; {hint}"
    (low, high), (least, most) = described[name].range, support(value)
    if low <= least and most <= high:
        return None
    got = f"{least:g}" if least == most else f"{least:g} .. {most:g}"
    return f"{got} is outside its range {low:g} .. {high:g} {described[name].unit.removeprefix('1')}".rstrip()
