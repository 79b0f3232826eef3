"""The robot descriptions: one YAML file per robot, read by the physics model, the tasks and the Unity project."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Discriminator, TypeAdapter

from unity_env.sim.description.arm import ArmDescription
from unity_env.sim.description.common import (
    Control,
    Interval,
    ParameterDescription,
    RobotDescription,
    Strict,
    TaskDescription,
)
from unity_env.sim.description.mobile import MobileDescription

SIM_DIR = Path(__file__).parents[1]
ROBOTS_DIR = SIM_DIR / "robots"

AnyRobot = Annotated[ArmDescription | MobileDescription, Discriminator("kind")]
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
        pydantic.ValidationError: see `parse_description`.
    """
    return parse_description(yaml.safe_load((ROBOTS_DIR / f"{robot}.yaml").read_text(encoding="utf-8")))


@cache
def common_parameters() -> dict[str, ParameterDescription]:
    """Read environment_parameters.yaml: what can be randomised in every task."""
    data = yaml.safe_load((SIM_DIR / "environment_parameters.yaml").read_text(encoding="utf-8"))
    return TypeAdapter(dict[str, ParameterDescription]).validate_python(data)


__all__ = [
    "ROBOTS_DIR",
    "ArmDescription",
    "Control",
    "Interval",
    "MobileDescription",
    "ParameterDescription",
    "RobotDescription",
    "Strict",
    "TaskDescription",
    "common_parameters",
    "load_description",
    "parse_description",
]
