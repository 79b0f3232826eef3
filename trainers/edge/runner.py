"""ActorRunner: observations in, actions within their limits out, whatever happens."""

from __future__ import annotations

import logging
import math
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

import numpy as np

from .bundle import Bundle, read_bundle
from .errors import EdgeError
from .networks import load_network, network_file
from .operators import clip, room

Array = np.ndarray
Observation = Union[Array, Sequence[float], Mapping[str, Any]]
LARGEST = 1e15  # length that the vector of an observation or an action can have
LARGEST_SQUARE = LARGEST**2
CONTINUOUS = "deterministic_continuous_actions"
ALLOWED = 0.5  # masks above it are 1, to the networks too
log = logging.getLogger("robotrl.edge")


class ActorRunner:
    """Runs an exported actor for one robot, one decision per control period.

    An action is (A,) float32: continuous actions in [-1, 1], then the index of each branch's choice. It is valid until
    the next one, which is written into the same array.

    Args:
        folder: of the bundle.
        backend: numpy, onnx or tensorrt.
        rate_hz: decisions per second; the training's own by default.
        safety: entries that replace those of the bundle's `safety`, see `Safety`.
        clock: seconds, monotonic.

    Attributes:
        bundle: what actor.json says.
        period_s: time between two decisions.
        clock: seconds, monotonic.
        reason: why the last action was the safe one; empty where it was the policy's.

    Raises:
        EdgeError: the bundle is damaged, or its network cannot be loaded.
    """

    def __init__(
        self,
        folder: Path,
        backend: str = "numpy",
        rate_hz: Optional[float] = None,
        safety: Optional[Mapping[str, Any]] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bundle = bundle = read_bundle(folder, [network_file(backend)], safety)
        if rate_hz is None and bundle.period_s is None:
            raise EdgeError(f"{bundle.folder}: the training did not say how often it decides; give a rate")
        if rate_hz is not None and not 0.0 < rate_hz < math.inf:
            raise EdgeError(f"rate_hz {rate_hz}: decisions per second have to be above 0")
        self.period_s = 1.0 / rate_hz if rate_hz else float(bundle.period_s or 0.0)
        self.reason = ""
        self.clock = clock
        self._make_buffers(bundle)
        low, high = (np.array(part, np.float32) for part in (bundle.safety.action_low, bundle.safety.action_high))
        self._limits = low, high
        limits = {CONTINUOUS: self._limits} if bundle.continuous else {}
        self._network = load_network(backend, bundle.folder, self._inputs, limits)
        self._compute: Callable[[], None] = self._network.run
        self._finish: List[Callable[[], object]] = self._make_finish(bundle)
        self._patience_s = bundle.safety.watchdog_periods * self.period_s
        self.reset()

    def _make_buffers(self, bundle: Bundle) -> None:
        """Lay observations and masks into one vector, whose parts are the network's inputs."""
        sizes = {name: int(np.prod(shape, dtype=int)) for name, shape in bundle.inputs.items()}
        if sum(sizes.values()) != bundle.obs_size:
            raise EdgeError(
                f"{bundle.folder / 'actor.json'}: the network reads {sum(sizes.values())} numbers, "
                f"the observation has {bundle.obs_size}"
            )
        self._whole = room([bundle.obs_size + bundle.choices])
        self._obs, self._allowed = np.split(self._whole, [bundle.obs_size])
        self._allowed.fill(1.0)
        self._inputs: Dict[str, Array] = {}
        start = 0
        for name, shape in bundle.inputs.items():
            self._inputs[name] = self._whole[start : start + sizes[name]].reshape(1, *shape)
            start += sizes[name]
        if bundle.choices:
            self._inputs["action_masks"] = self._allowed.reshape(1, -1)
        self._branches = np.split(self._allowed, np.cumsum(bundle.branches, dtype=int)[:-1]) if bundle.choices else []
        self._memory = np.zeros((1, 1, bundle.memory_size), np.float32)
        if bundle.memory_size:
            self._inputs["recurrent_in"] = self._memory
        self._view: Any = self._whole.data
        self._square_of_whole: Callable[[], Any] = partial(self._whole.dot, self._whole)

    def _make_finish(self, bundle: Bundle) -> List[Callable[[], object]]:
        """Return what brings the network's outputs into the action, within limits."""
        size, safety = bundle.continuous, bundle.safety
        self._action = np.zeros(bundle.action_size, np.float32)
        self._wanted = np.zeros(bundle.action_size, np.float32)
        safe = [math.nan if value is None else float(value) for value in safety.safe_action]
        self._safe = np.array(safe, np.float32)
        self._known_safe = ~np.isnan(self._safe)
        self._to_safe = self._limiting(self._wanted[:size])
        numbers = self._wanted[:size]
        calls: List[Callable[[], object]] = []
        if size:
            numbers = self._network.outputs[CONTINUOUS].reshape(-1)
            calls += self._limiting(numbers)
        self._numbers_as_list = numbers.tolist
        if bundle.branches:
            chosen = self._network.outputs["deterministic_discrete_actions"].reshape(-1)
            calls.append(partial(np.copyto, self._action[size:], chosen, "unsafe"))
        if bundle.memory_size:
            calls.append(partial(np.copyto, self._memory, self._network.outputs["recurrent_out"]))
        return calls

    def _limiting(self, wanted: Array) -> List[Callable[[], object]]:
        """Return the calls that move the continuous action to `wanted` as far as limits and rates allow."""
        safety, action = self.bundle.safety, self._action[: len(wanted)]
        low, high = self._limits
        if safety.rate_limit_per_s is None:
            return [partial(clip, wanted, low, high, action)]
        step = np.array(safety.rate_limit_per_s, np.float32) * np.float32(self.period_s)
        least, change = -step, np.empty_like(step)
        return [
            partial(np.subtract, wanted, action, change),
            partial(clip, change, least, step, change),
            partial(np.add, action, change, action),
            partial(clip, action, low, high, action),
        ]

    def reset(self) -> None:
        """Begin anew: forget the memory and what was commanded."""
        self._memory.fill(0.0)
        self._allowed.fill(1.0)
        np.copyto(self._action, np.nan_to_num(self._safe))
        size, safety = self.bundle.continuous, self.bundle.safety
        self._action[:size] = np.clip(self._action[:size], safety.action_low, safety.action_high)
        self._seen_s = self.clock()
        self.reason = ""

    def act(self, obs: Observation) -> Array:
        """Return what to do now, (A,).

        Args:
            obs: all components in order, (D,), masks behind it where the actor chooses, (D + M,), 1 = allowed; or
                component name -> values, with `action_masks` among them if not everything is allowed. A number that
                is not finite, or beyond 1e15, gives the safe action; so do masks that forbid every choice of a branch.

        Raises:
            EdgeError: a component is missing, unknown, or of the wrong length.
        """
        try:
            self._view[:] = obs
        except (TypeError, ValueError):  # no vector of so many float32
            self._view[:] = self._read(obs)
        now = self.clock()
        if now - self._seen_s > self._patience_s:
            self._memory.fill(0.0)  # it knows nothing of the gap
        try:
            fits = self._square_of_whole() < LARGEST_SQUARE  # one call; what is no number is not smaller, either
        except (FloatingPointError, RuntimeWarning):  # a program that made overflows errors
            fits = False
        if not fits:
            return self._stay_safe(self._not_finite())
        if self._branches and not all(allowed.max() > ALLOWED for allowed in self._branches):
            return self._stay_safe(self._forbidden())
        self._seen_s = now
        self._compute()
        if not math.hypot(*self._numbers_as_list()) < LARGEST:
            return self._stay_safe("the network's action is not finite")
        for call in self._finish:
            call()
        if self.reason:
            self._recovered()
        return self._action

    def command(self) -> Array:
        """Return what to do now where no observation has come, (A,): the last action, or the safe one when it is late.

        To be called once per period.
        """
        late = self.clock() - self._seen_s
        if late <= self._patience_s:
            return self._action
        return self._stay_safe(
            f"no observation for {self.bundle.safety.watchdog_periods:g} periods of {self.period_s:g} s"
        )

    def stop(self, reason: str) -> Array:
        """Return the safe action, whatever was observed, (A,)."""
        return self._stay_safe(reason)

    def in_si(self, action: Array) -> Dict[str, List[float]]:
        """Return what an action means on the robot: name -> values in its `si_unit`, or its own where none is known."""
        values: Dict[str, List[float]] = {}
        numbers, start, branch = action.tolist(), 0, self.bundle.continuous
        for part in self.bundle.card["action"]:
            if "choices_in_si" in part:
                values[part["commands"]] = part["choices_in_si"][int(numbers[branch])]
                branch += 1
                continue
            end = start + part["size"]
            scale = part.get("scale_to_si", [1.0] * part["size"])
            values[part["name"]] = [value * factor for value, factor in zip(numbers[start:end], scale)]
            start = end
        return values

    def check_order(self, names: Sequence[str]) -> None:
        """Refuse a sender whose components are not the actor's, in its order.

        Raises:
            EdgeError: names the first component that differs.
        """
        wanted = [part.name for part in self.bundle.observation]
        for index in range(max(len(wanted), len(names))):
            got, right = (order[index] if index < len(order) else "nothing" for order in (names, wanted))
            if got != right:
                raise EdgeError(f"observation: component {index} is {got}, the actor was trained with {right} there")

    def _read(self, obs: Observation) -> Array:
        """Return any kind of observation as one vector with masks."""
        whole = np.ones(self._whole.size, np.float32)
        if isinstance(obs, Mapping):
            self._read_named(obs, whole)
            return whole
        flat = _numbers(obs)
        if flat is None:
            raise EdgeError(f"observation: expected {self.bundle.obs_size} numbers, got {_short(obs)}")
        if flat.size not in (self._obs.size, self._whole.size):
            raise EdgeError(self._wrong_length(flat.size))
        whole[: flat.size] = flat
        return whole

    def _read_named(self, obs: Mapping[str, Any], whole: Array) -> None:
        parts = [(part.name, part.size) for part in self.bundle.observation]
        known = {name for name, _ in parts} | {"action_masks"}
        for name in obs:
            if name not in known:
                raise EdgeError(f"observation: no component {name}; the actor has {', '.join(dict(parts))}")
        start = 0
        for name, size in [*parts, ("action_masks", self._allowed.size)]:
            if name in obs:
                whole[start : start + size] = _values(obs[name], name, size)
            elif name != "action_masks":
                raise EdgeError(f"observation: component {name} is missing")
            start += size

    def _wrong_length(self, got: int) -> str:
        wanted = self.bundle.obs_size
        message = f"observation: {got} numbers, the actor was trained with {wanted}"
        start = 0
        for part in self.bundle.observation:
            if got < start + part.size:
                return f"{message}; they end in {part.name}, which is numbers {start} to {start + part.size - 1}"
            start += part.size
        return f"{message}; {got - wanted} are behind {self.bundle.observation[-1].name}, the last component"

    def _not_finite(self) -> str:
        index = int(np.argmin(np.abs(self._whole) < LARGEST))
        for part in self.bundle.observation:
            if index < part.size:
                return f"observation {part.name}[{index}] is not finite"
            index -= part.size
        return f"observation action_masks[{index}] is not finite"

    def _forbidden(self) -> str:
        branch = [bool(allowed.max() > ALLOWED) for allowed in self._branches].index(False)
        return f"action_masks forbid every choice of branch {branch}"

    def _stay_safe(self, reason: str) -> Array:
        """Go to the safe action as fast as the rate limits allow, and say why, once."""
        if reason != self.reason:
            log.warning("%s: safe action", reason)
            self.reason = reason
        np.copyto(self._wanted, self._action)
        np.copyto(self._wanted, self._safe, where=self._known_safe)
        for call in self._to_safe:
            call()
        size = self.bundle.continuous
        self._action[size:] = self._wanted[size:]
        return self._action

    def _recovered(self) -> None:
        log.warning("observations are back: the policy acts again")
        self.reason = ""


def _values(given: Any, name: str, size: int) -> Array:
    values = _numbers(given)
    if values is None:
        raise EdgeError(f"observation: component {name} needs {size} numbers, got {_short(given)}")
    if values.size != size:
        raise EdgeError(f"observation: component {name} has {values.size} numbers, the actor was trained with {size}")
    return values


def _numbers(given: Any) -> Optional[Array]:
    """Return what is given as a vector of float32, in which huge numbers are infinite; None where it is no numbers."""
    try:
        with np.errstate(over="ignore"):
            return np.asarray(np.asarray(given, np.float64), np.float32).reshape(-1)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last is torch's, for what requires a gradient
        return None


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
