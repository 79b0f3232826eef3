"""The player's ends of ML-Agents' side channels."""

import logging
import uuid

from mlagents_envs.side_channel import IncomingMessage, OutgoingMessage, SideChannel

ENGINE_CONFIGURATION = uuid.UUID("e951342c-4f7e-11ea-b238-784f4387d1f7")
ENVIRONMENT_PARAMETERS = uuid.UUID("534c891e-810f-11ea-a9d0-822485860400")
STATS = uuid.UUID("a1d8f7b7-cec8-50f9-b78b-d3e165a78520")

TRAINING_ANALYTICS = uuid.UUID("b664a4a9-d86f-5a5f-95cb-e8353a7e8356")

log = logging.getLogger("player")


class EngineConfiguration(SideChannel):  # type: ignore[misc]  # mlagents_envs has no type information
    """Takes Unity's engine settings; the simulation runs as fast as it can whatever they say."""

    def __init__(self) -> None:
        super().__init__(ENGINE_CONFIGURATION)

    def on_message_received(self, msg: IncomingMessage) -> None:
        """Read one setting."""
        log.info("engine setting %d has no meaning here", msg.read_int32())


class EnvironmentParameters(SideChannel):  # type: ignore[misc]  # mlagents_envs has no type information
    """Takes environment parameters."""

    def __init__(self) -> None:
        super().__init__(ENVIRONMENT_PARAMETERS)
        self.values: dict[str, float] = {}

    def on_message_received(self, msg: IncomingMessage) -> None:
        """Read one parameter: a key, and 0 with a number, or 1 with a sampler."""
        key, kind = msg.read_string(), msg.read_int32()
        if kind == 0:
            self.values[key] = msg.read_float32()
            log.info("environment parameter %s = %g", key, self.values[key])
        else:
            log.warning("environment parameter %s: samplers have no meaning here", key)


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
