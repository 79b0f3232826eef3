"""arm_reach: bring the tool tip to a random goal and hold it there."""

import math
from collections.abc import Iterable
from functools import cached_property

import numpy as np
from mujoco.batch import Batch
from pydantic import BaseModel, ConfigDict

from unity_env.sim.description import Interval, load_description
from unity_env.sim.model import build_arm
from unity_env.sim.tasks.task import Rows, Task


class Parameters(BaseModel):
    """The numbers of tasks.arm_reach.parameters in robots/arm.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    goal_tolerance_m: float
    hold_s: float
    goal_radius_m: Interval
    goal_azimuth_rad: Interval
    goal_height_m: Interval
    goal_clearance_m: float
    start_noise_rad: float


class ArmReach(Task):
    """Reach and hold; success ends the episode."""

    def __init__(self, num_rows: int, threads: int) -> None:
        self.robot = load_description("arm")
        self.description = self.robot.tasks["arm_reach"]
        self.behavior = self.description.behavior
        self.parameters = Parameters.model_validate(self.description.parameters)
        model = build_arm(self.robot).compile()
        self.batch = Batch(model, num_rows, threads, persistent=True)
        self._tip_id = model.site("tool_tip").id
        self._joint_pos = self.batch.bind("qpos")
        self._joint_vel = self.batch.bind("qvel")
        self._control = self.batch.bind("ctrl")
        self._torque = self.batch.bind("qfrc_actuator")
        self._site_pos = self.batch.bind("site_xpos")
        self._goal_pos = self.batch.bind("mocap_pos")
        self._max_velocity = self.robot.joint_array("max_velocity_rad_s")
        self._hold_steps = int(np.ceil(self.parameters.hold_s / self.robot.control.period_s))
        self.memory = {
            "last_action": np.zeros((num_rows, self.robot.action_size)),
            "held_steps": np.zeros(num_rows, dtype=np.int64),
        }

    @cached_property
    def _shoulder_height_m(self) -> float:
        return float(self.robot.joints[0].origin_m[2] + self.robot.joints[1].origin_m[2])

    def reset(self, rows: np.ndarray, rngs: Iterable[np.random.Generator]) -> None:
        """Start near the home pose, at rest, with a reachable goal."""
        noise = self.parameters.start_noise_rad
        home = np.asarray(self.robot.home_rad)
        starts = [(home + rng.uniform(-noise, noise, home.size), self.sample_goal(rng)) for rng in rngs]
        self._joint_pos[rows] = [joint_pos for joint_pos, _ in starts]
        self._goal_pos[rows, 0] = [goal_pos for _, goal_pos in starts]
        for remembered in self.memory.values():
            remembered[rows] = 0

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

    def act(self, action: np.ndarray) -> None:
        """Command joint velocities, a fraction of each joint's limit."""
        self.memory["last_action"][:] = action
        np.multiply(action, self._max_velocity, out=self._control)

    def after_physics(self) -> np.ndarray:
        """Count how long the tip has stayed at the goal; success ends the episode."""
        error = self._goal_pos[:, 0] - self._site_pos[:, self._tip_id]
        near = np.einsum("ij,ij->i", error, error) <= self.parameters.goal_tolerance_m**2
        held = self.memory["held_steps"]
        held += 1
        held *= near
        return self.success()

    def success(self) -> np.ndarray:
        """Held for `hold_s`."""
        return self.memory["held_steps"] >= self._hold_steps

    def components(self, rows: Rows) -> dict[str, np.ndarray]:
        """Measure the components of robots/arm.yaml that arm_reach uses."""
        tool_pos = self._site_pos[rows, self._tip_id]
        goal_pos = self._goal_pos[rows, 0]
        goal_error = goal_pos - tool_pos
        held = self.memory["held_steps"][rows, None]
        return {
            "joint_pos": self._joint_pos[rows],
            "joint_vel": self._joint_vel[rows],
            "joint_torque": self._torque[rows],
            "last_action": self.memory["last_action"][rows],
            "tool_pos": tool_pos,
            "goal_pos": goal_pos,
            "goal_error": goal_error,
            "goal_distance": np.sqrt(np.einsum("ij,ij->i", goal_error, goal_error))[:, None],
            "hold_time": held * self.robot.control.period_s,
            "success": held >= self._hold_steps,
        }
