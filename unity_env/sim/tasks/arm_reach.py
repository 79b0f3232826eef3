"""arm_reach: bring the tool tip to a random goal and hold it there."""

import math
from collections.abc import Iterable, Mapping
from functools import cached_property

import mujoco
import numpy as np

from unity_env.sim.arm_chain import ArmChain
from unity_env.sim.description import DescriptionError, Interval, Strict, load_description, number_error, task_numbers
from unity_env.sim.model.arm import add_arm
from unity_env.sim.model.scene import add_marker, add_table, new_scene
from unity_env.sim.tasks.task import Episode, Measured, Rows, Task, View


class Parameters(Strict):
    """The numbers of tasks.arm_reach.parameters in robots/arm.yaml."""

    goal_tolerance_m: float
    hold_s: float
    goal_radius_m: Interval
    goal_azimuth_rad: Interval
    goal_height_m: Interval
    goal_clearance_m: float
    start_noise_rad: float


class ArmReach(Task):
    """Reach and hold; success ends the episode."""

    view = View(lookat=(0.14, 0.02, 0.24), distance=1.6, azimuth=138.0, elevation=-21.0)
    stage = mujoco.mjtStage.mjSTAGE_NONE

    def __init__(self, name: str, num_rows: int, threads: int) -> None:
        super().__init__(name, num_rows, threads)
        (self.role,) = self.roles
        self.robot = load_description("arm")
        self.parameters = task_numbers(Parameters, self.robot, name)
        self._shoulder_height_m = self.robot.shoulder_height_m
        self._check_goals()
        self._chain = ArmChain(self.robot)
        self._joint_pos = self.batch.bind("qpos")
        self._joint_vel = self.batch.bind("qvel")
        self._control = self.batch.bind("ctrl")
        self._torque = self.batch.bind("qfrc_actuator")
        self._goal_pos = self.batch.bind("mocap_pos")[:, 0]
        self._max_velocity = self.robot.joint_array("max_velocity_rad_s")
        self._period_s = self.robot.control.period_s
        self._hold_steps = int(np.ceil(self.parameters.hold_s / self._period_s))
        self.memory = {"held_steps": np.zeros(num_rows, dtype=np.int64)}

    def build(self) -> mujoco.MjSpec:
        """Put the arm on its table, with a marker for the goal."""
        robot, (role,) = load_description("arm"), self.roles
        spec = new_scene(role.control)
        add_table(spec, "table")
        add_arm(spec, robot)
        add_marker(spec, "goal", radius_m=0.02)
        return spec

    def _check_goals(self) -> None:
        """Refuse ranges in which no goal lies, or one that the arm is too short for."""
        ranges, shoulder = self.parameters, self._shoulder_height_m
        place, outer = f"robots/{self.robot.name}.yaml: tasks.{self.name}.parameters", ranges.goal_radius_m[1]
        reach = self.robot.reach_m
        if outer > reach:
            why = f"{outer:g} m is beyond the arm's reach of {reach:g} m"
            raise number_error(self.robot, self.name, "goal_radius_m", why)
        low, high = ranges.goal_height_m
        nearest_height = min(max(shoulder, low), high)
        if outer <= math.hypot(nearest_height - shoulder, ranges.goal_clearance_m):
            raise DescriptionError(
                f"{place}: no goal is within goal_radius_m {outer:g} m of the shoulder at {shoulder:g} m, "
                f"at a goal_height_m of {low:g} .. {high:g} m and a goal_clearance_m of {ranges.goal_clearance_m:g} m"
            )

    def reset(self, rows: np.ndarray, episodes: Iterable[Episode]) -> None:
        """Start near the home pose, at rest, with a reachable goal."""
        starts = [self._start(episode) for episode in episodes]
        self._joint_pos[rows] = [joint_pos for joint_pos, _ in starts]
        self._goal_pos[rows] = [goal_pos for _, goal_pos in starts]
        for remembered in self.memory.values():
            remembered[rows] = 0

    def _start(self, episode: Episode) -> tuple[np.ndarray, np.ndarray]:
        noise = self.parameters.start_noise_rad
        home = np.asarray(self.robot.home_rad)
        start = home + episode.rng.uniform(-noise, noise, home.size)
        while True:
            goal = self.sample_goal(episode.rng)
            if math.dist(goal, self._home_tip) <= episode.parameters["goal_distance"]:
                return start, goal

    @cached_property
    def _home_tip(self) -> np.ndarray:
        tip: np.ndarray = self._chain.tool_tips(np.array([self.robot.home_rad]))[0]
        return tip

    def sample_goal(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a goal, uniform in the described part of a spherical shell about the shoulder; (3,), m."""
        ranges = self.parameters
        inner, outer = (bound**3 for bound in ranges.goal_radius_m)
        low, high = ranges.goal_height_m
        while True:
            radius_u, azimuth_u, height_u = rng.random(3).tolist()
            radius = math.cbrt(inner + (outer - inner) * radius_u)
            sine = 2.0 * height_u - 1.0
            reach = radius * math.sqrt(1.0 - sine**2)
            height = self._shoulder_height_m + radius * sine
            if low <= height <= high and reach >= ranges.goal_clearance_m:
                right, left = ranges.goal_azimuth_rad
                azimuth = right + (left - right) * azimuth_u
                return np.array([reach * math.cos(azimuth), reach * math.sin(azimuth), height])

    def act(self, commands: Mapping[str, np.ndarray]) -> None:
        """Command joint velocities, a fraction of each joint's limit."""
        np.multiply(commands[self.role.behavior], self._max_velocity, out=self._control)

    def measure(self, rows: Rows) -> Measured:
        """Measure the components of robots/arm.yaml that arm_reach uses."""
        joint_pos, goal_pos = self._joint_pos[rows], self._goal_pos[rows]
        tool_pos = self._chain.tool_tips(joint_pos)
        goal_error = goal_pos - tool_pos
        measured = {
            "joint_pos": joint_pos,
            "joint_vel": self._joint_vel[rows],
            "joint_torque": self._torque[rows],
            "tool_pos": tool_pos,
            "goal_pos": goal_pos,
            "goal_error": goal_error,
            "goal_distance": np.sqrt(np.vecdot(goal_error, goal_error))[:, None],
        }
        return {self.role.behavior: measured}

    def judge(self, measured: Measured) -> np.ndarray:
        """Count how long the tip has stayed at the goal; success ends the episode."""
        near = measured[self.role.behavior]["goal_distance"][:, 0] <= self.parameters.goal_tolerance_m
        held = self.memory["held_steps"]
        held += 1
        held *= near
        return held >= self._hold_steps

    def remembered(self, rows: Rows) -> Measured:
        """Tell for how long the tip has stayed at the goal."""
        return {self.role.behavior: {"hold_time": self.memory["held_steps"][rows, None] * self._period_s}}

    def success(self) -> dict[str, np.ndarray]:
        """Held for `hold_s`."""
        return {self.role.behavior: self.memory["held_steps"] >= self._hold_steps}
