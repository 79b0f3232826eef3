"""playroom: the mobile robot docks beside the arm's table, the arm puts a toy from the table onto its tray."""

import math
from collections.abc import Iterable, Mapping

import mujoco
import numpy as np

from unity_env.sim.description import Strict, Vec2, load_description, number_error, task_numbers
from unity_env.sim.model.arm import add_arm
from unity_env.sim.model.gripper import add_finger_sensors
from unity_env.sim.model.mobile import add_mobile
from unity_env.sim.model.room import add_goal, add_pedestal_table, add_room, mocaps_named
from unity_env.sim.model.scene import add_cube, new_scene
from unity_env.sim.plane import to_complex, to_xy
from unity_env.sim.role import shared_control
from unity_env.sim.tasks.arm_parts import ArmInScene
from unity_env.sim.tasks.cube import CubeInScene, GraspNumbers
from unity_env.sim.tasks.mobile_base import MobileBase
from unity_env.sim.tasks.mobile_layout import Room
from unity_env.sim.tasks.task import Episode, Measured, Rows, Task, View

Array = np.ndarray
TOY = "toy"


class ArmNumbers(GraspNumbers):
    """The numbers of tasks.playroom.parameters in robots/arm.yaml."""

    table_centre_m: Vec2
    table_half_width_m: float
    pedestal_radius_m: float
    toy_size_m: float
    toy_mass_kg: float


class BaseNumbers(Strict):
    """The numbers of tasks.playroom.parameters in robots/mobile.yaml."""

    room_half_width_m: float
    dock_m: Vec2
    goal_tolerance_m: float
    stop_velocity_m_s: float
    start_clearance_m: float
    shortest_way_m: float


