"""ML-Agents behavior specifications -> gymnasium spaces, and the names behind a sensor's numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec, ObservationSpec

from unity_env.settings import SignalSlice

SIGNALS_SENSOR = "signals"


class LayoutError(ValueError):
    """An environment's sensors are not what a layout or a signal says of them."""


@dataclass(frozen=True)
class Component:
    """A named run of numbers in a sensor's vector or an action.

    Attributes:
        name: as it stands in rewards, tables and actor.json.
        size: how many numbers.
        unit: SI, "1" where there is none.
        frame: the coordinate frame they are given in.
        limit: interval that holds every value.
        meaning: one line for a person.
        noise: standard deviation that `sensor_noise: 1` gives it where it is observed, in its unit.
    """

    name: str
    size: int
    unit: str
    frame: str
    limit: tuple[float, float]
    meaning: str
    noise: float = 0.0


class SensorLayout:
    """The components of one vector sensor, in order."""

    def __init__(self, components: Sequence[Component]) -> None:
        self.components = tuple(components)
        ends = np.cumsum([part.size for part in components]).tolist()
        starts = [0, *ends[:-1]]
        self._slices = {part.name: slice(start, end) for part, start, end in zip(components, starts, ends, strict=True)}
        self.size: int = ends[-1] if ends else 0

    @property
    def slices(self) -> Mapping[str, slice]:
        """Where each component lies, in order."""
        return self._slices

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and highest value of every number: two (size,) arrays."""
        sizes = [part.size for part in self.components]
        low, high = np.array([part.limit for part in self.components], dtype=np.float32).T
        return np.repeat(low, sizes), np.repeat(high, sizes)


Layouts = Mapping[str, SensorLayout]
SignalViews = dict[str, tuple[int, slice]]


def observed_sensors(spec: BehaviorSpec) -> dict[str, int]:
    """Return sensor name -> index of the sensors the policy sees: all but `signals`, in ML-Agents' order."""
    observed: dict[str, int] = {}
    for index, sensor in enumerate(spec.observation_specs):
        if sensor.name != SIGNALS_SENSOR:
            name = sensor.name or f"obs_{index}"
            observed[f"{name}_{index}" if name in observed else name] = index
    return observed


def signal_views(spec: BehaviorSpec, layouts: Layouts, named: Mapping[str, SignalSlice]) -> SignalViews:
    """Return signal name -> (index of its sensor, where in it): the `signals` sensor's components, and `named` ones.

    Raises:
        LayoutError: a layout or slice that does not fit the sensors.
    """
    sensors = {sensor.name: (index, tuple(sensor.shape)) for index, sensor in enumerate(spec.observation_specs)}
    views: SignalViews = {}
    layout = layouts.get(SIGNALS_SENSOR)
    if layout is not None and SIGNALS_SENSOR in sensors:
        index, shape = sensors[SIGNALS_SENSOR]
        if shape != (layout.size,):
            raise LayoutError(
                f"sensor signals: its components have {layout.size} values, the environment sends {shape}"
            )
        views = {name: (index, where) for name, where in layout.slices.items()}
    for name, part in named.items():
        if part.sensor not in sensors:
            raise LayoutError(f"signal {name}: no sensor {part.sensor}, the environment has {', '.join(sensors)}")
        index, shape = sensors[part.sensor]
        if len(shape) != 1 or part.start + part.size > shape[0]:
            raise LayoutError(
                f"signal {name}: {part.start} + {part.size} values, sensor {part.sensor} has shape {shape}"
            )
        views[name] = (index, slice(part.start, part.start + part.size))
    return views


def observation_space(spec: BehaviorSpec, layouts: Layouts) -> Space[Any]:
    """Return a Box for one observed sensor, a Dict of Boxes by sensor name for several."""
    boxes: dict[str, Space[Any]] = {
        name: _box(spec.observation_specs[index], layouts.get(name)) for name, index in observed_sensors(spec).items()
    }
    return next(iter(boxes.values())) if len(boxes) == 1 else spaces.Dict(boxes)


def _box(sensor: ObservationSpec, layout: SensorLayout | None) -> spaces.Box:
    if layout is None:
        return spaces.Box(-np.inf, np.inf, sensor.shape, np.float32)
    if (layout.size,) != tuple(sensor.shape):
        raise LayoutError(
            f"sensor {sensor.name}: its components have {layout.size} values, the environment sends {sensor.shape}"
        )
    return spaces.Box(*layout.bounds(), dtype=np.float32)


def action_space(spec: ActionSpec) -> Space[Any]:
    """Return Box [-1, 1] for continuous, MultiDiscrete for discrete actions, a Dict of both for hybrid ones."""
    continuous = spaces.Box(-1.0, 1.0, (spec.continuous_size,), np.float32)
    discrete = spaces.MultiDiscrete(spec.discrete_branches, dtype=np.int32) if spec.discrete_size else None
    if discrete is None:
        return continuous
    if spec.continuous_size == 0:
        return discrete
    return spaces.Dict({"continuous": continuous, "discrete": discrete})


class ActionError(ValueError):
    """An action is no number."""


def action_tuple(spec: ActionSpec, actions: Any) -> ActionTuple:
    """Turn a batch of actions of `action_space` into ML-Agents' pair of arrays.

    Raises:
        ActionError: a continuous action is not finite.
    """
    if spec.continuous_size and spec.discrete_size:
        return ActionTuple(_finite(actions["continuous"]), np.asarray(actions["discrete"], np.int32))
    if spec.discrete_size:
        return ActionTuple(discrete=np.asarray(actions, np.int32))
    return ActionTuple(continuous=_finite(actions))


def _finite(actions: Any) -> np.ndarray:
    values = np.asarray(actions, np.float32)
    if not np.isfinite(values).all():
        row, *_ = np.argwhere(~np.isfinite(values))[0].tolist()
        raise ActionError(f"actions: row {row} is not finite: {values[row]}")
    return values
