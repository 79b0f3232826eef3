"""playroom: the mobile robot docks beside the arm's table, the arm puts a toy from the table onto its tray."""

import math
from collections.abc import Iterable, Mapping

import mujoco
import numpy as np

from unity_env.sim.description import Interval, Strict, load_description
from unity_env.sim.model.arm import add_arm
from unity_env.sim.model.gripper import add_finger_sensors
from unity_env.sim.model.mobile import add_mobile
from unity_env.sim.model.room import add_goal, add_pedestal_table, add_room
from unity_env.sim.model.scene import add_cube, new_scene
from unity_env.sim.role import shared_control
from unity_env.sim.tasks.arm_parts import ArmInScene
from unity_env.sim.tasks.cube import CubeInScene, GraspNumbers
from unity_env.sim.tasks.mobile_base import MobileBase, polar, turned_back
from unity_env.sim.tasks.mobile_layout import Room
from unity_env.sim.tasks.task import ALL_ROWS, Episode, Rows, Task, View

Array = np.ndarray
TOY = "toy"


class ArmNumbers(GraspNumbers):
    """The numbers of tasks.playroom.parameters in robots/arm.yaml."""

    table_centre_m: Interval
    table_half_width_m: float
    pedestal_radius_m: float
    toy_size_m: float
    toy_mass_kg: float


class BaseNumbers(Strict):
    """The numbers of tasks.playroom.parameters in robots/mobile.yaml."""

    room_half_width_m: float
    dock_m: Interval
    goal_tolerance_m: float
    stop_velocity_m_s: float
    start_clearance_m: float
    shortest_way_m: float


