"""What can go wrong on the wire; every class is also the one that the official client would raise."""

from collections.abc import Sequence

from mlagents_envs.exception import (
    UnityCommunicationException,
    UnityCommunicatorStoppedException,
    UnityEnvironmentException,
    UnityException,
    UnityObservationException,
    UnityTimeOutException,
    UnityWorkerInUseException,
)


class LinkError(UnityException):  # type: ignore[misc]  # mlagents_envs has no type information
    """Any failure of the link to a player."""


class PortTakenError(LinkError, UnityWorkerInUseException):  # type: ignore[misc]  # as above
    """Another process listens on the port.

    Attributes:
        port: the port that was asked for.
        holder: "name (process 123)" where the machine tells, else None.
    """

    def __init__(self, port: int, holder: str | None) -> None:
        self.port = port
        self.holder = holder
        held = f"{holder} holds it" if holder else "another process holds it"
        # The official class words its message from a worker number, which says nothing about the port.
        UnityException.__init__(
            self, f"port {port} is taken: {held}; stop that process, or leave base_port out to get a free port"
        )


class PlayerTimeoutError(LinkError, UnityTimeOutException):  # type: ignore[misc]  # as above
    """The player did not connect, or did not answer, in time."""


class PlayerExitedError(LinkError, UnityEnvironmentException):  # type: ignore[misc]  # as above
    """The player's process ended while an answer was expected."""


class PlayerClosedError(LinkError, UnityCommunicatorStoppedException):  # type: ignore[misc]  # as above
    """The player said goodbye, or its connection broke, while an answer was expected."""


class IncompatibleVersionError(LinkError, UnityEnvironmentException):  # type: ignore[misc]  # as above
    """The player speaks another version of the protocol."""


class MalformedMessageError(LinkError, UnityCommunicationException):  # type: ignore[misc]  # as above
    """Bytes that are no message of the protocol, or a message that contradicts itself."""


class ObservationShapeError(LinkError, UnityObservationException):  # type: ignore[misc]  # as above
    """An observation has another shape than the behavior had announced."""


class NonFiniteError(LinkError, UnityObservationException, RuntimeError):  # type: ignore[misc]  # as above
    """A NaN or an infinity in an observation or a reward; the official client raises RuntimeError."""


def with_causes(what: str, causes: Sequence[str], log_tail: str = "") -> str:
    """Return `what`, then the likely causes as a list, then the player's last words where there are any."""
    lines = [what]
    if causes:
        lines += ["Likely causes:", *(f"  - {cause}" for cause in causes)]
    return "\n".join([*lines, log_tail] if log_tail else lines)
