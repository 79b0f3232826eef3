"""What a task is: start states, components, the end of an episode. Physics is below it, the clock above it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np
from mujoco.batch import Batch

from unity_env.sim.description import RobotDescription, TaskDescription
from unity_env.spaces import Component

Rows = np.ndarray | slice
ALL_ROWS = slice(None)


class Task(ABC):
    """One robot with one thing to do, in `num_rows` independent copies.

    Attributes:
        behavior: ML-Agents behavior name.
        robot: description of the robot.
        description: this task's entry in it.
        batch: the simulations, one per row.
        memory: what the task remembers between steps, name -> (num_rows, ...); part of a checkpoint.
    """

    behavior: str
    robot: RobotDescription
    description: TaskDescription
    batch: Batch
    memory: dict[str, np.ndarray]

    @property
    def observation(self) -> tuple[Component, ...]:
        """What the policy sees, in order."""
        return self.robot.select(self.description.observation)

    @property
    def signals(self) -> tuple[Component, ...]:
        """What rewards, metrics and critics may use, in order."""
        return self.robot.select(self.description.signals)

    @abstractmethod
    def reset(self, rows: np.ndarray, rngs: Iterable[np.random.Generator]) -> None:
        """Write a random start state into `rows`, each from its own generator, which is good until the next one's."""

    @abstractmethod
    def act(self, action: np.ndarray) -> None:
        """Turn the policy's action, (num_rows, action_size) in [-1, 1], into actuator controls."""

    @abstractmethod
    def after_physics(self) -> np.ndarray:
        """Judge the new state of all rows; return which episodes have ended for good, (num_rows,) bool."""

    @abstractmethod
    def components(self, rows: Rows) -> dict[str, np.ndarray]:
        """Measure every component that the task's sensors carry, name -> (rows, size)."""

    @abstractmethod
    def success(self) -> np.ndarray:
        """Return which rows have just solved the task, (num_rows,) bool; a metric, apart from any reward."""