class Playroom(Task):
    """Both robots have solved the task when the toy lies on the tray, let go, and the base stands at its dock.

    That ends the episode. A toy that has fallen from the table ends it, too, as a failure. At the time limit each
    robot is judged by its own part: the base by its docking, the arm by the toy on the tray.
    """

    view = View(lookat=(0.2, -0.2, 0.05), distance=3.5, azimuth=128.0, elevation=-40.0)

    def __init__(self, name: str, num_rows: int, threads: int) -> None:
        self.arm_robot, self.base_robot = load_description("arm"), load_description("mobile")
        self.of_arm = task_numbers(ArmNumbers, self.arm_robot, name)
        self.of_base = task_numbers(BaseNumbers, self.base_robot, name)
        self.of_arm.check_reach(self.arm_robot, name)
        self._check_dock(name)
        self._check_way(name)
        super().__init__(name, num_rows, threads)
        control, episode_s = shared_control(self.roles)
        self.arm = ArmInScene(self.arm_robot, self.batch)
        self.base = MobileBase(self.batch, self.base_robot)
        self.toy = CubeInScene(TOY, self.batch, self.arm, self.of_arm)
        self.room = Room(self.of_base.room_half_width_m, self.of_base.start_clearance_m)
        self._hold_steps = math.ceil(self.of_arm.hold_s / control.period_s)
        self._episode_steps = round(episode_s / control.period_s)
        self._dock = to_complex(self.batch.bind("mocap_pos")[:, mocaps_named(self.model, "goal").start, :2])
        self._pedestal = np.full((num_rows, 1), complex(*self.of_arm.table_centre_m))
        self._pedestal_radius = np.full((num_rows, 1), self.of_arm.pedestal_radius_m)
        self._toy_size = np.full((num_rows, 1), self.of_arm.toy_size_m)
        self._toy_height = 0.5 * self._toy_size
        self.memory = {
            "steps": np.zeros(num_rows, dtype=np.int64),
            "lifted": np.zeros(num_rows, dtype=bool),
            "collided": np.zeros(num_rows, dtype=bool),
            "docked": np.zeros(num_rows, dtype=bool),
            "placed": np.zeros(num_rows, dtype=bool),
            "held_steps": np.zeros(num_rows, dtype=np.int64),
        }

    def _check_dock(self, task: str) -> None:
        """Refuse a dock where the base cannot stand, or that the arm cannot reach."""
        numbers, radius, reach = self.of_base, self.base_robot.chassis.radius_m, self.arm_robot.reach_on_table_m
        dock, free = numbers.dock_m, numbers.room_half_width_m - radius
        why = None
        if max(map(abs, dock)) > free:
            why = f"the base, {radius:g} m in radius, does not fit between it and the walls"
        elif math.dist(dock, self.of_arm.table_centre_m) < self.of_arm.pedestal_radius_m + radius:
            why = f"the base, {radius:g} m in radius, does not fit between it and the table's pedestal"
        elif math.hypot(*dock) > reach:
            why = f"it is beyond the arm's reach of {reach:.2f} m"
        if why is not None:
            raise number_error(self.base_robot, task, "dock_m", f"[{dock[0]:g}, {dock[1]:g}]: {why}")

    def _check_way(self, task: str) -> None:
        """Refuse a way to the dock that is longer than from any start in the room."""
        numbers = self.of_base
        free = numbers.room_half_width_m - self.base_robot.chassis.radius_m - numbers.start_clearance_m
        corner = math.hypot(*(free + abs(at) for at in numbers.dock_m))
        if numbers.shortest_way_m >= corner:
            why = f"{numbers.shortest_way_m:g} m is farther than the room is wide; below {corner:.2f} m is not"
            raise number_error(self.base_robot, task, "shortest_way_m", why)

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
            far = math.dist(point, self.of_base.dock_m) >= self.of_base.shortest_way_m
            if far and self.room.free(point[None], table, clearance).all():
                return np.append(point, rng.uniform(-math.pi, math.pi))

    def act(self, commands: Mapping[str, Array]) -> None:
        """Command the arm's joints and gripper, and the base's velocities."""
        arm, base = self.roles
        self.arm.act(commands[arm.behavior])
        self.base.act(commands[base.behavior])

    def measure(self, rows: Rows) -> Measured:
        """Measure the components of both robots' descriptions that the playroom uses."""
        arm, base = self.roles
        hand, heading = self.arm.hand(rows), self.base.heading(rows)
        pedestal = self._pedestal[rows], self._pedestal_radius[rows]
        tray = np.concatenate([to_xy(self.base.position[rows]), self._toy_height[rows]], axis=1)
        return {
            arm.behavior: {
                **self.arm.components(rows, hand),
                **self.toy.measure(rows, hand, self._toy_size[rows], tray),
            },
            base.behavior: {
                **self.base.own_components(rows, heading),
                **self.base.room_components(rows, heading, *pedestal, self.room.half_width_m),
                **self.base.components_of("goal", self._dock[rows], rows, heading),
            },
        }

    def judge(self, measured: Measured) -> Array:
        """Judge docking and placing; joint success ends the episode, and so does a fallen toy."""
        (toy, base), memory = measured.values(), self.memory
        memory["steps"] += 1
        height = toy["cube_height"][:, 0]
        memory["lifted"] |= toy["grasped"][:, 0] & (height >= self.of_arm.lift_m)
        np.logical_and(memory["lifted"], self._on_tray(toy, base), out=memory["placed"])
        near = base["goal_distance"][:, 0] <= self.of_base.goal_tolerance_m
        still = np.abs(self.base.velocity) <= self.of_base.stop_velocity_m_s
        memory["collided"][:] = self.base.collided()
        np.logical_and(near & still, ~memory["collided"], out=memory["docked"])
        held = memory["held_steps"]
        held += 1
        held *= memory["docked"] & self._delivered(toy)
        ended: Array = (height < -0.1) | self._together()
        return ended

    def remembered(self, rows: Rows) -> Measured:
        """Tell what either robot has achieved, and to the base whether it touches something."""
        arm, base = self.roles
        memory = {name: self.memory[name][rows, None] for name in ("docked", "placed", "lifted", "collided")}
        shared = {
            "docked": memory["docked"],
            "placed": memory["placed"],
            "joint_success": self._together()[rows, None],
        }
        return {
            arm.behavior: shared | {"lifted": memory["lifted"]},
            base.behavior: shared | {"collision": memory["collided"]},
        }

    def success(self) -> dict[str, Array]:
        """Both together; or at the time limit each its own part."""
        arm, base = self.roles
        together, over = self._together(), self.memory["steps"] == self._episode_steps
        return {
            arm.behavior: together | over & self.memory["placed"],
            base.behavior: together | over & self.memory["docked"],
        }

    def _together(self) -> Array:
        together: Array = self.memory["held_steps"] >= self._hold_steps
        return together

    def _on_tray(self, toy: Mapping[str, Array], base: Mapping[str, Array]) -> Array:
        """Tell where the toy lies on the tray, (N,) bool."""
        half = 0.5 * self.of_arm.toy_size_m
        room = self.base_robot.tray.half_width_m - self.base_robot.tray.thickness_m - half
        offset = to_complex(toy["goal_cube"][:, :2]) * to_complex(base["heading"]).conj()
        inside = np.maximum(np.abs(offset.real), np.abs(offset.imag)) <= room
        on_tray: Array = inside & (np.abs(toy["goal_cube"][:, 2]) <= half)
        return on_tray

    def _delivered(self, toy: Mapping[str, Array]) -> Array:
        still = np.vecdot(toy["cube_vel"], toy["cube_vel"]) <= self.of_arm.still_m_s**2
        delivered: Array = self.memory["placed"] & still & toy["released"][:, 0]
        return delivered
