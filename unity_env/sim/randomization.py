"""The environment parameters of episodes: drawn at their start, applied to the physics of their rows."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from unity_env.sampling import draw, support
from unity_env.settings import GaussianSampler, Sampler
from unity_env.sim.episode_random import EpisodeRandom
from unity_env.sim.role import environment_parameters, parameter_fault
from unity_env.sim.tasks.task import Episode, Task

Array = np.ndarray
_PUSHES = 1  # purpose of random numbers


class Randomization:
    """Draws a task's environment parameters for every episode, and bends the physics of its row accordingly.

    Args:
        task: whose batch is bent.

    Attributes:
        values: parameter -> value in the episode under way, (num_rows,).
        latency: delay of the rows' actions, control periods, (num_rows,) int; None while no row has any.
        noise_level: multiple of the described noise, (num_rows,); None while no row has any.
    """

    def __init__(self, task: Task) -> None:
        self._task, self._batch, self._model = task, task.batch, task.model
        self._described = environment_parameters(task.roles)
        self._constants = {name: entry.default for name, entry in self._described.items()}
        self._samplers: dict[str, Sampler] = {}
        self.values = {name: np.full(task.num_rows, default) for name, default in self._constants.items()}
        self._drawn = {name: np.zeros(2) for name in self._described}
        robots = tuple(f"{role.robot.name}/" for role in task.roles)
        names = [self._model.body(i).name for i in range(self._model.nbody)]
        self._bodies = np.flatnonzero([name.startswith(robots) for name in names])
        self._pushed = [self._model.body(f"{role.robot.name}/{role.robot.push.body}").id for role in task.roles]
        self._by_hand: list[tuple[int, int, Array, int]] = []
        self._summarise()

    def set(self, parameters: Mapping[str, float | Sampler]) -> None:
        """Let episodes that begin from now on have these parameters, and the others' defaults.

        Raises:
            ValueError: an unknown parameter, a value outside its described range, or values that do not fit together.
        """
        for name, value in parameters.items():
            fault = parameter_fault(self._task.roles, name, value)
            if fault is not None:
                raise ValueError(f"environment parameter {name}: {fault}")
        largest = {name: entry.default for name, entry in self._described.items()}
        self._task.check_parameters(largest | {name: self._largest(name, of) for name, of in parameters.items()})
        numbers = {name: value for name, value in parameters.items() if isinstance(value, float | int)}
        self._constants = {name: entry.default for name, entry in self._described.items()} | numbers
        self._samplers = {name: value for name, value in parameters.items() if not isinstance(value, float | int)}

    def episodes(self, rows: Array, rngs: Iterable[np.random.Generator]) -> Iterable[Episode]:
        """Draw the parameters of new episodes, and yield what each may start from."""
        for row, rng in zip(rows.tolist(), rngs, strict=True):
            drawn = {name: self._clipped(name, draw(of, rng)) for name, of in self._samplers.items()}
            for name, value in drawn.items():
                self._drawn[name] += (value, 1.0)
            parameters = self._constants | drawn
            for name, value in parameters.items():
                self.values[name][row] = value
            yield Episode(rng, parameters)

    def apply(self, rows: Array) -> None:
        """Give the rows the masses, friction and gains that were drawn for them, and what the task makes of its own."""
        if self._wanted("mass_scale", "body_mass"):
            self._scale_masses(rows)
        if self._wanted("friction_scale", "geom_friction"):
            friction = self._batch.expand("geom_friction")
            friction[rows, :, 0] = self._model.geom_friction[:, 0] * self.values["friction_scale"][rows, None]
        if self._wanted("drive_gain_scale", "actuator_gainprm"):
            scale = self.values["drive_gain_scale"][rows, None, None]
            self._batch.expand("actuator_gainprm")[rows] = self._model.actuator_gainprm * scale
            self._batch.expand("actuator_biasprm")[rows] = self._model.actuator_biasprm * scale
        self._task.vary(rows, self.values)
        self._summarise()

    def _summarise(self) -> None:
        """Tell what steps have to do: seldom anything, and it changes only when `values` do."""
        latency, noise_level = np.rint(self.values["action_latency"]).astype(np.int64), self.values["sensor_noise"]
        self.latency: Array | None = latency if latency.any() else None
        self.noise_level: Array | None = noise_level if noise_level.any() else None
        self._pushes = bool(self.values["push_scale"].any())

    def push(self, random: EpisodeRandom, episodes: Array, ages: Array) -> None:
        """Set the outer forces of one control period."""
        if not (self._pushes or self._by_hand):
            return  # nor is an older push left: a row's scale changes when its simulation is reset
        scale = self.values["push_scale"]
        force = self._batch.bind("xfrc_applied")
        rows = np.arange(len(scale))
        for index, (role, body) in enumerate(zip(self._task.roles, self._pushed, strict=True)):
            chance, turn = random.uniform(rows, episodes, ages, 2, _PUSHES + 16 * index).T
            push = role.robot.push
            happens = chance < push.rate_hz * role.robot.control.period_s
            strength, angle = happens * scale * push.force_n, 2.0 * np.pi * turn
            force[:, body, 0], force[:, body, 1] = strength * np.cos(angle), strength * np.sin(angle)
        for row, body, force_n, _ in self._by_hand:
            force[row, body, :2] += force_n
        self._by_hand = [
            (row, body, force_n * (left > 1), left - 1) for row, body, force_n, left in self._by_hand if left > 0
        ]  # the last one has no force, and clears what was before

    def push_by_hand(self, row: int, robot: int, force_n: Array, periods: int) -> None:
        """Let a horizontal force, (2,), world frame, N, act on a robot's described body for some control periods.

        Args:
            row: of the robot.
            robot: index of its role.
            force_n: beside the random pushes.
            periods: how many.
        """
        self._by_hand.append((row, self._pushed[robot], np.asarray(force_n), periods))

    def sampled_means(self) -> dict[str, float]:
        """Return the mean of each sampled parameter over the episodes begun since the last call."""
        means = {name: float(total / count) for name, (total, count) in self._drawn.items() if count}
        for sums in self._drawn.values():
            sums[:] = 0.0
        return means

    def state_dict(self) -> dict[str, Any]:
        """The values of the episodes under way, and sums of what was drawn, without what `set` was given."""
        return {part: {name: array.copy() for name, array in arrays.items()} for part, arrays in self._kept.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken, and bend all rows accordingly."""
        for part, arrays in self._kept.items():
            for name, array in arrays.items():
                array[:] = state[part][name]
        self.apply(np.arange(self._task.num_rows))

    @property
    def _kept(self) -> dict[str, dict[str, Array]]:
        return {"values": self.values, "drawn": self._drawn}

    def _wanted(self, parameter: str, field: str) -> bool:
        varied = bool((self.values[parameter] != self._described[parameter].default).any())
        return varied or self._batch.expanded(field) is not None

    def _scale_masses(self, rows: Array) -> None:
        scale = self.values["mass_scale"][rows, None]
        mass, inertia = self._batch.expand("body_mass"), self._batch.expand("body_inertia")
        gravcomp = self._batch.expand("body_gravcomp")
        bodies = np.ix_(rows, self._bodies)
        mass[bodies] = self._model.body_mass[self._bodies] * scale
        inertia[bodies] = self._model.body_inertia[self._bodies] * scale[..., None]
        gravcomp[bodies] = self._model.body_gravcomp[self._bodies] / scale  # a controller knows the nominal mass
        self._batch.set_const(ids=rows)

    def _largest(self, name: str, value: float | Sampler) -> float:
        """Return the largest value that an episode may get; a Gaussian is bounded by the described range alone."""
        return self._described[name].range[1] if isinstance(value, GaussianSampler) else support(value)[1]

    def _clipped(self, name: str, value: float) -> float:
        low, high = self._described[name].range
        return min(max(value, low), high)
