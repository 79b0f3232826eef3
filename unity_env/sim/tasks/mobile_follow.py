"""mobile_follow: keep near a walking person, facing them."""

from collections.abc import Iterable, Mapping

import mujoco
import numpy as np

from unity_env.sim.description import Interval, Strict, load_description
from unity_env.sim.model.mobile import add_mobile
from unity_env.sim.model.room import add_person, add_room, mocaps_named
from unity_env.sim.model.scene import new_scene
from unity_env.sim.tasks.mobile_base import MobileBase, polar, turned_back
from unity_env.sim.tasks.task import Episode, Rows, Task, View
from unity_env.sim.tasks.walker import Gait, Walkers

Array = np.ndarray


class Parameters(Strict):
    """The numbers of tasks.mobile_follow.parameters in robots/mobile.yaml."""

    room_half_width_m: float
    distance_m: Interval
    bearing_rad: float
    share: float
    start_distance_m: Interval
    start_clearance_m: float
    person_radius_m: float
    walk_half_width_m: float
    turn_rate_rad_s: float
    acceleration_m_s2: float
    slowest: float
    pause_s: Interval
    yield_m: Interval

    @property
    def gait(self) -> Gait:
        """How the person moves."""
        return Gait(
            self.walk_half_width_m,
            self.slowest,
            self.turn_rate_rad_s,
            self.acceleration_m_s2,
            self.pause_s,
            self.yield_m,
        )


class MobileFollow(Task):
    """Follow to the end of the episode, which only a collision ends before its time; success is judged there."""

    view = View(lookat=(0.15, -0.25, 0.3), distance=8.6, azimuth=122.0, elevation=-30.0)

    def __init__(self, name: str, num_rows: int, threads: int) -> None:
        self.robot = load_description("mobile")
        self.parameters = Parameters.model_validate(self.robot.tasks[name].parameters)
        super().__init__(name, num_rows, threads)
        (self.role,) = self.roles
        period_s = self.robot.control.period_s
        self._episode_steps = round(self.role.task.episode_s / period_s)
        self.base = MobileBase(self.batch, self.robot)
        self.person = Walkers(num_rows, self.parameters.gait, period_s)
        self._person = mocaps_named(self.model, "person").start
        self._mocap_pos, self._mocap_quat = self.batch.bind("mocap_pos"), self.batch.bind("mocap_quat")
        self.memory = {
            "steps": np.zeros(num_rows, dtype=np.int64),
            "steps_in_place": np.zeros(num_rows, dtype=np.int64),
            "in_place": np.zeros(num_rows, dtype=bool),
            "collided": np.zeros(num_rows, dtype=bool),
            **self.person.memory,
        }

    def build(self) -> mujoco.MjSpec:
        """Put the base and a person into a walled room."""
        spec = new_scene(self.robot.control)
        add_room(spec, self.parameters.room_half_width_m)
        add_mobile(spec, self.robot)
        add_person(spec, self.parameters.person_radius_m)
        return spec

    def reset(self, rows: Array, episodes: Iterable[Episode]) -> None:
        """Start at rest somewhere near the person."""
        for row, episode in zip(rows.tolist(), episodes, strict=True):
            speed, pause = episode.parameters["person_speed"], episode.parameters["person_pause"]
            self.person.start(row, episode.rng, speed, pause)
            self.base.place(np.array([row]), self._draw_start(row, episode.rng)[None])
        for name in ("steps", "steps_in_place", "in_place", "collided"):
            self.memory[name][rows] = 0
        self._show_person(rows)

    def _draw_start(self, row: int, rng: np.random.Generator) -> Array:
        numbers = self.parameters
        reach = numbers.room_half_width_m - self.robot.chassis.radius_m - numbers.start_clearance_m
        person = self.person.position(row)
        while True:
            distance, bearing, yaw = rng.uniform(*numbers.start_distance_m), *rng.uniform(-np.pi, np.pi, 2)
            start = person + distance * np.array([np.cos(bearing), np.sin(bearing)])
            if np.abs(start).max() <= reach:
                return np.append(start, yaw)

    def place(self, row: int, body: str, pos: Array) -> None:
        """Let the person stand somewhere, and walk on from there."""
        if body == "person":
            self.memory["person_position"][row] = pos[:2]
            self._show_person(np.array([row]))

    def _show_person(self, rows: Rows) -> None:
        self._mocap_pos[rows, self._person, :2] = self.person.position(rows)
        half_yaw = self.person.yaw(rows) / 2.0
        self._mocap_quat[rows, self._person, 0] = np.cos(half_yaw)
        self._mocap_quat[rows, self._person, 3] = np.sin(half_yaw)

    def act(self, commands: Mapping[str, Array]) -> None:
        """Command forward and yaw velocity, fractions of their maxima; the person takes a step."""
        everywhere = slice(None)
        self.base.act(commands[self.role.behavior])
        self.person.step(self.base.position(everywhere))
        self._show_person(everywhere)

    def after_physics(self) -> Array:
        """Count the steps in place; a collision ends the episode."""
        numbers, memory, everywhere = self.parameters, self.memory, slice(None)
        heading = self.base.heading(everywhere)
        distance, direction = self._to_person(everywhere, heading)
        near, far = numbers.distance_m
        in_place = memory["in_place"]
        np.greater(direction[:, 0], np.cos(numbers.bearing_rad), out=in_place)
        in_place &= (distance[:, 0] >= near) & (distance[:, 0] <= far)
        memory["steps"] += 1
        memory["steps_in_place"] += in_place
        memory["collided"][:] = self.base.collided()
        return memory["collided"].copy()

    def _to_person(self, rows: Rows, heading: Array) -> tuple[Array, Array]:
        return polar(self.person.position(rows) - self.base.position(rows), heading)

    def success(self) -> dict[str, Array]:
        """Was in place for the wanted share of the whole episode."""
        memory = self.memory
        enough = memory["steps_in_place"] >= self.parameters.share * self._episode_steps
        return {self.role.behavior: enough & (memory["steps"] == self._episode_steps) & ~memory["collided"]}

    def circles(self, rows: Rows) -> Array:
        """Return the person's x, y and radius, (rows, 1, 3), m."""
        position = self.person.position(rows)
        circles = np.empty((len(position), 1, 3))
        circles[:, 0, :2], circles[:, 0, 2] = position, self.parameters.person_radius_m
        return circles

    def components(self, rows: Rows) -> dict[str, dict[str, Array]]:
        """Measure the components of robots/mobile.yaml that mobile_follow uses."""
        heading, memory = self.base.heading(rows), self.memory
        distance, direction = self._to_person(rows, heading)
        room = self.parameters.room_half_width_m
        measured = {
            **self.base.own_components(rows, heading),
            **self.base.room_components(self.base.position(rows), heading, self.circles(rows), room),
            "person_distance": distance,
            "person_direction": direction,
            "person_bearing": np.arctan2(direction[:, 1:], direction[:, :1]),
            "person_velocity": turned_back(self.person.velocity(rows), heading),
            "in_place": memory["in_place"][rows, None],
            "in_place_share": (memory["steps_in_place"] / np.maximum(memory["steps"], 1))[rows, None],
            "collision": memory["collided"][rows, None],
        }
        return {self.role.behavior: measured}
