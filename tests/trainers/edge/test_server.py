"""The control loop, its messages, its transports, and the command line as a person on the robot uses them."""

import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainers.edge.bundles import make_bundle, observation
from trainers.edge import ActorRunner, EdgeError
from trainers.edge.cli import main
from trainers.edge.messages import (
    POLICY,
    REFUSED,
    SAFE,
    Answer,
    pack_answer,
    pack_request,
    unpack_answer,
    unpack_request,
)
from trainers.edge.networks import load_network
from trainers.edge.server import Server
from trainers.edge.transports import Closed, Transport, UdpTransport
from trainers.export.edge_app import NAME as APP


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("served"), formats=("onnx", "numpy")).folder


class Script(Transport):
    """Plays messages, None for a period without one; keeps the answers."""

    where = "a test"

    def __init__(self, *messages: bytes | None) -> None:
        self.messages = list(messages)
        self.answers: list[bytes] = []
        self.forgotten = 0
        self.now = 0.0

    def receive(self, timeout_s: float) -> bytes | None:
        if not self.messages:
            raise Closed
        message = self.messages.pop(0)
        if message is None:
            self.now += timeout_s
        return message

    def send(self, data: bytes) -> None:
        self.answers.append(data)

    def forget(self) -> None:
        self.forgotten += 1


def served(bundle: Path, *messages: bytes | None, **safety: Any) -> tuple[Script, Server]:
    script = Script(*messages)
    server = Server(ActorRunner(bundle, safety=safety, clock=lambda: script.now), script)
    server.run()
    return script, server


def test_a_packed_observation_gets_the_policys_packed_action(bundle: Path) -> None:
    script, server = served(bundle, pack_request(observation(), 7))
    answer = unpack_answer(script.answers[0])
    assert (answer.status, answer.sequence) == (POLICY, 7)
    np.testing.assert_array_equal(answer.action, ActorRunner(bundle).act(observation()))
    assert server.served.actions == 1


def test_json_gets_json_with_si_units(bundle: Path) -> None:
    script, _ = served(bundle, json.dumps({"obs": observation().tolist(), "sequence": 3}).encode())
    answer = json.loads(script.answers[0])
    assert (answer["status"], answer["sequence"]) == ("policy", 3)
    expected = np.array(answer["action"]) * [1.5, 1.5, 1.5, 2.5, 2.5, 2.5]
    np.testing.assert_allclose(answer["si"]["joint_velocity_target"], expected, atol=1e-5)


def test_silence_gives_safe_actions_every_period_and_lets_another_sender_in(bundle: Path) -> None:
    script, server = served(bundle, pack_request(observation(), 1), *[None] * 6, watchdog_periods=3.5)
    statuses = [unpack_answer(answer).status for answer in script.answers]
    assert statuses == [POLICY, *[SAFE] * 3, SAFE], "from the fourth period on, and one at the end"
    assert script.forgotten == server.served.safe == 3
    assert unpack_answer(script.answers[-1]).action.tolist() == [0.0] * 6


def test_what_does_not_fit_is_refused_and_the_loop_goes_on(bundle: Path) -> None:
    wrong = [
        b"hello",
        b"[1, 2]",
        b'{"order": 1}',
        b"OBS1abc",
        b'{"obs": [1], "sequence": "a"}',
        b'{"obs": [1], "order": 5}',
        b"[" * 60_000,
        b"[" + b"1" * 400 + b"]",
        pack_request(np.zeros(3)),
    ]
    script, server = served(bundle, *wrong, pack_request(observation(), 9))
    assert server.served.refused == len(wrong)
    assert json.loads(script.answers[1])["status"] == "refused"
    assert "trained with 27" in json.loads(script.answers[1])["reason"]
    assert unpack_answer(script.answers[-3]).status == REFUSED
    assert unpack_answer(script.answers[-2]).status == POLICY


def test_a_sender_that_tells_another_order_is_refused(bundle: Path) -> None:
    message = {"obs": [0.0] * 27, "order": ["joint_vel", "joint_pos"]}
    script, _ = served(bundle, json.dumps(message).encode())
    assert (
        "component 0 is joint_vel, the actor was trained with joint_pos there"
        in json.loads(script.answers[0])["reason"]
    )


