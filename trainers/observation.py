"""What policies see: the numbers of all sensors, one behind the other, in one row."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import prod
from typing import Any, Literal

import numpy as np
from mlagents_envs.base_env import DimensionProperty, ObservationSpec
from torch import Tensor

from unity_env.agent_rows import AgentRows
from unity_env.spaces import SIGNALS_SENSOR, observed_sensors

Array = np.ndarray
SensorKind = Literal["vector", "buffer", "image"]
CHANNELS_LAST = (
    DimensionProperty.TRANSLATIONAL_EQUIVARIANCE,
    DimensionProperty.TRANSLATIONAL_EQUIVARIANCE,
    DimensionProperty.NONE,
)
KINDS: dict[int, SensorKind] = {1: "vector", 2: "buffer", 3: "image"}


@dataclass(frozen=True)
class Sensor:
    """One sensor's part of a row.

    Attributes:
        name: of the sensor.
        shape: of a vector (k,), of a buffer (entities, k), of an image (channels, height, width).
        channels_last: an image comes as (height, width, channels), as from Unity's package before 3.0.
    """

    name: str
    shape: tuple[int, ...]
    channels_last: bool = False

    @property
    def kind(self) -> SensorKind:
        """Vector, buffer or image."""
        return KINDS[len(self.shape)]

    @property
    def size(self) -> int:
        """How many numbers."""
        return prod(self.shape)


@dataclass(frozen=True)
class Observation:
    """The sensors of a behavior, and what critics alone may read.

    Attributes:
        sensors: in ML-Agents' order; their D numbers come first in a row.
        signals: G, how many numbers of signals follow them, for critics.
    """

    sensors: tuple[Sensor, ...]
    signals: int = 0

    @property
    def size(self) -> int:
        """D, what policies read of a row."""
        return sum(sensor.size for sensor in self.sensors)

    @property
    def width(self) -> int:
        """D + G; masks of discrete actions may follow."""
        return self.size + self.signals

    @property
    def is_vector(self) -> bool:
        """Whether all sensors are vectors, which are read as one."""
        return all(sensor.kind == "vector" for sensor in self.sensors)

    def for_critic(self) -> "Observation":
        """Return what critics read, (D + G) numbers: the signals are one more vector."""
        return self.with_vector(SIGNALS_SENSOR, self.signals) if self.signals else self

    def with_vector(self, name: str, size: int) -> "Observation":
        """Return the sensors and one more, of `size` numbers, behind them."""
        return Observation((*self.sensors, Sensor(name, (size,))))

    def rows(self, obs: Any, signals: Mapping[str, Array]) -> Array:
        """Return rows, (N, D + G).

        Args:
            obs: what `AgentRows` tells: one array, or sensor name -> array, (N, *shape) each.
            signals: name -> (N, k).
        """
        arrays = [obs] if isinstance(obs, np.ndarray) else [obs[sensor.name] for sensor in self.sensors]
        flat = [_flat(array, sensor) for array, sensor in zip(arrays, self.sensors, strict=True)]
        flat += signals.values() if self.signals else ()
        return flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1, dtype=np.float32)

    def split(self, rows: Tensor) -> list[Tensor]:
        """Return the sensors' parts of rows, (..., D) or wider: (B, *shape) each, rows of all leading axes in B."""
        ends = np.cumsum([0, *(sensor.size for sensor in self.sensors)]).tolist()
        return [
            rows[..., start:end].reshape(-1, *sensor.shape)
            for (start, end), sensor in zip(pairwise(ends), self.sensors, strict=True)
        ]

    def state_dict(self) -> dict[str, Any]:
        """Return what `from_state` reads."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Observation":
        """Return the observation that `state_dict` was taken of."""
        sensors = (Sensor(of["name"], tuple(of["shape"]), of["channels_last"]) for of in state["sensors"])
        return cls(tuple(sensors), state["signals"])


Observed = int | Observation
"""What is seen; a number stands for one vector of that size."""


def as_observation(observed: Observed) -> Observation:
    """Return it in full."""
    return Observation((Sensor("observation", (observed,)),)) if isinstance(observed, int) else observed


def observation_of(rows: AgentRows, *, with_signals: bool = False) -> Observation:
    """Return what the agents of a behavior see.

    Args:
        rows: the agents.
        with_signals: critics read their signals, too.

    Raises:
        ValueError: a sensor of more than three axes.
    """
    specs = rows.spec.observation_specs
    sensors = tuple(_sensor(name, specs[index]) for name, index in observed_sensors(rows.spec).items())
    signals = sum(where.stop - where.start for _, where in rows.signals.values()) if with_signals else 0
    return Observation(sensors, signals)


def _sensor(name: str, spec: ObservationSpec) -> Sensor:
    shape = tuple(spec.shape)
    if len(shape) not in KINDS:
        raise ValueError(f"sensor {name} has the shape {shape}; vectors, buffers and images have 1 to 3 axes")
    last = tuple(spec.dimension_property) == CHANNELS_LAST
    return Sensor(name, (shape[2], *shape[:2]) if last else shape, channels_last=last)


def _flat(array: Array, sensor: Sensor) -> Array:
    if sensor.channels_last:
        array = array.transpose(0, 3, 1, 2)
    return array if array.ndim == 2 else array.reshape(len(array), -1)
