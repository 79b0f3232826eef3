"""The gRPC server that a player connects to; it moves bytes and knows nothing about them.

Unity is the client: it sends its state as the request of a call, and the call returns when Python has decided
what to do. So a request is what we receive, and the pending call waits for what we send.
"""

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

import grpc

from unity_env.link.errors import PlayerClosedError, PlayerTimeoutError, PortTakenError
from unity_env.link.ports import port_holder

LOOPBACK = "127.0.0.1"

_SERVICE, _METHOD = "communicator_objects.UnityToExternalProto", "Exchange"
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),  # images of many agents pass gRPC's default of 4 MB
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # else two trainings would share a port, and each get some of the messages
)
_POLL_S = 0.05
_GOODBYE_S = 1.0


class ByteCommunicator:
    """Receives a player's messages and answers them, one at a time.

    Args:
        port: where to listen; 0 takes a free one.
        host: address to bind. The protocol has no authentication, so whoever reaches it may take part.

    Attributes:
        port: where it listens.

    Raises:
        PortTakenError: another process listens there.
    """

    def __init__(self, port: int = 0, host: str = LOOPBACK) -> None:
        self._received: SimpleQueue[bytes | None] = SimpleQueue()
        self._replies: SimpleQueue[bytes] = SimpleQueue()
        self._thread = _OneThread()
        self._server = grpc.server(self._thread, options=_OPTIONS)
        handler = grpc.unary_unary_rpc_method_handler(self._exchange, request_deserializer=self._deliver)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: handler}),))
        try:
            self.port: int = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            self._thread.shutdown()
            raise PortTakenError(port, port_holder(port)) from error
        self._server.start()
        self._open = True
        self._owes_answer = False
        self._goodbye_sent = Event()

    def receive(self, timeout_s: float, check: Callable[[], None]) -> bytes:
        """Wait for the player's next message.

        Args:
            timeout_s: for how long, seconds.
            check: called about every 50 ms; raises to give up, as when the player's process has ended.

        Raises:
            PlayerTimeoutError: no message in time.
            PlayerClosedError: the connection broke while the player waited for an answer.
        """
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self._received.get(timeout=min(left, _POLL_S))
            except Empty:
                check()
                continue
            if message is None:
                raise PlayerClosedError("the connection to the player broke")
            self._owes_answer = True
            return message
        raise PlayerTimeoutError(f"no message from the player within {timeout_s:g} s")

    def send(self, message: bytes) -> None:
        """Answer the message received last."""
        self._owes_answer = False
        self._replies.put(message)

    def close(self, goodbye: bytes) -> None:
        """Send a last answer to a player that waits for one, and stop listening; a second call does nothing."""
        if not self._open:
            return
        self._open = False
        self._received.put(None)  # for a thread that still waits for a message
        self._replies.put(goodbye)
        if self._owes_answer:
            self._goodbye_sent.wait(_GOODBYE_S)
        try:
            self._server.stop(_GOODBYE_S).wait()
        except RuntimeError:  # Python is ending and starts no more threads, as gRPC does for a grace period
            self._server.stop(None)
        self._thread.shutdown()

    def _deliver(self, request: bytes) -> bytes:
        """Hand a message over as gRPC's own thread unpacks it: one thread fewer to wake before `receive` returns."""
        self._received.put(request)
        return request

    def _exchange(self, request: bytes, context: Any) -> bytes:  # noqa: ARG002  # delivered before
        reply = self._replies.get()
        if not context.is_active():
            self._received.put(None)
        if not self._open and not context.add_callback(self._goodbye_sent.set):
            self._goodbye_sent.set()
        return reply


class _OneThread(Executor):
    """Runs calls one after the other on a daemon thread.

    ThreadPoolExecutor's threads are joined when Python exits, before any exit handler could release one that
    waits for an answer: a script that forgot `close` would never end.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        Thread(target=self._run, name="unity-link", daemon=True).start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queue a call."""
        future: Future[Any] = Future()
        self._jobs.put((future, lambda: fn(*args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002  # Executor's
        """Let the thread end after the calls that are queued."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (item := self._jobs.get()) is not None:
            future, job = item
            try:
                future.set_result(job())
            except Exception as error:
                future.set_exception(error)
