"""What every robot's description has: its clock, its components, its tasks."""

from abc import abstractmethod
from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from unity_env.spaces import Component


def _ascending(interval: tuple[float, float]) -> tuple[float, float]:
    low, high = interval
    if low > high:
        raise ValueError(f"the interval [{low:g}, {high:g}] begins above its end")
    return interval


Vec2 = tuple[float, float]
Vec3 = tuple[float, float, float]
Interval = Annotated[tuple[float, float], AfterValidator(_ascending)]
Positive = Annotated[float, Field(gt=0)]
Material = Literal["body", "accent", "dark"]


class DescriptionError(ValueError):
    """A robot's description is wrong; the message is one line: where, and what."""

    @classmethod
    def of(cls, place: str, error: ValidationError, kinds: Collection[str] = ()) -> "DescriptionError":
        """Tell one thing that does not fit.

        Args:
            place: what was read.
            error: what pydantic says.
            kinds: what pydantic's path may begin with that is not in the YAML.
        """
        first = min(
            error.errors(), key=lambda fault: fault["type"] != "extra_forbidden"
        )  # a misspelt key is missing, too
        path = ".".join(str(key) for key in first["loc"][first["loc"][:1] in [(kind,) for kind in kinds] :])
        message = first["msg"].removeprefix("Value error, ")
        found = (
            "" if first["type"] in ("value_error", "missing", "extra_forbidden") else f", found {first['input']!r:.60}"
        )
        return cls(f"{place}: {path + ': ' if path else ''}{message}{found}")


