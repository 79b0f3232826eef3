import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import grpc
import pytest
from mlagents_envs.exception import UnityTimeOutException, UnityWorkerInUseException

from tests.unity_env.link.stand_in import METHOD
from unity_env.link.communicator import ByteCommunicator
from unity_env.link.errors import PlayerClosedError, PlayerTimeoutError, PortTakenError


def nothing() -> None:
    return


@pytest.fixture
def communicator() -> Iterator[ByteCommunicator]:
    communicator = ByteCommunicator()
    yield communicator
    communicator.close(b"bye")


class Caller(threading.Thread):
    """Makes calls one after the other, as Unity does, and keeps the answers."""

    def __init__(self, port: int, *requests: bytes) -> None:
        super().__init__(daemon=True)
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)])
        self._requests = requests
        self.answers: list[bytes] = []
        self.start()

    def run(self) -> None:
        call = self._channel.unary_unary(METHOD)
        with contextlib.suppress(grpc.RpcError):  # the channel was closed
            for request in self._requests:
                self.answers.append(call(request, wait_for_ready=True, timeout=10))

    def wait(self) -> list[bytes]:
        self.join(timeout=10)
        assert not self.is_alive()
        self._channel.close()
        return self.answers

    def hang_up(self) -> None:
        self._channel.close()


def test_each_message_is_answered_in_turn(communicator: ByteCommunicator) -> None:
    caller = Caller(communicator.port, b"1", b"2", b"3")
    for number in (b"1", b"2", b"3"):
        assert communicator.receive(10, nothing) == number
        communicator.send(b"answer to " + number)
    assert caller.wait() == [b"answer to 1", b"answer to 2", b"answer to 3"]


def test_messages_far_beyond_4_megabytes_pass_both_ways(communicator: ByteCommunicator) -> None:
    large = os.urandom(2**20) * 9
    caller = Caller(communicator.port, large)
    assert communicator.receive(10, nothing) == large
    communicator.send(large)
    assert caller.wait() == [large]


def test_a_player_that_waits_is_told_goodbye(communicator: ByteCommunicator) -> None:
    caller = Caller(communicator.port, b"1")
    communicator.receive(10, nothing)
    communicator.close(b"bye")
    assert caller.wait() == [b"bye"]


def test_it_is_reachable_from_this_machine_only(communicator: ByteCommunicator) -> None:
    with socket.create_connection(("127.0.0.1", communicator.port), timeout=5):
        pass
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", communicator.port), timeout=5):
        pass


def test_free_ports_differ_and_are_free_again_after_close() -> None:
    first, second = ByteCommunicator(), ByteCommunicator()
    assert first.port != second.port
    for communicator in (first, second):
        communicator.close(b"")
        communicator.close(b"")
        again = ByteCommunicator(communicator.port)
        again.close(b"")


def test_a_taken_port_is_named_with_the_process_that_holds_it(communicator: ByteCommunicator) -> None:
    with pytest.raises(
        PortTakenError, match=rf"port {communicator.port} is taken: .* \(process {os.getpid()}\)"
    ) as info:
        ByteCommunicator(communicator.port)
    assert info.value.port == communicator.port
    assert isinstance(info.value, UnityWorkerInUseException)


def test_a_port_that_the_official_client_would_hold_on_every_interface_counts_as_taken() -> None:
    with socket.socket(socket.AF_INET6) as held:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("::", 0))
        held.listen()
        with pytest.raises(PortTakenError, match=str(os.getpid())):
            ByteCommunicator(held.getsockname()[1])


def test_silence_ends_at_the_time_out(communicator: ByteCommunicator) -> None:
    with pytest.raises(PlayerTimeoutError, match=r"no message from the player within 0\.2 s") as info:
        communicator.receive(0.2, nothing)
    assert isinstance(info.value, UnityTimeOutException)


def test_the_wait_is_given_up_as_soon_as_the_check_raises(communicator: ByteCommunicator) -> None:
    def check() -> None:
        raise ChildProcessError

    with pytest.raises(ChildProcessError):
        communicator.receive(60, check)


def test_a_player_that_hangs_up_while_python_thinks_is_noticed_at_the_next_step(communicator: ByteCommunicator) -> None:
    caller = Caller(communicator.port, b"1")
    communicator.receive(10, nothing)
    caller.hang_up()
    caller.join(timeout=10)
    time.sleep(0.5)  # the news of the broken connection needs a moment to arrive
    communicator.send(b"answer")
    with pytest.raises(PlayerClosedError):
        communicator.receive(10, nothing)


def test_closing_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    communicator = ByteCommunicator()
    caller = Caller(communicator.port, b"1")
    communicator.receive(10, nothing)
    communicator.close(b"bye")
    caller.wait()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.name == "unity-link":
            thread.join(timeout=5)
    assert threading.active_count() <= before + 1  # gRPC's own channel poller may linger


def test_a_script_that_forgets_to_close_ends_all_the_same() -> None:
    script = """
import threading, grpc
from unity_env.link.communicator import ByteCommunicator
communicator = ByteCommunicator()
channel = grpc.insecure_channel(f"127.0.0.1:{communicator.port}")
call = channel.unary_unary("/communicator_objects.UnityToExternalProto/Exchange")
threading.Thread(target=lambda: call(b"1", timeout=60), daemon=True).start()
communicator.receive(10, lambda: None)
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=30, check=False)
    assert done.returncode == 0