def test_a_reset_forgets_what_was_commanded(bundle: Path) -> None:
    moved = [pack_request(observation(seed=seed)) for seed in range(5)]
    again = [*moved, pack_request(observation(seed=0), reset=True)]
    script, _ = served(bundle, *again, rate_limit_per_s=1.0)
    first, last = (unpack_answer(script.answers[index]).action for index in (0, 5))
    np.testing.assert_array_equal(first, last)


def test_messages_survive_the_wire() -> None:
    request = unpack_request(pack_request(np.arange(3), 2**32 - 1, reset=True))
    assert (request.obs.tolist(), request.sequence, request.reset, request.packed) == ([0, 1, 2], 2**32 - 1, True, True)
    answer = unpack_answer(pack_answer(Answer(np.array([0.5, -1]), SAFE, 5, 17, ""), packed=True))
    assert (answer.action.tolist(), answer.status, answer.sequence, answer.computed_us) == ([0.5, -1], SAFE, 5, 17)
    with pytest.raises(EdgeError, match="does not begin with ACT1"):
        unpack_answer(b"nonsense")


def test_udp_takes_the_newest_and_obeys_one_sender_until_it_is_forgotten() -> None:
    with closing(UdpTransport(("127.0.0.1", 0))) as transport:
        address = transport._socket.getsockname()
        with (
            closing(socket.socket(type=socket.SOCK_DGRAM)) as one,
            closing(socket.socket(type=socket.SOCK_DGRAM)) as two,
        ):
            for text in (b"old", b"new"):
                one.sendto(text, address)
            assert transport.receive(1.0) == b"new"
            two.sendto(b"intruder", address)
            assert transport.receive(0.2) is None
            transport.send(b"answer")
            assert one.recv(10) == b"answer"
            transport.forget()
            two.sendto(b"next", address)
            assert transport.receive(1.0) == b"next"
        assert transport.receive(0.0) is None


def test_a_flood_does_not_hold_up_the_watchdog() -> None:
    class Flood(socket.socket):
        def recvfrom(self, *_: Any) -> Any:
            return b"more", ("127.0.0.1", 1)

    with closing(UdpTransport(("127.0.0.1", 0))) as transport:
        transport._socket.close()
        transport._socket = Flood(type=socket.SOCK_DGRAM)
        transport._socket.bind(("127.0.0.1", 0))
        with closing(socket.socket(type=socket.SOCK_DGRAM)) as one:
            one.sendto(b"first", transport._socket.getsockname())
        assert transport.receive(1.0) == b"more"


def edge(*arguments: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


def test_check_names_the_files_and_replays_what_was_recorded(bundle: Path) -> None:
    for backend in ("numpy", "onnx"):
        code, out, _ = edge("check", bundle, "--backend", backend)
        assert code == 0
        assert "actor.npz" in out
        assert f"64 recorded observations through {backend}: actions differ by" in out


def test_check_fails_where_this_machine_computes_otherwise(tmp_path: Path) -> None:
    from tests.trainers.edge.bundles import sign

    folder = make_bundle(tmp_path, formats=("numpy",)).folder
    with np.load(folder / "samples.npz") as archive:
        arrays: dict[str, Any] = dict(archive)
    arrays["deterministic_continuous_actions"] += 1e-3
    np.savez(folder / "samples.npz", **arrays)
    sign(folder)
    code, _, err = edge("check", folder)
    assert code == 2
    assert "numpy differs from the trained policy by 1.0e-03 on the recorded observations" in err


def test_check_fails_where_this_machine_computes_no_number(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def computes_nothing(*_: Any) -> Any:
        network = load_network("numpy", bundle, {"obs_0": np.zeros((1, 27), np.float32)})
        network._calls = (partial(network.outputs["deterministic_continuous_actions"].fill, np.nan),)
        return network

    monkeypatch.setattr("trainers.edge.check.load_network", computes_nothing)
    code, _, err = edge("check", bundle)
    assert code == 2
    assert "differs from the trained policy by nan" in err


def test_check_of_a_network_that_was_not_exported_says_so(tmp_path: Path) -> None:
    code, out, err = edge("check", make_bundle(tmp_path, formats=("onnx",)).folder)
    assert (code, out) == (2, "")
    assert "actor.npz: not in SHA256SUMS: this bundle was exported without it" in err


def test_bench_prints_quantiles(bundle: Path) -> None:
    code, out, _ = edge("bench", bundle, "--calls", 200, "--seconds", 0.2, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["rate_hz"] == 25
    for measured in (found["latency_us"], found["jitter_us"]):
        assert list(measured) == ["p50", "p95", "p99", "max"]
        assert 0 < measured["p50"] <= measured["p95"] <= measured["p99"] <= measured["max"]
    assert edge("bench", bundle, "--calls", 50, "--seconds", 0.1)[1].count("\n") == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "nowhere"], "nowhere: not a bundle"),
        (["run", "BUNDLE", "--listen", "5600", "--transport", "udp"], "--listen 5600: expected HOST:PORT"),
        (["run", "BUNDLE", "--listen", "256.0.0.1:1", "--transport", "udp"], "--listen 256.0.0.1:1"),
        (["run", "BUNDLE", "--safety", "nowhere.json"], "nowhere.json: No such file"),
        (["run", "BUNDLE", "--rate", "-1"], "-1 is not above 0"),
        (["run", "BUNDLE", "--rate", "fast"], "argument --rate: fast is not a number"),
        (["bench", "BUNDLE", "--calls", "0"], "--calls 0: at least 1"),
        (["run", "BUNDLE", "--transport", "zmq"], "--transport zmq needs pyzmq"),
    ],
)
def test_bad_input_is_one_clear_line(bundle: Path, arguments: list[str], message: str) -> None:
    if "zmq" in arguments:
        try:
            import zmq  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("pyzmq is here")
    code, _, err = edge(*(bundle if part == "BUNDLE" else part for part in arguments))
    assert code != 0
    assert message in err.splitlines()[-1]
    assert "Traceback" not in err


