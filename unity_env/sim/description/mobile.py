"""The mobile robot's description; robots/mobile.yaml says what each entry means."""

from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from unity_env.sim.description.common import Positive, RobotDescription, Strict, Vec2, Vec3


class Chassis(Strict):
    """An upright cylinder about the axle's middle; its inertia is the diagonal about the centre of mass."""

    radius_m: Positive
    bottom_m: Positive
    top_m: Positive
    mass_kg: Positive
    com_m: Vec3
    inertia_kg_m2: tuple[Positive, Positive, Positive]


class Tray(Strict):
    """A square plate with a rim, level, above the axle's middle."""

    top_m: Positive
    half_width_m: Positive
    thickness_m: Positive
    rim_m: Positive


class WheelDrive(Strict):
    """A velocity drive: torque = damping * (target - velocity), held within the torque limit."""

    damping_nm_s_per_rad: Positive
    torque_limit_nm: Positive


class Wheels(Strict):
    """Two driven wheels on one axle, `track_m` apart."""

    radius_m: Positive
    width_m: Positive
    track_m: Positive
    mass_kg: Positive
    inertia_kg_m2: tuple[Positive, Positive, Positive]
    armature_kg_m2: float = Field(ge=0)
    friction: Positive
    drive: WheelDrive


class Caster(Strict):
    """A ball that slides without friction and carries the rest of the weight."""

    radius_m: Positive
    at_m: Vec2


class Lidar(Strict):
    """Rays in a level plane through the base's z axis, all around, the first one forward."""

    rays: int = Field(ge=4)
    height_m: Positive
    max_range_m: Positive


class MobileDescription(RobotDescription):
    """A base with differential drive."""

    kind: Literal["mobile"]
    chassis: Chassis
    tray: Tray
    wheels: Wheels
    caster: Caster
    lidar: Lidar
    max_velocity_m_s: Positive
    max_yaw_velocity_rad_s: Positive

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        scanned = self.components["lidar"].size if "lidar" in self.components else self.lidar.rays
        if scanned != self.lidar.rays:
            raise ValueError(f"components.lidar has {scanned} values for lidar.rays: {self.lidar.rays}")
        commanded = self.action["velocity_target"].size if "velocity_target" in self.action else 0
        if commanded != 2:
            raise ValueError(f"action.velocity_target has {commanded} values, a differential drive takes 2")
        wheels, chassis = self.wheels, self.chassis
        reach = float(np.hypot(wheels.track_m / 2 + wheels.width_m / 2, wheels.radius_m))
        if reach > chassis.radius_m:
            raise ValueError(f"wheels reach {reach:.3f} m from the axle's middle, beyond chassis.radius_m")
        if not chassis.bottom_m < self.lidar.height_m < chassis.top_m < self.tray.top_m:
            raise ValueError("heights: chassis.bottom_m < lidar.height_m < chassis.top_m < tray.top_m does not hold")
        return self

    def action_scale(self, action: str) -> np.ndarray:
        """Return the largest forward velocity, m/s, and yaw velocity, rad/s."""
        assert action == "velocity_target"
        return np.array([self.max_velocity_m_s, self.max_yaw_velocity_rad_s])

    @property
    def wheel_map(self) -> np.ndarray:
        """Differential drive's kinematics: (v, omega) @ wheel_map = (left, right) wheel velocities, rad/s; (2, 2)."""
        half_track = self.wheels.track_m / 2
        return np.array([[1.0, 1.0], [-half_track, half_track]]) / self.wheels.radius_m

    @property
    def max_wheel_velocity_rad_s(self) -> float:
        """What a wheel turns at when both velocities are at their maximum."""
        largest = self.action_scale("velocity_target") @ self.wheel_map
        return float(largest.max())

    @property
    def ray_angles_rad(self) -> np.ndarray:
        """Directions of the lidar's rays in the base frame, counter-clockwise, (rays,)."""
        return np.arange(self.lidar.rays) * (2.0 * np.pi / self.lidar.rays)