class Strict(BaseModel):
    """Frozen; an unknown key is an error, and so is a number that is none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Shape(Strict):
    """A capsule or cylinder along the segment from_m - to_m, in the frame of its link."""

    type: Literal["capsule", "cylinder"]
    from_m: Vec3
    to_m: Vec3
    radius_m: Positive
    material: Material
    collides: bool = True


class Control(Strict):
    """The policy's clock: one decision spans `substeps` physics steps.

    Attributes:
        integrator: of the physics. rk4 keeps energy; euler solves contacts for the very accelerations it
            integrates, so that a grasp bears jerks; implicitfast bears drives too stiff for the others.
    """

    period_s: Positive
    substeps: int = Field(gt=0)
    integrator: Literal["euler", "implicitfast", "rk4"] = "implicitfast"

    @property
    def timestep_s(self) -> float:
        """Length of one physics step."""
        return self.period_s / self.substeps


class ComponentDescription(Strict):
    """A quantity that a sensor carries; see `unity_env.spaces.Component`."""

    size: int = Field(gt=0)
    unit: str
    frame: str
    limit: Interval
    meaning: str
    noise: float = Field(default=0.0, ge=0)

    def named(self, name: str) -> Component:
        """Return the component under its name."""
        return Component(name=name, **self.model_dump())


class ActionDescription(Strict):
    """A quantity that a policy commands: `size` numbers in [-1, 1], or one of `choices` of another action's values.

    Attributes:
        si_unit: of the number times its scale, `RobotDescription.action_scale`.
        commands: for a choice: the action whose values it chooses.
        choices: for a choice: the values it chooses from.
    """

    size: int = Field(gt=0)
    unit: str
    si_unit: str
    frame: str
    limit: Interval = (-1.0, 1.0)
    meaning: str
    commands: str | None = None
    choices: tuple[tuple[float, ...], ...] | None = None

    def named(self, name: str) -> Component:
        """Return the action as a component under its name."""
        limit = self.limit if self.choices is None else (0.0, len(self.choices) - 1.0)
        return Component(name, self.size, self.unit, self.frame, limit, self.meaning)


class ParameterDescription(Strict):
    """An environment parameter: what a training may set, sample or schedule.

    Attributes:
        default: its value where the training says nothing.
        range: interval of the values that make sense.
    """

    default: float
    range: Interval
    unit: str
    meaning: str

    @model_validator(mode="after")
    def _default_makes_sense(self) -> Self:
        low, high = self.range
        if not low <= self.default <= high:
            raise ValueError(f"default {self.default:g} is outside range [{low:g}, {high:g}]")
        return self


class TaskDescription(Strict):
    """A robot's part in a task: what it commands, observes and signals, in order, and the numbers that define it.

    Attributes:
        episode_s: time limit, which ends the episode as truncated.
        control: where this task's physics wants steps other than the robot's.
        ends: which of its signals are 1 in the very step in which they end the episode for good, and in no other.
        goal: which components are the goal's, and how they follow from what is achieved; see
            `reward_shaping.hindsight.Goal`. None where there is no goal to exchange.
        environment_parameters: names from sim/environment_parameters.yaml and this task's own, with their ranges.
    """

    behavior: str
    meaning: str
    episode_s: Positive
    control: Control | None = None
    action: tuple[str, ...] = Field(min_length=1)
    observation: tuple[str, ...] = Field(min_length=1)
    signals: tuple[str, ...] = Field(min_length=1)
    ends: tuple[str, ...] = ()
    goal: dict[str, Any] | None = None
    parameters: dict[str, float | tuple[float, ...]]
    environment_parameters: dict[str, ParameterDescription] = {}


class Push(Strict):
    """What `push_scale: 1` means: a horizontal force on one body for one control period, at random times."""

    body: str
    force_n: Positive
    rate_hz: Positive


class RobotDescription(Strict):
    """What all robots have in common.

    Attributes:
        action: every action that a task may choose.
        components: every quantity that a sensor of a task may carry.
        tasks: what the robot can be trained for.
    """

    schema_version: Literal[1]
    name: str
    meaning: str
    control: Control
    push: Push
    action: dict[str, ActionDescription]
    components: dict[str, ComponentDescription]
    tasks: dict[str, TaskDescription]

    @model_validator(mode="after")
    def _names_are_described(self) -> Self:
        for name, action in self.action.items():
            self._check_choices(name, action)
        for task_name, task in self.tasks.items():
            unknown = sorted({*task.observation, *task.signals} - set(self.components))
            if unknown:
                raise ValueError(f"tasks.{task_name} names components that are not described: {', '.join(unknown)}")
            unknown = sorted(set(task.action) - set(self.action))
            if unknown:
                raise ValueError(f"tasks.{task_name}.action names actions that are not described: {', '.join(unknown)}")
            silent = sorted(set(task.ends) - set(task.signals))
            if silent:
                raise ValueError(f"tasks.{task_name}.ends names what is no signal of it: {', '.join(silent)}")
            if task.control is not None and task.control.period_s != self.control.period_s:
                raise ValueError(f"tasks.{task_name}.control.period_s differs from the robot's {self.control.period_s}")
            choosing = {self.action[name].choices is not None for name in task.action}
            if len(choosing) > 1:
                raise ValueError(f"tasks.{task_name}.action mixes continuous actions and choices")
        return self

    def _check_choices(self, name: str, action: ActionDescription) -> None:
        if action.choices is None:
            return
        target = self.action.get(action.commands or "")
        if target is None:
            raise ValueError(f"action.{name}.commands: {action.commands} is no described action")
        for values in action.choices:
            if len(values) != target.size:
                raise ValueError(f"action.{name}.choices: {values} has {len(values)} values for {target.size}")
            low, high = target.limit
            if not all(low <= value <= high for value in values):
                raise ValueError(f"action.{name}.choices: {values} is outside [{low:g}, {high:g}] of {action.commands}")

    @abstractmethod
    def action_scale(self, action: str) -> np.ndarray:
        """Return what 1 of each value of a continuous action means in its SI unit, (size,)."""

    def select(self, names: tuple[str, ...]) -> tuple[Component, ...]:
        """Return the named components in the given order."""
        return tuple(self.components[name].named(name) for name in names)
