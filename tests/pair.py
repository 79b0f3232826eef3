"""A scene of two arms, one that is steered and one that chooses, and a puck that slides over the table."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import mujoco
import numpy as np
import pytest
import yaml

from unity_env.sim import role as role_module
from unity_env.sim.description import ROBOTS_DIR, ArmDescription, parse_description
from unity_env.sim.model.arm import add_arm
from unity_env.sim.model.scene import add_ground, new_scene
from unity_env.sim.role import Role, all_roles
from unity_env.sim.tasks import TASKS
from unity_env.sim.tasks.task import Episode, Measured, Rows, Task

PAIR, LEFT, RIGHT = "pair", "LeftArm", "RightArm"
FAR_RAD = 1.0
PUCK_HALF_M, PUCK_M_S = 0.01, 1.0
COMPONENTS = ["joint_pos", "joint_vel"]
CHOICES = [[0.5, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, -1, 0.5, 0, 1], [0, 0, 0, 0, -1, 0]]


def register_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the simulation know the task `pair` until the test is over."""
    known = {**all_roles(), PAIR: _roles()}
    monkeypatch.setitem(TASKS, PAIR, Pair)
    monkeypatch.setattr(role_module, "all_roles", lambda: known)


@cache
def _roles() -> tuple[Role, ...]:
    return (Role(_arm("left", LEFT, "joint_velocity_target"), PAIR), Role(_arm("right", RIGHT, "move"), PAIR))


def _arm(name: str, behavior: str, action: str) -> ArmDescription:
    data: dict[str, Any] = yaml.safe_load((ROBOTS_DIR / "arm.yaml").read_text(encoding="utf-8"))
    move = {"size": 1, "unit": "1", "si_unit": "1", "frame": "joint", "meaning": "what to do"}
    data["action"]["move"] = {**move, "commands": "joint_velocity_target", "choices": CHOICES}
    data["name"] = name
    data["tasks"] = {
        PAIR: {
            "behavior": behavior,
            "meaning": "turn away from where it started",
            "episode_s": 2.0,
            "action": [action],
            "observation": [*COMPONENTS, "last_action"],
            "signals": [*COMPONENTS, "success"],
            "parameters": {},
            "environment_parameters": {
                "start_spread": {"default": 0.2, "range": [0.0, 0.4], "unit": "rad", "meaning": "of the first angles"}
            },
        }
    }
    arm: ArmDescription = parse_description(data)
    return arm


class Pair(Task):
    """Both turn their bases; the episode ends when both are far from where they were, each one's success."""

    def __init__(self, name: str, num_rows: int, threads: int) -> None:
        super().__init__(name, num_rows, threads)
        self._joint_pos, self._joint_vel = self.batch.bind("qpos")[:, :12], self.batch.bind("qvel")[:, :12]
        self._puck_vel = self.batch.bind("qvel")[:, 12:15]
        self._control = self.batch.bind("ctrl")
        self.memory = {"start": np.zeros((num_rows, 2)), "far": np.zeros((num_rows, 2), dtype=bool)}
        self._max_velocity = self._robot(0).joint_array("max_velocity_rad_s")

    def build(self) -> mujoco.MjSpec:
        spec = new_scene(self._robot(0).control)
        add_ground(spec, "table")
        add_arm(spec, self._robot(0), at=(0.0, 0.9, 0.0))
        add_arm(spec, self._robot(1), at=(0.0, -0.9, 0.0))
        puck = spec.worldbody.add_body(name="puck", pos=(5.0, 0.0, PUCK_HALF_M))
        puck.add_freejoint(name="puck")
        puck.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.05, 0.05, PUCK_HALF_M], mass=0.4)
        return spec

    def _robot(self, index: int) -> ArmDescription:
        robot = self.roles[index].robot
        assert isinstance(robot, ArmDescription)
        return robot

    def reset(self, rows: np.ndarray, episodes: Iterable[Episode]) -> None:
        home = np.tile(self._robot(0).home_rad, 2)
        spread = [e.parameters["start_spread"] * e.rng.uniform(-1, 1, home.size) for e in episodes]
        self._joint_pos[rows] = home + np.array(spread)
        self.memory["start"][rows] = self._joint_pos[rows][:, [0, 6]]
        self.memory["far"][rows] = False
        self._puck_vel[rows, 0] = PUCK_M_S

    def act(self, commands: Mapping[str, np.ndarray]) -> None:
        for index, role in enumerate(self.roles):
            self._control[:, 6 * index : 6 * index + 6] = commands[role.behavior] * self._max_velocity

    def judge(self, measured: Measured) -> np.ndarray:  # noqa: ARG002  # measured from where they started
        self.memory["far"][:] = np.abs(self._joint_pos[:, [0, 6]] - self.memory["start"]) > FAR_RAD
        far = self.memory["far"]
        both: np.ndarray = far[:, 0] & far[:, 1]
        return both

    def success(self) -> dict[str, np.ndarray]:
        return {role.behavior: self.memory["far"][:, index] for index, role in enumerate(self.roles)}

    def measure(self, rows: Rows) -> Measured:
        return {
            role.behavior: {
                "joint_pos": self._joint_pos[rows][:, 6 * index : 6 * index + 6],
                "joint_vel": self._joint_vel[rows][:, 6 * index : 6 * index + 6],
            }
            for index, role in enumerate(self.roles)
        }
