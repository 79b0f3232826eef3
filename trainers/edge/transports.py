"""Where observations come from and actions go: standard input and output, UDP, or ZeroMQ."""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from abc import ABC, abstractmethod
from typing import Any, List, Optional, Tuple

from .errors import EdgeError

TRANSPORTS = ("stdin", "udp", "zmq")
LARGEST = 65_535
MOST = 1000  # messages taken in at once: a flood must not hold up the watchdog


class Closed(Exception):  # noqa: N818  # not a fault
    """The sender has ended."""


class Transport(ABC):
    """One sender of observations. While it is heard, nobody else is.

    Attributes:
        where: what it listens on, for people.
    """

    where: str

    @abstractmethod
    def receive(self, timeout_s: float) -> Optional[bytes]:
        """Return the newest message, or None after the timeout; older ones that wait are dropped.

        Raises:
            Closed: there will be no more.
        """

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Answer the sender; where none has been heard yet, nobody."""

    def forget(self) -> None:  # noqa: B027  # there is only one, mostly
        """Let another sender take over: the last one is silent. Until then it gets the answers."""

    def close(self) -> None:  # noqa: B027  # the system's own streams stay
        """Free what was taken."""


class StdinTransport(Transport):
    """JSON, a line each."""

    where = "standard input"

    def __init__(self) -> None:
        self._rest = b""
        self._lines: List[bytes] = []

    def receive(self, timeout_s: float) -> Optional[bytes]:
        """Return the next line; none is dropped, for files and pipes run ahead."""
        end = time.monotonic() + timeout_s
        while not self._lines:
            left = max(0.0, end - time.monotonic())
            if not select.select([0], [], [], left)[0]:
                return None
            data = os.read(0, LARGEST)
            if not data and not self._rest:
                raise Closed
            *lines, self._rest = (self._rest + (data or b"\n")).split(b"\n")  # the last line may lack its end
            self._lines += [line for line in lines if line.strip()]
        return self._lines.pop(0)

    def send(self, data: bytes) -> None:
        """Write a line."""
        sys.stdout.write(data.decode() + "\n")
        sys.stdout.flush()


class UdpTransport(Transport):
    """A datagram each.

    Raises:
        EdgeError: the address cannot be had.
    """

    def __init__(self, listen: Tuple[str, int]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind(listen)
        except OSError as error:
            self._socket.close()
            raise EdgeError(f"--listen {listen[0]}:{listen[1]}: {error.strerror or error}") from None
        host, port = self._socket.getsockname()
        self.where = f"udp {host}:{port}"
        self._peer: Any = None
        self._open = True

    def receive(self, timeout_s: float) -> Optional[bytes]:
        """Return the newest datagram of the sender."""
        if not select.select([self._socket], [], [], timeout_s)[0]:
            return None
        newest = None
        self._socket.setblocking(False)
        for _ in range(MOST):
            try:
                data, peer = self._socket.recvfrom(LARGEST)
            except BlockingIOError:
                break
            if self._open or self._peer == peer:
                newest, self._peer, self._open = data, peer, False
        return newest

    def send(self, data: bytes) -> None:
        """Answer by a datagram."""
        if self._peer is not None:
            try:
                self._socket.sendto(data, self._peer)
            except OSError:  # a full queue, a network that is down: the next period tries again
                return

    def forget(self) -> None:
        """Let the next sender in."""
        self._open = True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class ZmqTransport(Transport):
    """A ZeroMQ message each, from a DEALER socket.

    Raises:
        EdgeError: pyzmq is not installed, or the address cannot be had.
    """

    def __init__(self, listen: Tuple[str, int]) -> None:
        try:
            import zmq
        except ImportError:
            raise EdgeError("--transport zmq needs pyzmq: pip install pyzmq; udp and stdin do not") from None
        self._zmq = zmq
        self._socket = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self.where = f"zmq tcp://{listen[0]}:{listen[1]}"
        try:
            self._socket.bind(f"tcp://{listen[0]}:{listen[1]}")
        except zmq.ZMQError as error:
            self._socket.close()
            raise EdgeError(f"--listen {listen[0]}:{listen[1]}: {error}") from None
        self._peer: Any = None
        self._open = True

    def receive(self, timeout_s: float) -> Optional[bytes]:
        """Return the newest message of the sender."""
        newest = None
        if not self._socket.poll(timeout_s * 1000.0):
            return None
        for _ in range(MOST):
            if not self._socket.poll(0):
                break
            peer, *_, data = self._socket.recv_multipart()
            if self._open or self._peer == peer:
                newest, self._peer, self._open = data, peer, False
        return newest

    def send(self, data: bytes) -> None:
        """Answer by a message."""
        if self._peer is not None:
            self._socket.send_multipart([self._peer, data], self._zmq.NOBLOCK)

    def forget(self) -> None:
        """Let the next sender in."""
        self._open = True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def open_transport(kind: str, listen: Tuple[str, int]) -> Transport:
    """Open a transport by its name.

    Raises:
        EdgeError: what it needs is missing.
    """
    if kind == "stdin":
        return StdinTransport()
    return UdpTransport(listen) if kind == "udp" else ZmqTransport(listen)
