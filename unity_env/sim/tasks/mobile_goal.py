"""mobile_goal: drive to a random goal between random obstacles, and stop there."""

from collections.abc import Iterable, Mapping

import mujoco
import numpy as np

from unity_env.sim.description import Strict, load_description, number_error, task_numbers
from unity_env.sim.model.mobile import add_mobile
from unity_env.sim.model.room import add_goal, add_obstacles, add_room, geoms_named, mocaps_named, parking
from unity_env.sim.model.scene import new_scene
from unity_env.sim.plane import to_complex
from unity_env.sim.tasks.mobile_base import MobileBase
from unity_env.sim.tasks.mobile_layout import Room
from unity_env.sim.tasks.task import Episode, Measured, Rows, Task, View

Array = np.ndarray


class Parameters(Strict):
    """The numbers of tasks.mobile_goal.parameters in robots/mobile.yaml."""

    room_half_width_m: float
    goal_tolerance_m: float
    stop_velocity_m_s: float
    max_obstacles: int
    smallest_obstacle_m: float
    passage_m: float
    start_clearance_m: float
    shortest_way_m: float


class MobileGoal(Task):
    """Reach and stop; success ends the episode, and so does a collision."""

    view = View(lookat=(0.35, -0.55, 0.0), distance=7.6, azimuth=122.0, elevation=-44.0)
    stage = mujoco.mjtStage.mjSTAGE_NONE

    def __init__(self, name: str, num_rows: int, threads: int) -> None:
        self.robot = load_description("mobile")
        self.parameters = task_numbers(Parameters, self.robot, name)
        self._check_least(name, "shortest_way_m", "goal_distance")
        self._check_least(name, "smallest_obstacle_m", "obstacle_size")
        super().__init__(name, num_rows, threads)
        (self.role,) = self.roles
        numbers = self.parameters
        self.room = Room(numbers.room_half_width_m, numbers.passage_m)
        self.base = MobileBase(self.batch, self.robot)
        mocap_pos = self.batch.bind("mocap_pos")
        self._goal = to_complex(mocap_pos[:, mocaps_named(self.model, "goal").start, :2])
        self._obstacle_pos = mocap_pos[:, mocaps_named(self.model, "obstacle_")]
        self._centres = to_complex(self._obstacle_pos[:, :, :2])
        self._parked = parking(numbers.max_obstacles)
        self.memory = {
            "arrived": np.zeros(num_rows, dtype=bool),
            "collided": np.zeros(num_rows, dtype=bool),
            "obstacle_radius": self.batch.expand("geom_size")[:, geoms_named(self.model, "obstacle_"), 0],
        }

    def _check_least(self, task: str, number: str, parameter: str) -> None:
        """Refuse a lower bound above what the environment parameter that is the upper one may become."""
        bound = getattr(self.parameters, number)
        least = self.robot.tasks[task].environment_parameters[parameter].range[0]
        if bound > least:
            raise number_error(self.robot, task, number, f"{bound:g} m is above the least {parameter}, {least:g} m")

    def build(self) -> mujoco.MjSpec:
        """Put the base into a walled room with obstacles and a goal."""
        numbers, robot = self.parameters, self.robot
        largest = robot.tasks[self.name].environment_parameters["obstacle_size"].range[1]
        spec = new_scene(robot.control)
        add_room(spec, numbers.room_half_width_m)
        add_mobile(spec, robot)
        add_obstacles(spec, numbers.max_obstacles, largest)
        add_goal(spec, numbers.goal_tolerance_m)
        return spec

    def check_parameters(self, largest: Mapping[str, float]) -> None:
        """Refuse obstacles that do not fit into the room."""
        count, radius = largest["obstacle_count"], largest["obstacle_size"]
        capacity = self.room.capacity(radius)
        if count > capacity:
            raise ValueError(
                f"environment parameter obstacle_count: {count:g} obstacles with obstacle_size up to {radius:g} m "
                f"do not fit into {2 * self.room.half_width_m:g} x {2 * self.room.half_width_m:g} m with gaps of "
                f"{self.room.gap_m:g} m; at most {capacity} do"
            )

    def reset(self, rows: Array, episodes: Iterable[Episode]) -> None:
        """Start at rest anywhere, with a goal somewhere else and obstacles between."""
        for row, episode in zip(rows.tolist(), episodes, strict=True):
            circles = self._draw_obstacles(episode)
            start, goal = self._draw_way(episode, circles)
            places = self._parked.copy()
            places[: len(circles)] = circles * [1.0, 1.0, 0.0]
            self._obstacle_pos[row] = places
            self._goal[row] = complex(*goal)
            self.memory["obstacle_radius"][row, : len(circles)] = circles[:, 2]
            self.base.place(np.array([row]), start[None])
        self.memory["arrived"][rows] = self.memory["collided"][rows] = False

    def _draw_obstacles(self, episode: Episode) -> Array:
        smallest, largest = self.parameters.smallest_obstacle_m, episode.parameters["obstacle_size"]
        count = int(episode.rng.integers(round(episode.parameters["obstacle_count"]), endpoint=True))
        return self.room.scatter(episode.rng, episode.rng.uniform(smallest, largest, count))

    def _draw_way(self, episode: Episode, circles: Array) -> tuple[Array, Array]:
        numbers = self.parameters
        clearance = self.robot.chassis.radius_m + numbers.start_clearance_m
        way = (numbers.shortest_way_m, episode.parameters["goal_distance"])
        start, goal = self.room.start_and_goal(episode.rng, circles, clearance, way)
        return np.append(start, episode.rng.uniform(-np.pi, np.pi)), goal

    def act(self, commands: Mapping[str, Array]) -> None:
        """Command forward and yaw velocity, fractions of their maxima."""
        self.base.act(commands[self.role.behavior])

    def measure(self, rows: Rows) -> Measured:
        """Measure the components of robots/mobile.yaml that mobile_goal uses."""
        base, heading = self.base, self.base.heading(rows)
        centres, radii = self._centres[rows], self.memory["obstacle_radius"][rows]
        measured = {
            **base.own_components(rows, heading),
            **base.room_components(rows, heading, centres, radii, self.room.half_width_m),
            **base.components_of("goal", self._goal[rows], rows, heading),
        }
        return {self.role.behavior: measured}

    def judge(self, measured: Measured) -> Array:
        """Success and collisions end the episode."""
        numbers, distance = self.parameters, measured[self.role.behavior]["goal_distance"][:, 0]
        collided, arrived = self.memory["collided"], self.memory["arrived"]
        collided[:] = self.base.collided()
        np.less_equal(distance, numbers.goal_tolerance_m, out=arrived)
        arrived &= np.abs(self.base.velocity) < numbers.stop_velocity_m_s
        arrived &= ~collided
        ended: Array = arrived | collided
        return ended

    def remembered(self, rows: Rows) -> Measured:
        """Tell of the collision that ends the episode."""
        return {self.role.behavior: {"collision": self.memory["collided"][rows, None]}}

    def success(self) -> dict[str, Array]:
        """Stands at the goal."""
        return {self.role.behavior: self.memory["arrived"]}
