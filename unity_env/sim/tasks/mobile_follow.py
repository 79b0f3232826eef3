"""mobile_follow: keep near a walking person, facing them."""

import math
from collections.abc import Iterable, Mapping

import mujoco
import numpy as np

from unity_env.sim.description import Interval, Strict, load_description, number_error, task_numbers
from unity_env.sim.model.mobile import add_mobile
from unity_env.sim.model.room import add_person, add_room, mocaps_named
from unity_env.sim.model.scene import new_scene
from unity_env.sim.plane import to_complex, to_xy
from unity_env.sim.tasks.mobile_base import MobileBase
from unity_env.sim.tasks.task import ALL_ROWS, Episode, Measured, Rows, Task, View
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
    stage = mujoco.mjtStage.mjSTAGE_NONE

    def __init__(self, name: str, num_rows: int, threads: int) -> None:
        self.robot = load_description("mobile")
        self.parameters = task_numbers(Parameters, self.robot, name)
        self._check_start(name)
        super().__init__(name, num_rows, threads)
        (self.role,) = self.roles
        period_s = self.robot.control.period_s
        self._episode_steps = round(self.role.task.episode_s / period_s)
        self.base = MobileBase(self.batch, self.robot)
        self.person = Walkers(num_rows, self.parameters.gait, period_s)
        self._radii = np.full((num_rows, 1), self.parameters.person_radius_m)
        self._least_cosine = math.cos(self.parameters.bearing_rad)
        figure = mocaps_named(self.model, "person").start
        self._figure = to_complex(self.batch.bind("mocap_pos")[:, figure, :2])
        self._figure_quat = self.batch.bind("mocap_quat")[:, figure]
        self.memory = {
            "steps": np.zeros(num_rows, dtype=np.int64),
            "steps_in_place": np.zeros(num_rows, dtype=np.int64),
            "in_place": np.zeros(num_rows, dtype=bool),
            "collided": np.zeros(num_rows, dtype=bool),
            **self.person.memory,
        }

    def _check_start(self, task: str) -> None:
        """Refuse a start so far from the person that it lies outside the room wherever they stand."""
        nearest, reach = self.parameters.start_distance_m[0], self._start_half_width_m
        if nearest >= reach:
            why = f"{nearest:g} m from a person in the room's middle is outside it; below {reach:g} m is not"
            raise number_error(self.robot, task, "start_distance_m", why)

    @property
    def _start_half_width_m(self) -> float:
        numbers = self.parameters
        return float(numbers.room_half_width_m - self.robot.chassis.radius_m - numbers.start_clearance_m)

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
        numbers, reach = self.parameters, self._start_half_width_m
        person = to_xy(self.person.position)[row]
        while True:
            distance, bearing, yaw = rng.uniform(*numbers.start_distance_m), *rng.uniform(-np.pi, np.pi, 2)
            start = person + distance * np.array([np.cos(bearing), np.sin(bearing)])
            if np.abs(start).max() <= reach:
                return np.append(start, yaw)

    def place(self, row: int, body: str, pos: Array) -> None:
        """Let the person stand somewhere, and walk on from there."""
        if body == "person":
            self.person.position[row] = complex(*pos[:2])
            self._show_person(np.array([row]))

    def _show_person(self, rows: Rows) -> None:
        self._figure[rows] = self.person.position[rows]
        half_turn = np.sqrt(self.person.ahead[rows])
        self._figure_quat[rows, 0], self._figure_quat[rows, 3] = half_turn.real, half_turn.imag

    def act(self, commands: Mapping[str, Array]) -> None:
        """Command forward and yaw velocity, fractions of their maxima; the person takes a step."""
        self.base.act(commands[self.role.behavior])
        self.person.step(self.base.position)
        self._show_person(ALL_ROWS)

    def measure(self, rows: Rows) -> Measured:
        """Measure the components of robots/mobile.yaml that mobile_follow uses."""
        base, heading = self.base, self.base.heading(rows)
        place, velocity = self.person.position[rows], self.person.velocity[rows] * heading.conj()
        measured = {
            **base.own_components(rows, heading),
            **base.room_components(rows, heading, place[:, None], self._radii[rows], self.parameters.room_half_width_m),
            **base.components_of("person", place, rows, heading),
            "person_velocity": to_xy(velocity),
        }
        return {self.role.behavior: measured}

    def judge(self, measured: Measured) -> Array:
        """Count the steps in place; a collision ends the episode."""
        components, memory = measured[self.role.behavior], self.memory
        distance, (near, far) = components["person_distance"][:, 0], self.parameters.distance_m
        in_place = memory["in_place"]
        np.greater(components["person_direction"][:, 0], self._least_cosine, out=in_place)
        in_place &= (distance >= near) & (distance <= far)
        memory["steps"] += 1
        memory["steps_in_place"] += in_place
        memory["collided"][:] = self.base.collided()
        return memory["collided"].copy()

    def remembered(self, rows: Rows) -> Measured:
        """Tell how the episode has gone so far."""
        memory = self.memory
        share = memory["steps_in_place"][rows, None] / np.maximum(memory["steps"][rows, None], 1)
        return {
            self.role.behavior: {
                "in_place": memory["in_place"][rows, None],
                "in_place_share": share,
                "collision": memory["collided"][rows, None],
            }
        }

    def success(self) -> dict[str, Array]:
        """Was in place for the wanted share of the whole episode."""
        memory = self.memory
        enough = memory["steps_in_place"] >= self.parameters.share * self._episode_steps
        return {self.role.behavior: enough & (memory["steps"] == self._episode_steps) & ~memory["collided"]}
