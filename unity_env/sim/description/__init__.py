"""The robot descriptions: one YAML file per robot, read by the physics model, the tasks and the Unity project."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import Discriminator, TypeAdapter, ValidationError

from unity_env.sim.description.arm import ArmDescription
from unity_env.sim.description.common import (
    Control,
    DescriptionError,
    Interval,
    ParameterDescription,
    RobotDescription,
    Strict,
    TaskDescription,
    Vec2,
)
from unity_env.sim.description.mobile import MobileDescription

SIM_DIR = Path(__file__).parents[1]
ROBOTS_DIR = SIM_DIR / "robots"

AnyRobot = Annotated[ArmDescription | MobileDescription, Discriminator("kind")]
Numbers = TypeVar("Numbers", bound=Strict)
_ROBOT: TypeAdapter[Any] = TypeAdapter(AnyRobot)


def parse_description(data: Any) -> Any:
    """Check a robot's description, given as plain data.

    Raises:
        pydantic.ValidationError: it breaks the schema, for example a wrong joint count.
    """
    return _ROBOT.validate_python(data)


@cache
def load_description(robot: str) -> Any:
    """Read robots/<robot>.yaml.

    Raises:
        DescriptionError: it is no YAML, or breaks the schema.
    """
    return _read(ROBOTS_DIR / f"{robot}.yaml", _ROBOT)


@cache
def common_parameters() -> dict[str, ParameterDescription]:
    """Read environment_parameters.yaml: what can be randomised in every task.

    Raises:
        DescriptionError: see `load_description`.
    """
    read: dict[str, ParameterDescription] = _read(
        SIM_DIR / "environment_parameters.yaml", TypeAdapter(dict[str, ParameterDescription])
    )
    return read


def task_numbers(kind: type[Numbers], robot: RobotDescription, task: str) -> Numbers:
    """Return the numbers that define a robot's part in a task.

    Raises:
        DescriptionError: tasks.<task>.parameters of the robot has others than the task needs.
    """
    try:
        return kind.model_validate(robot.tasks[task].parameters)
    except ValidationError as error:
        raise DescriptionError.of(f"robots/{robot.name}.yaml: tasks.{task}.parameters", error) from None


def number_error(robot: RobotDescription, task: str, number: str, why: str) -> DescriptionError:
    """Return the error that refuses one of the numbers that define a robot's part in a task."""
    return DescriptionError(f"robots/{robot.name}.yaml: tasks.{task}.parameters.{number}: {why}")


def _read(path: Path, schema: TypeAdapter[Any]) -> Any:
    place = str(path.relative_to(SIM_DIR))
    try:
        return schema.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise DescriptionError(f"{place}: not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise DescriptionError.of(place, error, kinds=("arm", "mobile")) from None


__all__ = [
    "ROBOTS_DIR",
    "ArmDescription",
    "Control",
    "DescriptionError",
    "Interval",
    "MobileDescription",
    "ParameterDescription",
    "RobotDescription",
    "Strict",
    "TaskDescription",
    "Vec2",
    "common_parameters",
    "load_description",
    "number_error",
    "parse_description",
    "task_numbers",
]
