"""What a task is: start states, components, the end of an episode. Physics is below it, the clock above it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import mujoco
import numpy as np
from mujoco.batch import Batch

from unity_env.sim.description import DescriptionError
from unity_env.sim.role import Role, roles_of

Rows = np.ndarray | slice
Measured = dict[str, dict[str, np.ndarray]]
ALL_ROWS = slice(None)


@dataclass(frozen=True)
class Episode:
    """What an episode may start from.

    Attributes:
        rng: its own random numbers; good until the next episode of the iteration.
        parameters: every environment parameter of the task -> its value in this episode.
    """

    rng: np.random.Generator
    parameters: Mapping[str, float]


@dataclass(frozen=True)
class View:
    """Where a person looks from: a free camera about `lookat`, m, degrees."""

    lookat: tuple[float, float, float]
    distance: float
    azimuth: float
    elevation: float


class Task(ABC):
    """Something to do for one robot or several in one scene, in `num_rows` independent copies.

    A step calls `act`, lets the physics run, then calls `measure` once, and `judge` with what was measured. The
    components of the sensors are what was measured and what is `remembered`, but for three which are the same
    everywhere and come from above: `last_action`, `success` and the noise.

    Args:
        name: a key of `unity_env.sim.tasks.TASKS`, as described in the robots' YAML.
        num_rows: copies.
        threads: of the simulation, 0 for all cores.

    Attributes:
        view: where pictures are taken from.
        draggable: mocap bodies that a spectator may move, where the scene has them.
        stage: how far a new state is computed; `mjSTAGE_NONE` where `measure` reads positions and velocities of joints
            alone, and forces and contacts as the last substep left them.
        roles: the robots' parts, one ML-Agents behavior each.
        batch: the simulations, one per row.
        memory: what the task remembers between steps, name -> (num_rows, ...); part of a checkpoint.
    """

    view: View
    draggable: tuple[str, ...] = ("goal", "person")
    stage: mujoco.mjtStage = mujoco.mjtStage.mjSTAGE_VEL

    def __init__(self, name: str, num_rows: int, threads: int) -> None:
        self.name = name
        self.roles: tuple[Role, ...] = roles_of(name)
        self.num_rows = num_rows
        self.batch = Batch(self._compiled(), num_rows, threads, persistent=True)
        self.memory: dict[str, np.ndarray] = {}

    def role_of(self, robot: str) -> Role:
        """Return the part of a robot in the task."""
        return next(role for role in self.roles if role.robot.name == robot)

    @cached_property
    def model(self) -> mujoco.MjModel:
        """The model that all rows share but for their randomised fields."""
        return self.batch.get_model(0)

    def _compiled(self) -> mujoco.MjModel:
        spec = self.build()
        try:
            return spec.compile()
        except ValueError as error:
            refused = " ".join(str(error).removeprefix("Error: ").split())
            raise DescriptionError(f"task {self.name}: MuJoCo refuses the scene: {refused}") from None

    @abstractmethod
    def build(self) -> mujoco.MjSpec:
        """Put the scene together; a robot's bodies, joints and actuators are named <robot>/<part>."""

    def check_parameters(self, largest: Mapping[str, float]) -> None:  # noqa: B027  # most tasks have nothing to refuse
        """Refuse environment parameters that each fit their range but not one another.

        Args:
            largest: every environment parameter of the task -> the largest value that an episode may get.

        Raises:
            ValueError: they do not; the message begins with `environment parameter <name>: `.
        """

    def vary(self, rows: np.ndarray, parameters: Mapping[str, np.ndarray]) -> None:  # noqa: B027
        """Write what the task's own environment parameters change in the model of some rows; most change nothing.

        Args:
            rows: which; their episodes begin, or come back from a checkpoint.
            parameters: name -> value in each row's episode, (num_rows,).
        """

    @abstractmethod
    def reset(self, rows: np.ndarray, episodes: Iterable[Episode]) -> None:
        """Write a random start state into `rows`, which MuJoCo has just reset, each from its own episode."""

    @abstractmethod
    def act(self, commands: Mapping[str, np.ndarray]) -> None:
        """Turn commands, behavior -> (num_rows, command_size) in [-1, 1], into actuator controls."""

    @abstractmethod
    def measure(self, rows: Rows) -> Measured:
        """Measure the state of some rows' simulations: behavior -> component name -> (rows, size)."""

    @abstractmethod
    def judge(self, measured: Measured) -> np.ndarray:
        """Judge the new state of all rows, and remember what counts; return which episodes have ended for good.

        Args:
            measured: the new state, by `measure`.

        Returns:
            (num_rows,) bool.
        """

    def remembered(self, rows: Rows) -> Measured:  # noqa: ARG002  # some tasks have nothing to tell
        """Tell the components that depend on more than the state of the simulations, as those of `measure`."""
        return {role.behavior: {} for role in self.roles}

    def components(self, rows: Rows, measured: Measured | None = None) -> Measured:
        """Return what was measured and what is remembered: behavior -> component name -> (rows, size).

        Args:
            rows: which.
            measured: theirs, by `measure`, where that has been done already.
        """
        measured = self.measure(rows) if measured is None else measured
        remembered = self.remembered(rows)
        return {behavior: measured[behavior] | remembered[behavior] for behavior in measured}

    @abstractmethod
    def success(self) -> dict[str, np.ndarray]:
        """Tell who has just solved the task, behavior -> (num_rows,) bool; a metric, apart from any reward."""

    def look(self, row: int, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Copy a row's state into a spectator's `data`, and compute all that a picture needs and `stage` leaves out."""
        self.batch.get_data(row, data)
        mujoco.mj_forward(model, data)

    def place(self, row: int, body: str, pos: np.ndarray) -> None:
        """Put a draggable body where a spectator wants it, (3,), m; a task that moves it by itself overrides this."""
        self.batch.bind("mocap_pos")[row, self.model.body(body).mocapid[0]] = pos