def test_limits_in_a_file_that_are_none_are_refused(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "safety.json"
    for text, message in (("{", "not JSON"), ("[]", "expected a JSON object"), ('{"rate": 1}', "unknown rate")):
        path.write_text(text)
        code, _, err = edge("run", bundle, "--safety", path)
        assert (code, err.count("\n")) == (2, 1)
        assert message in err


@contextmanager
def running(bundle: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The bundle's own runtime in a process of its own, and what it listens on."""
    command = [sys.executable, str(bundle / APP), "run", str(bundle), *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as of:
        assert of.stderr is not None
        ready = of.stderr.readline()
        assert ready.startswith("ready"), ready
        try:
            yield of, ready.split()[-1]
        finally:
            of.terminate()


def test_the_app_answers_over_udp_watches_and_says_goodbye_safely(bundle: Path) -> None:
    with running(bundle, "--transport", "udp", "--listen", "127.0.0.1:0") as (process, where):
        with closing(socket.socket(type=socket.SOCK_DGRAM)) as robot:
            robot.settimeout(10)
            robot.connect(("127.0.0.1", int(where.rpartition(":")[2])))
            robot.send(pack_request(observation(), 1))
            assert unpack_answer(robot.recv(1000)).status == POLICY
            silent = time.monotonic()
            assert unpack_answer(robot.recv(1000)).status == SAFE
            assert 0.15 < time.monotonic() - silent < 2.0, "5 periods of 0.04 s"
            process.terminate()
            while (answer := unpack_answer(robot.recv(1000))).status != SAFE:
                pass
            assert answer.action.tolist() == [0.0] * 6
        assert process.wait(10) == 0


def test_the_app_answers_lines(bundle: Path) -> None:
    with running(bundle) as (process, _):
        out, err = process.communicate(json.dumps(observation().tolist()) + "\n\nnonsense", timeout=20)
    answers = [json.loads(line)["status"] for line in out.splitlines()]
    assert answers == ["policy", "refused", "safe"]
    assert "served    1 actions, 0 safe ones, 1 observations refused" in err


def test_zmq_serves_a_dealer(bundle: Path) -> None:
    zmq = pytest.importorskip("zmq")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with running(bundle, "--transport", "zmq", "--listen", address), zmq.Context() as context:
        dealer = context.socket(zmq.DEALER)
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.RCVTIMEO, 10_000)
        dealer.connect(f"tcp://{address}")
        dealer.send(pack_request(observation(), 4))
        answer = unpack_answer(dealer.recv())
        dealer.close()
    assert (answer.status, answer.sequence) == (POLICY, 4)
