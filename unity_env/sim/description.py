"""The robot description: one YAML file per robot, read by the physics model, the tasks and the Unity project."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from unity_env.spaces import Component

ROBOTS_DIR = Path(__file__).parent / "robots"

Vec3 = tuple[float, float, float]
Interval = tuple[float, float]
Positive = Annotated[float, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Shape(_Strict):
    """A capsule or cylinder along the segment from_m - to_m, in the frame of its link."""

    type: Literal["capsule", "cylinder"]
    from_m: Vec3
    to_m: Vec3
    radius_m: Positive
    material: Literal["body", "accent", "dark"]
    collides: bool = True


class Link(_Strict):
    """A rigid body; its inertia is the diagonal about the centre of mass, along the link's axes."""

    mass_kg: Positive
    com_m: Vec3
    inertia_kg_m2: tuple[Positive, Positive, Positive]
    shapes: tuple[Shape, ...]


class Drive(_Strict):
    """A velocity drive: torque = damping * (target - velocity), held within the torque limit."""

    damping_nm_s_per_rad: Positive
    torque_limit_nm: Positive


class Joint(_Strict):
    """A revolute joint and the link it carries."""

    name: str
    origin_m: Vec3
    axis: Vec3
    range_rad: Interval
    max_velocity_rad_s: Positive
    drive: Drive
    armature_kg_m2: float = Field(ge=0)
    link: Link


class Base(_Strict):
    """The part that is fixed to the world."""

    shapes: tuple[Shape, ...]


class Control(_Strict):
    """The policy's clock: one decision spans `substeps` physics steps."""

    period_s: Positive
    substeps: int = Field(gt=0)

    @property
    def timestep_s(self) -> float:
        """Length of one physics step."""
        return self.period_s / self.substeps


class ComponentDescription(_Strict):
    """A quantity that a sensor carries, or that an action commands; see `unity_env.spaces.Component`."""

    size: int = Field(gt=0)
    unit: str
    frame: str
    limit: Interval
    meaning: str

    def named(self, name: str) -> Component:
        """Return the component under its name."""
        return Component(name=name, **self.model_dump())


class TaskDescription(_Strict):
    """What is observed and signalled in a task, in order, and the numbers that define it."""

    behavior: str
    meaning: str
    episode_s: Positive
    observation: tuple[str, ...]
    signals: tuple[str, ...]
    parameters: dict[str, float | Interval]


class RobotDescription(_Strict):
    """A serial arm; see robots/arm.yaml for the meaning of each entry."""

    schema_version: Literal[1]
    name: str
    meaning: str
    control: Control
    base: Base
    joints: tuple[Joint, ...] = Field(min_length=1)
    tool_tip_m: Vec3
    home_rad: tuple[float, ...]
    action: dict[str, ComponentDescription]
    components: dict[str, ComponentDescription]
    tasks: dict[str, TaskDescription]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        count = len(self.joints)
        if len(self.home_rad) != count:
            raise ValueError(f"home_rad has {len(self.home_rad)} angles for {count} joints")
        if self.action_size != count:
            raise ValueError(f"action has {self.action_size} values for {count} joints")
        for joint, home in zip(self.joints, self.home_rad, strict=True):
            low, high = joint.range_rad
            if not low <= home <= high:
                raise ValueError(f"home_rad of {joint.name}: {home} is outside range_rad [{low}, {high}]")
        for task_name, task in self.tasks.items():
            unknown = sorted({*task.observation, *task.signals} - set(self.components))
            if unknown:
                raise ValueError(f"tasks.{task_name} names components that are not described: {', '.join(unknown)}")
        return self

    @property
    def action_size(self) -> int:
        """Number of action values of one decision."""
        return sum(component.size for component in self.action.values())

    def joint_array(self, attribute: str) -> np.ndarray:
        """Gather one attribute of all joints, base to tool: (joints,) or (joints, k)."""
        return np.array([getattr(joint, attribute) for joint in self.joints])

    def select(self, names: tuple[str, ...]) -> tuple[Component, ...]:
        """Return the named components in the given order."""
        return tuple(self.components[name].named(name) for name in names)


@cache
def load_description(robot: str) -> RobotDescription:
    """Read robots/<robot>.yaml.

    Raises:
        pydantic.ValidationError: the file breaks the schema, for example a wrong joint count.
    """
    text = (ROBOTS_DIR / f"{robot}.yaml").read_text(encoding="utf-8")
    return RobotDescription.model_validate(yaml.safe_load(text))


def all_tasks() -> dict[str, tuple[RobotDescription, TaskDescription]]:
    """Return every described task: name -> (its robot, its description)."""
    robots = [load_description(path.stem) for path in sorted(ROBOTS_DIR.glob("*.yaml"))]
    return {name: (robot, task) for robot in robots for name, task in robot.tasks.items()}
