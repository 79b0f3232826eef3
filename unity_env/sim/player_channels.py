"""The player's ends of ML-Agents' side channels."""

import logging
import uuid
from typing import Any

import numpy as np
from mlagents_envs.side_channel import IncomingMessage, OutgoingMessage, SideChannel
from pydantic import TypeAdapter, ValidationError

from unity_env.settings import Sampler
from unity_env.sim.role import Role, parameter_fault

ENGINE_CONFIGURATION = uuid.UUID("e951342c-4f7e-11ea-b238-784f4387d1f7")
ENVIRONMENT_PARAMETERS = uuid.UUID("534c891e-810f-11ea-a9d0-822485860400")
STATS = uuid.UUID("a1d8f7b7-cec8-50f9-b78b-d3e165a78520")

TRAINING_ANALYTICS = uuid.UUID("b664a4a9-d86f-5a5f-95cb-e8353a7e8356")

_SAMPLER: TypeAdapter[Sampler] = TypeAdapter(Sampler)
_PAIRS = {0: ("uniform", ("min_value", "max_value")), 1: ("gaussian", ("mean", "st_dev"))}

log = logging.getLogger("player")


class EngineConfiguration(SideChannel):  # type: ignore[misc]  # mlagents_envs has no type information
    """Takes Unity's engine settings; the simulation runs as fast as it can whatever they say."""

    def __init__(self) -> None:
        super().__init__(ENGINE_CONFIGURATION)

    def on_message_received(self, msg: IncomingMessage) -> None:
        """Read one setting."""
        log.info("engine setting %d has no meaning here", msg.read_int32())


class EnvironmentParameters(SideChannel):  # type: ignore[misc]  # mlagents_envs has no type information
    """Takes environment parameters; as in Unity, those that the task does not know change nothing.

    Args:
        roles: of the task.
    """

    def __init__(self, roles: tuple[Role, ...]) -> None:
        super().__init__(ENVIRONMENT_PARAMETERS)
        self._roles = roles
        self._values: dict[str, float | Sampler] = {}
        self._changed = False

    def take_changed(self) -> dict[str, float | Sampler] | None:
        """Return all parameters that the client has set, if it has since the last call."""
        if not self._changed:
            return None
        self._changed = False
        return dict(self._values)

    def on_message_received(self, msg: IncomingMessage) -> None:
        """Read one parameter: a key, and 0 with a number, or 1 with a sampler's seed, type and numbers."""
        key = msg.read_string()
        try:
            value = _read_value(msg)
            fault = parameter_fault(self._roles, key, value)
        except ValidationError as error:
            fault = error.errors()[0]["msg"]
        if fault:
            log.warning("environment parameter %s is ignored: %s", key, fault)
            return
        log.info("environment parameter %s = %s", key, _text(value))
        self._values[key] = value
        self._changed = True


def _read_value(msg: IncomingMessage) -> float | Sampler:
    """Read what follows a key, as Unity's package does.

    Raises:
        pydantic.ValidationError: an unknown type of sampler, or numbers that make none.
    """
    if msg.read_int32() == 0:
        return _shortest(msg.read_float32())
    msg.read_int32()  # the sampler's seed: here episodes have random numbers of their own
    kind = msg.read_int32()
    if kind == 2:
        ends = [_shortest(number) for number in msg.read_float32_list()]
        parameters: dict[str, Any] = {"intervals": [list(pair) for pair in zip(ends[::2], ends[1::2], strict=False)]}
        return _SAMPLER.validate_python({"sampler_type": "multirangeuniform", "sampler_parameters": parameters})
    name, keys = _PAIRS.get(kind, (f"type {kind}", ()))
    parameters = {key: _shortest(msg.read_float32()) for key in keys}
    return _SAMPLER.validate_python({"sampler_type": name, "sampler_parameters": parameters})


def _shortest(value: float) -> float:
    """Return the shortest decimal that is sent as this 32-bit number: what the client's user has written."""
    return float(str(np.float32(value)))


def _text(value: float | Sampler) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value.sampler_type} {value.sampler_parameters.model_dump(exclude={'seed'})}"


class TrainingAnalytics(SideChannel):  # type: ignore[misc]  # mlagents_envs has no type information
    """Takes what clients tell Unity about the training, and keeps it to itself."""

    def __init__(self) -> None:
        super().__init__(TRAINING_ANALYTICS)

    def on_message_received(self, msg: IncomingMessage) -> None:
        """Drop the message."""


class Stats(SideChannel):  # type: ignore[misc]  # mlagents_envs has no type information
    """Sends statistics, averaged by the client."""

    def __init__(self) -> None:
        super().__init__(STATS)

    def add(self, key: str, value: float) -> None:
        """Send one value with the next step."""
        msg = OutgoingMessage()
        msg.write_string(key)
        msg.write_float32(value)
        msg.write_int32(0)
        super().queue_message_to_send(msg)

    def on_message_received(self, msg: IncomingMessage) -> None:
        """Clients send none."""
        raise NotImplementedError("statistics go from the player to the client")
