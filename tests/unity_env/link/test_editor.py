import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mlagents_envs.exception import (
    UnityEnvironmentException,
)
from mlagents_envs.side_channel import IncomingMessage, OutgoingMessage, SideChannel

from tests.unity_env.link.records import BEHAVIOR, KINDS, agent, float_observation, observations_message
from tests.unity_env.link.stand_in import ACTIONS, Player, begin, free_port, serve
from tests.unity_env.link.test_codec import mutations
from unity_env.link.environment import UnityPlayer
from unity_env.link.errors import (
    LinkError,
    PlayerTimeoutError,
    PortTakenError,
)


class InEditor:
    """The environment waits for the Editor; `script` presses Play on a thread of its own."""

    def __init__(self, script: Callable[[int], Any], **options: Any) -> None:
        port = free_port()
        self._thread = threading.Thread(target=script, args=(port,), daemon=True)
        self._thread.start()
        self.env = UnityPlayer(base_port=port, **({"timeout_wait": 10} | options))

    def __enter__(self) -> UnityPlayer:
        return self.env

    def __exit__(self, *_: object) -> None:
        self.env.close()
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()


def test_without_a_build_it_waits_for_play_in_the_editor(capsys: pytest.CaptureFixture[str]) -> None:
    with InEditor(serve) as env:
        assert capsys.readouterr().out == f"Listening on port {env.port}: press Play in the Unity Editor.\n"
        env.reset()
        env.step()
        assert len(env.get_steps(BEHAVIOR)[0]) == 2


def test_nobody_pressing_play_is_the_first_cause_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy")
    with pytest.raises(PlayerTimeoutError, match=r"Likely causes:\n  - Play was not pressed(.|\n)*unset HTTP_PROXY"):
        UnityPlayer(base_port=free_port(), timeout_wait=0.2)


def test_the_editor_has_port_5004_and_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Refuses:
        def __init__(self, port: int, _host: str) -> None:
            asked.append(port)
            raise PortTakenError(port, None)

    monkeypatch.setattr("unity_env.link.environment.ByteCommunicator", Refuses)
    with pytest.raises(PortTakenError, match="port 5004 is taken: another process holds it"):
        UnityPlayer()
    assert asked == [5004]
    with pytest.raises(UnityEnvironmentException, match="worker_id 1"):
        UnityPlayer(worker_id=1)


def test_the_player_is_told_seed_areas_versions_and_commands() -> None:
    players: list[Player] = []

    def script(port: int) -> None:
        player, answer = begin(port)
        players.append(player)
        player.play(answer)

    with InEditor(script, seed=17, num_areas=3, package_version="0.25.0") as env:
        env.step()
        env.step()
        env.reset()
    (player,) = players
    assert (player.seed, player.num_areas, player.package_version) == (17, 3, "0.25.0")
    assert player.commands == [1, 0, 1]


class Notes(SideChannel):  # type: ignore[misc]  # mlagents_envs has no type information
    def __init__(self) -> None:
        super().__init__(uuid.UUID(int=1))
        self.received: list[str] = []

    def on_message_received(self, msg: IncomingMessage) -> None:
        self.received.append(msg.read_string())

    def say(self, text: str) -> None:
        message = OutgoingMessage()
        message.write_string(text)
        self.queue_message_to_send(message)


def test_side_channels_carry_messages_both_ways() -> None:
    sent: list[bytes] = []
    note_size = 16 + 4 + 4 + len("note")  # channel, length of the message, length of the text, the text

    def script(port: int) -> None:
        player, answer = begin(port)
        sent.append(answer.unity_input.rl_input.side_channel)
        message = player.report(answer)
        message.unity_output.rl_output.side_channel = sent[0][:note_size]  # returned to sender, without the analytics
        player.play(player.exchange(message))

    notes = Notes()
    notes.say("note")
    with InEditor(script, side_channels=(notes,)) as env:
        env.reset()
    assert notes.received == ["note"]
    assert not notes.message_queue


def test_a_behavior_may_appear_late_and_agents_may_be_absent() -> None:
    def script(port: int) -> None:
        player, _ = begin(port)
        player.exchange(observations_message([agent(0, [float_observation(np.zeros(2))])], announce=ACTIONS))
        late = observations_message([agent(4, [KINDS["vector"](np.random.default_rng(0))])], "Late", ACTIONS)
        player.play(player.exchange(late))

    with InEditor(script) as env:
        env.reset()
        assert list(env.behavior_specs) == [BEHAVIOR]
        env.step()
        assert list(env.behavior_specs) == [BEHAVIOR, "Late"]
        assert [len(steps) for steps in env.get_steps(BEHAVIOR)] == [0, 0]
        assert list(env.get_steps("Late")[0].agent_id) == [4]


def test_damaged_first_observations_give_our_errors_and_never_hang() -> None:
    whole = observations_message(
        [agent(number, [KINDS["vector"](np.random.default_rng(0))]) for number in range(3)], announce=ACTIONS
    ).SerializeToString()
    for damaged in mutations(whole, 60):

        def script(port: int, damaged: bytes = damaged) -> None:
            player, _ = begin(port)
            player.exchange_bytes(damaged)
            player.close()

        started = time.monotonic()
        with InEditor(script, timeout_wait=5) as env, contextlib.suppress(LinkError, UnityEnvironmentException):
            env.reset()
        assert time.monotonic() - started < 3
