"""The robot arm's description; robots/arm.yaml says what each entry means."""

import math
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from unity_env.sim.description.common import Interval, Positive, RobotDescription, Shape, Strict, Vec3

MOST_TURNS = 2.0  # of a joint, to either side


class Link(Strict):
    """A rigid body; its inertia is the diagonal about the centre of mass, along the link's axes."""

    mass_kg: Positive
    com_m: Vec3
    inertia_kg_m2: tuple[Positive, Positive, Positive]
    shapes: tuple[Shape, ...]


class Drive(Strict):
    """A velocity drive: torque = damping * (target - velocity), held within the torque limit."""

    damping_nm_s_per_rad: Positive
    torque_limit_nm: Positive


class Joint(Strict):
    """A revolute joint and the link it carries."""

    name: str
    origin_m: Vec3
    axis: Vec3
    range_rad: Interval
    max_velocity_rad_s: Positive
    drive: Drive
    armature_kg_m2: float = Field(ge=0)
    link: Link


class Base(Strict):
    """The part that is fixed to the world."""

    shapes: tuple[Shape, ...]


class GripperDrive(Strict):
    """A finger's position drive: force = stiffness * (target - position) - damping * velocity, within its limit."""

    stiffness_n_per_m: Positive
    damping_n_s_per_m: Positive
    force_limit_n: Positive


class Gripper(Strict):
    """Two parallel fingers, coupled as by a gear.

    Attributes:
        finger: the left one, closed, in the last link's frame.
        pad_friction: sliding, and torsional in m.
    """

    closed_shapes: tuple[Shape, ...]
    palm_shapes: tuple[Shape, ...]
    axis: Vec3
    stroke_m: Positive
    finger: Link
    armature_kg: float = Field(ge=0)
    drive: GripperDrive
    pad_friction: tuple[Positive, Positive]


class ArmDescription(RobotDescription):
    """A serial arm with a parallel gripper."""

    kind: Literal["arm"]
    base: Base
    joints: tuple[Joint, ...] = Field(min_length=1)
    gripper: Gripper
    tool_tip_m: Vec3
    home_rad: tuple[float, ...]

    @model_validator(mode="after")
    def _joints_agree(self) -> Self:
        count = len(self.joints)
        if len(self.home_rad) != count:
            raise ValueError(f"home_rad has {len(self.home_rad)} angles for {count} joints")
        commanded = self.action["joint_velocity_target"].size if "joint_velocity_target" in self.action else 0
        if commanded != count:
            raise ValueError(f"action.joint_velocity_target has {commanded} values for {count} joints")
        for name in ("joint_pos", "joint_vel", "joint_torque"):
            sensed = self.components[name].size if name in self.components else count
            if sensed != count:
                raise ValueError(f"components.{name} has {sensed} values for {count} joints")
        for joint, home in zip(self.joints, self.home_rad, strict=True):
            low, high = joint.range_rad
            if max(-low, high) > MOST_TURNS * 2.0 * math.pi:
                raise ValueError(
                    f"range_rad of {joint.name}: [{low:g}, {high:g}] goes beyond {MOST_TURNS:g} turns; expected radians"
                )
            if not low <= home <= high:
                raise ValueError(f"home_rad of {joint.name}: {home} is outside range_rad [{low}, {high}]")
        for name, task in self.tasks.items():
            home_rad = task.parameters.get("home_rad", self.home_rad)
            if np.size(home_rad) != count:
                raise ValueError(f"tasks.{name}.parameters.home_rad has {np.size(home_rad)} angles for {count} joints")
        return self

    @property
    def shoulder_height_m(self) -> float:
        """Height of the second joint above the base's foot."""
        return self.joints[0].origin_m[2] + self.joints[1].origin_m[2]

    @property
    def reach_m(self) -> float:
        """Distance from the shoulder to the tool tip of the outstretched arm."""
        return sum(math.hypot(*way) for way in [*(joint.origin_m for joint in self.joints[2:]), self.tool_tip_m])

    @property
    def reach_on_table_m(self) -> float:
        """Distance from the base's axis that the outstretched arm reaches at the height of the base's foot."""
        return math.sqrt(max(0.0, self.reach_m**2 - self.shoulder_height_m**2))

    def joint_array(self, attribute: str) -> np.ndarray:
        """Gather one attribute of all joints, base to tool: (joints,) or (joints, k)."""
        return np.array([getattr(joint, attribute) for joint in self.joints])

    def action_scale(self, action: str) -> np.ndarray:
        """Return the joints' largest velocities, rad/s; of the gripper half its largest gap, m."""
        if action == "gripper_target":
            return np.array([self.gripper.stroke_m])
        return self.joint_array("max_velocity_rad_s")