class Playroom(Task):
    """Both robots have solved the task when the toy lies on the tray, let go, and the base stands at its dock.

    That ends the episode. A toy that has fallen from the table ends it, too, as a failure. At the time limit each
    robot is judged by its own part: the base by its docking, the arm by the toy on the tray.
    """

    view = View(lookat=(0.1, -0.1, 0.3), distance=2.7, azimuth=128.0, elevation=-28.0)

    def __init__(self, name: str, num_rows: int, threads: int) -> None:
        self.arm_robot, self.base_robot = load_description("arm"), load_description("mobile")
        self.of_arm = ArmNumbers.model_validate(self.arm_robot.tasks[name].parameters)
        self.of_base = BaseNumbers.model_validate(self.base_robot.tasks[name].parameters)
        super().__init__(name, num_rows, threads)
        control, episode_s = shared_control(self.roles)
        self.arm = ArmInScene(self.arm_robot, self.batch)
        self.base = MobileBase(self.batch, self.base_robot)
        self.toy = CubeInScene(TOY, self.batch, self.arm, self.of_arm)
        self.room = Room(self.of_base.room_half_width_m, self.of_base.start_clearance_m)
        self._hold_steps = math.ceil(self.of_arm.hold_s / control.period_s)
        self._episode_steps = round(episode_s / control.period_s)
        self._dock = np.array(self.of_base.dock_m)
        self._pedestal = np.array([[*self.of_arm.table_centre_m, self.of_arm.pedestal_radius_m]])
        self.memory = {
            "steps": np.zeros(num_rows, dtype=np.int64),
            "lifted": np.zeros(num_rows, dtype=bool),
            "docked": np.zeros(num_rows, dtype=bool),
            "placed": np.zeros(num_rows, dtype=bool),
            "held_steps": np.zeros(num_rows, dtype=np.int64),
        }

    def build(self) -> mujoco.MjSpec:
        """Put the arm on its table into a walled room, a toy beside it, and the base onto the floor."""
        numbers = self.of_arm
        control, _ = shared_control(self.roles)
        height = self.base_robot.tray.top_m
        spec = new_scene(control)
        add_room(spec, self.of_base.room_half_width_m)
        add_pedestal_table(spec, numbers.table_centre_m, numbers.table_half_width_m, height, numbers.pedestal_radius_m)
        add_arm(spec, self.arm_robot, at=(0.0, 0.0, height), grips=True)
        add_mobile(spec, self.base_robot)
        add_cube(spec, TOY, numbers.toy_size_m, numbers.toy_mass_kg)
        add_finger_sensors(spec, self.arm_robot, TOY)
        add_goal(spec, self.of_base.goal_tolerance_m)
        spec.body("goal").pos = (*self.of_base.dock_m, 0.0)
        return spec

    def reset(self, rows: Array, episodes: Iterable[Episode]) -> None:
        """Start at rest: the arm near its home pose, the toy on the table, the base somewhere in the room."""
        for row, episode in zip(rows.tolist(), episodes, strict=True):
            rng, numbers = episode.rng, self.of_arm
            self.arm.start(np.array([row]), numbers.sample_pose(rng)[None])
            toy = np.array([*numbers.sample_place(rng), 0.5 * numbers.toy_size_m])
            self.toy.place(row, toy, rng.uniform(-math.pi, math.pi))
            self.base.place(np.array([row]), self._sample_start(rng)[None])
        for remembered in self.memory.values():
            remembered[rows] = 0

    def _sample_start(self, rng: np.random.Generator) -> Array:
        """Draw x, y and yaw of the base, away from walls, table and dock."""
        clearance = self.base_robot.chassis.radius_m + self.of_base.start_clearance_m
        table = np.array([[*self.of_arm.table_centre_m, math.sqrt(2.0) * self.of_arm.table_half_width_m]])
        reach = self.room.half_width_m - clearance
        while True:
            point = rng.uniform(-reach, reach, 2)
            far = math.dist(point, self._dock) >= self.of_base.shortest_way_m
            if far and self.room.free(point[None], table, clearance).all():
                return np.append(point, rng.uniform(-math.pi, math.pi))

    def act(self, commands: Mapping[str, Array]) -> None:
        """Command the arm's joints and gripper, and the base's velocities."""
        arm, base = self.roles
        self.arm.act(commands[arm.behavior])
        self.base.act(commands[base.behavior])

    def after_physics(self) -> Array:
        """Judge docking and placing; joint success ends the episode, and so does a fallen toy."""
        toy, memory = self._measure_toy(ALL_ROWS), self.memory
        memory["steps"] += 1
        memory["lifted"] |= (toy["grasped"][:, 0] > 0) & (toy["cube_height"][:, 0] >= self.of_arm.lift_m)
        memory["placed"][:] = memory["lifted"] & self._on_tray(toy)
        offset = self._dock - self.base.position(ALL_ROWS)
        near = np.einsum("ij,ij->i", offset, offset) <= self.of_base.goal_tolerance_m**2
        still = self.base.speed_squared() <= self.of_base.stop_velocity_m_s**2
        memory["docked"][:] = near & still & ~self.base.collided()
        held = memory["held_steps"]
        held += 1
        held *= memory["docked"] & self._delivered(toy)
        fallen = toy["cube_height"][:, 0] < -0.1
        ended: Array = fallen | self._together()
        return ended

    def success(self) -> dict[str, Array]:
        """Both together; or at the time limit each its own part."""
        arm, base = self.roles
        together, over = self._together(), self.memory["steps"] == self._episode_steps
        return {
            arm.behavior: together | over & self.memory["placed"],
            base.behavior: together | over & self.memory["docked"],
        }

    def components(self, rows: Rows) -> dict[str, dict[str, Array]]:
        """Measure the components of both robots' descriptions that the playroom uses."""
        arm, base = self.roles
        heading, position = self.base.heading(rows), self.base.position(rows)
        distance, direction = polar(self._dock - position, heading)
        circles = np.broadcast_to(self._pedestal, (len(position), *self._pedestal.shape))
        shared = {
            "docked": self.memory["docked"][rows, None],
            "placed": self.memory["placed"][rows, None],
            "joint_success": self._together()[rows, None],
        }
        of_base = {
            **self.base.own_components(rows, heading),
            **self.base.room_components(position, heading, circles, self.room.half_width_m),
            "goal_distance": distance,
            "goal_direction": direction,
            "goal_bearing": np.arctan2(direction[:, 1:], direction[:, :1]),
            "collision": self.base.collided()[rows, None],
        }
        of_arm = self.arm.components(rows) | self._measure_toy(rows) | {"lifted": self.memory["lifted"][rows, None]}
        return {arm.behavior: of_arm | shared, base.behavior: of_base | shared}

    def _together(self) -> Array:
        together: Array = self.memory["held_steps"] >= self._hold_steps
        return together

    def _measure_toy(self, rows: Rows) -> dict[str, Array]:
        """Measure the toy; its goal is the middle of the tray, wherever that is."""
        base = self.base.position(rows)
        height = np.full((len(base), 1), 0.5 * self.of_arm.toy_size_m)
        size = np.full((len(base), 1), self.of_arm.toy_size_m)
        return self.toy.components(rows, size, np.concatenate([base, height], axis=1))

    def _on_tray(self, toy: Mapping[str, Array]) -> Array:
        """Tell where the toy lies on the tray, (N,) bool."""
        half = 0.5 * self.of_arm.toy_size_m
        inside = self.base_robot.tray.half_width_m - self.base_robot.tray.thickness_m
        offset = np.abs(turned_back(toy["goal_cube"][:, :2], self.base.heading(ALL_ROWS)))
        lies = np.abs(toy["goal_cube"][:, 2]) <= half
        on_tray: Array = (offset <= inside - half).all(axis=1) & lies
        return on_tray

    def _delivered(self, toy: Mapping[str, Array]) -> Array:
        still = np.linalg.norm(toy["cube_vel"], axis=1) <= self.of_arm.still_m_s
        delivered: Array = self.memory["placed"] & still & (toy["released"][:, 0] > 0)
        return delivered
