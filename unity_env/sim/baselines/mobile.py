"""The mobile robot by hand: to the goal through the gaps that the lidar shows, and after a person."""

from collections.abc import Callable, Mapping

import numpy as np

from unity_env.sim.description import MobileDescription, load_description
from unity_env.sim.env import SimEnv

Array = np.ndarray
Components = Mapping[str, Array]

_COURSES = np.linspace(-np.pi, np.pi, 96, endpoint=False)  # what may be steered, rad, 0 = forward
_MARGIN_M = 0.09  # beside the chassis
_LOOK_AHEAD_M = 1.6
_THERE = 0.6  # of the goal's tolerance: stop
_TURN_GAIN = 3.0  # 1/s, yaw velocity per bearing
_ROUNDABOUT = 0.35  # what a radian off the goal's bearing is worth, in look-aheads
_WHEEL_ROUND = 0.06  # what a radian away from straight ahead is worth: keeps to a course once taken


def go_to_goal(env: SimEnv) -> dict[str, Callable[[Components], Array]]:
    """Steer the free course that is nearest to the goal's bearing; slow down before obstacles and at the goal."""
    robot, role = load_description("mobile"), env.task.role_of("mobile")
    scale, rays = robot.action_scale("velocity_target"), robot.ray_angles_rad
    there = _THERE * float(role.task.parameters["goal_tolerance_m"])  # type: ignore[arg-type]  # one number

    def control(components: Components) -> Array:
        distance, bearing = components["goal_distance"][:, 0], components["goal_bearing"][:, 0]
        way = np.minimum(distance, _LOOK_AHEAD_M)
        free = free_way(components["lidar"], rays, robot)
        worth = np.minimum(free, way[:, None]) / _LOOK_AHEAD_M
        worth -= _ROUNDABOUT * np.abs(_wrapped(_COURSES - bearing[:, None])) + _WHEEL_ROUND * np.abs(_COURSES)
        best = worth.argmax(axis=1)
        course = np.where(distance < 1.25 * there, 0.0, _COURSES[best])
        room = np.take_along_axis(free, best[:, None], axis=1)[:, 0]
        speed = np.minimum(1.4 * np.minimum(room, distance), scale[0]) * np.maximum(np.cos(course), 0.0) ** 2
        return _command(np.where(distance < there, 0.0, speed), _TURN_GAIN * course, scale)

    return {role.behavior: control}


def follow(env: SimEnv) -> dict[str, Callable[[Components], Array]]:
    """Face the person, and close or open the distance at the person's own pace."""
    robot = load_description("mobile")
    scale = robot.action_scale("velocity_target")
    wanted = float(np.mean(env.task.roles[0].task.parameters["distance_m"]))

    def control(components: Components) -> Array:
        distance, bearing = components["person_distance"][:, 0], components["person_bearing"][:, 0]
        direction, velocity = components["person_direction"], components["person_velocity"]
        leaving = np.einsum("ij,ij->i", direction, velocity)
        across = direction[:, 0] * velocity[:, 1] - direction[:, 1] * velocity[:, 0]
        speed = (2.0 * (distance - wanted) + leaving) * np.cos(bearing)
        return _command(speed, _TURN_GAIN * bearing + across / np.maximum(distance, 0.3), scale)

    return {env.task.roles[0].behavior: control}


def free_way(ranges: Array, rays: Array, robot: MobileDescription) -> Array:
    """Measure how far the chassis gets on each course before it touches what the lidar has hit.

    Args:
        ranges: (N, R), m.
        rays: directions of the rays, (R,), rad.
        robot: whose chassis and lidar.

    Returns:
        (N, courses), m.
    """
    off_course = rays - _COURSES[:, None]
    ahead = ranges[:, None] * np.cos(off_course)
    aside = np.abs(ranges[:, None] * np.sin(off_course))
    reach = robot.chassis.radius_m + _MARGIN_M
    in_the_way = (ahead > 0.0) & (aside < reach) & (ranges < robot.lidar.max_range_m)[:, None]
    touch = ahead - np.sqrt(np.maximum(reach**2 - np.square(aside), 0.0))
    free: Array = np.where(in_the_way, np.maximum(touch, 0.0), robot.lidar.max_range_m).min(axis=2)
    return free


def _command(speed: Array, yaw_velocity: Array, scale: Array) -> Array:
    clipped: Array = np.clip(np.stack([speed, yaw_velocity], axis=1) / scale, -1.0, 1.0)
    return clipped


def _wrapped(angle: Array) -> Array:
    whole: Array = (angle + np.pi) % (2.0 * np.pi) - np.pi
    return whole
