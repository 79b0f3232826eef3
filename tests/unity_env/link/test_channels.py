"""Side channels: what the settings become on the wire, what comes back of the scene, and one's own."""

import struct
import threading
import uuid
from pathlib import Path
from typing import Any, ClassVar

import pytest
from mlagents_envs.side_channel import IncomingMessage, OutgoingMessage, SideChannel
from mlagents_envs.side_channel.side_channel_manager import SideChannelManager
from mlagents_envs.side_channel.stats_side_channel import StatsAggregationMethod

from tests.unity_env.link.stand_in import begin, free_port
from unity_env.link.channels import PlayerChannels, collect_stats, import_channel
from unity_env.make import Players
from unity_env.settings import (
    MAX_SEED,
    ConstantSampler,
    EngineSettings,
    EnvSettings,
    GaussianSampler,
    MultiRangeUniformSampler,
    Sampler,
    UniformSampler,
)

ENGINE = uuid.UUID("e951342c-4f7e-11ea-b238-784f4387d1f7")
PARAMETERS = uuid.UUID("534c891e-810f-11ea-a9d0-822485860400")
OWN = uuid.UUID(int=77)


def text(value: str) -> bytes:
    return struct.pack("<i", len(value)) + value.encode("ascii")


def unpacked(blob: bytes) -> list[tuple[uuid.UUID, bytes]]:
    """Split [16 bytes of id, little-endian][int32 length][payload] ..."""
    parts = []
    while blob:
        (length,) = struct.unpack("<i", blob[16:20])
        parts.append((uuid.UUID(bytes_le=blob[:16]), blob[20 : 20 + length]))
        blob = blob[20 + length :]
    return parts


def sent_by(channels: PlayerChannels) -> list[tuple[uuid.UUID, bytes]]:
    return unpacked(bytes(SideChannelManager(channels.all()).generate_side_channel_messages()))


def parameter(value: float | Sampler, seed: int = 3) -> bytes:
    """Return the payload that one environment parameter, `mass`, becomes."""
    channels = PlayerChannels()
    channels.send_parameters({"mass": value}, seed, known={})
    ((_, payload),) = sent_by(channels)
    assert payload.startswith(text("mass"))
    return payload[len(text("mass")) :]


def test_engine_settings_become_the_five_messages_of_the_engine_channel() -> None:
    channels = PlayerChannels()
    engine = EngineSettings(width=320, height=200, quality_level=2, time_scale=7.5, capture_frame_rate=50)
    channels.configure(engine)
    assert sent_by(channels) == [
        (ENGINE, struct.pack("<iii", 0, 320, 200)),
        (ENGINE, struct.pack("<ii", 1, 2)),
        (ENGINE, struct.pack("<if", 2, 7.5)),
        (ENGINE, struct.pack("<ii", 3, -1)),
        (ENGINE, struct.pack("<ii", 4, 50)),
    ]


def sampler(kind: Any, name: str, **parameters: Any) -> Any:
    return kind.model_validate({"sampler_type": name, "sampler_parameters": parameters})


@pytest.mark.parametrize("value", [1.5, sampler(ConstantSampler, "constant", value=1.5)])
def test_a_number_is_sent_as_a_constant(value: float | Sampler) -> None:
    assert parameter(value) == struct.pack("<if", 0, 1.5)


@pytest.mark.parametrize(("own_seed", "seed"), [(-1, 3), (0, 0), (42, 42)])
def test_samplers_are_sent_with_their_own_seed_or_else_the_runs(own_seed: int, seed: int) -> None:
    uniform = sampler(UniformSampler, "uniform", min_value=0.5, max_value=2.5, seed=own_seed)
    assert parameter(uniform) == struct.pack("<iiiff", 1, seed, 0, 0.5, 2.5)
    gaussian = sampler(GaussianSampler, "gaussian", mean=4.0, st_dev=0.25, seed=own_seed)
    assert parameter(gaussian) == struct.pack("<iiiff", 1, seed, 1, 4.0, 0.25)
    ranges = sampler(MultiRangeUniformSampler, "multirangeuniform", intervals=[[0.0, 1.0], [7.0, 8.0]], seed=own_seed)
    assert parameter(ranges) == struct.pack("<iii", 1, seed, 2) + struct.pack("<iffff", 4, 0, 1, 7, 8)


def test_parameters_without_a_seed_get_different_ones() -> None:
    channels = PlayerChannels()
    channels.send_parameters({name: UniformSampler(sampler_type="uniform") for name in ("a", "b")}, MAX_SEED, known={})
    payloads = [payload for _, payload in sent_by(channels)]
    assert [struct.unpack("<ii", payload[5:13]) for payload in payloads] == [(1, MAX_SEED), (1, 0)]


def test_only_parameters_that_have_changed_are_sent_again_with_the_same_seeds() -> None:
    channels = PlayerChannels()
    sampled = UniformSampler(sampler_type="uniform")
    before: dict[str, float | Sampler] = {"a": sampled, "b": 1.0, "c": 2.0, "d": sampled}
    wider = sampler(UniformSampler, "uniform", max_value=2.0)
    channels.send_parameters({**before, "b": 1.5, "d": wider}, 10, known=before)
    assert [payload for _, payload in sent_by(channels)] == [
        text("b") + struct.pack("<if", 0, 1.5),
        text("d") + struct.pack("<iiiff", 1, 13, 0, 0.0, 2.0),
    ]


def report(channels: PlayerChannels, name: str, value: float, how: StatsAggregationMethod) -> None:
    """Let the scene's StatsRecorder add a value."""
    blob = channels.stats.channel_id.bytes_le
    payload = text(name) + struct.pack("<fi", value, how.value)
    SideChannelManager(channels.all()).process_side_channel_message(blob + struct.pack("<i", len(payload)) + payload)


def test_statistics_of_all_players_are_aggregated_as_the_scene_asks_and_start_anew() -> None:
    players = [PlayerChannels(), PlayerChannels()]
    values = [(players[0], 1.0), (players[0], 2.0), (players[1], 6.0)]
    for how in StatsAggregationMethod:
        for player, value in values:
            report(player, how.name, value, how)
    assert collect_stats(players) == {"AVERAGE": 3.0, "MOST_RECENT": 6.0, "SUM": 9.0, "HISTOGRAM": 3.0}
    assert collect_stats(players) == {}


@pytest.mark.parametrize("path", ["", ":", "json", "json:", ":Class", "no_such_module:Class", "json:Nothing", ".a:B"])
def test_a_channel_that_cannot_be_imported_is_refused_with_the_form_expected(path: str) -> None:
    with pytest.raises(ValueError, match=r"side channel .*expected package\.module:Class"):
        import_channel(path)


@pytest.mark.parametrize("path", ["json:loads", "json:JSONDecoder", "os:sep"])
def test_what_is_no_side_channel_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=f"side channel {path}: not a class derived from mlagents_envs' SideChannel"):
        import_channel(path)


class NeedsName(SideChannel):  # type: ignore[misc]  # mlagents_envs has no type information
    """Cannot be made from its path alone."""

    def __init__(self, name: str) -> None:
        super().__init__(OWN)
        self.name = name

    def on_message_received(self, msg: IncomingMessage) -> None:
        """Take nothing."""


class WithoutId(NeedsName):
    """Does not call SideChannel's constructor."""

    def __init__(self) -> None:
        pass


@pytest.mark.parametrize("name", ["NeedsName", "WithoutId"])
def test_a_channel_that_cannot_be_made_without_arguments_is_refused(name: str) -> None:
    make = import_channel(f"{__name__}:{name}")
    with pytest.raises(ValueError, match=rf"side channel .*:{name}: {name}\(\) fails: "):
        make()


def test_a_module_that_cannot_be_compiled_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "channels_with_a_slip.py").write_text("def (", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match="side channel channels_with_a_slip:Any: invalid syntax"):
        import_channel("channels_with_a_slip:Any")


def test_two_channels_with_one_id_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=f"side channel NeedsName: NeedsName has the id {OWN} already"):
        PlayerChannels(own=[NeedsName("a"), NeedsName("b")]).all()


class Greeting(SideChannel):  # type: ignore[misc]  # mlagents_envs has no type information
    """Greets the player that it is made for."""

    made: ClassVar[list["Greeting"]] = []

    def __init__(self) -> None:
        super().__init__(OWN)
        self.received: list[str] = []
        message = OutgoingMessage()
        message.write_string("hello")
        self.queue_message_to_send(message)
        Greeting.made.append(self)

    def on_message_received(self, msg: IncomingMessage) -> None:
        self.received.append(msg.read_string())


def test_a_channel_named_in_the_settings_reaches_the_player_beside_the_others(tmp_path: Path) -> None:
    Greeting.made.clear()
    port = free_port()
    told: list[bytes] = []

    def script() -> None:
        player, answer = begin(port)
        told.append(answer.unity_input.rl_input.side_channel)
        message = player.report(answer)
        payload = text("hello yourself")
        message.unity_output.rl_output.side_channel = OWN.bytes_le + struct.pack("<i", len(payload)) + payload
        player.play(player.exchange(message))

    thread = threading.Thread(target=script, daemon=True)
    thread.start()
    settings = EnvSettings(base_port=port, timeout_wait=10, seed=4, side_channels=[f"{__name__}:Greeting"])
    players = Players(settings, EngineSettings(time_scale=3.0), {"mass": 2.0}, tmp_path)
    players.reset()
    players.close()
    thread.join(timeout=10)
    assert not thread.is_alive()
    parts = unpacked(told[0])
    assert (OWN, text("hello")) in parts
    assert (ENGINE, struct.pack("<if", 2, 3.0)) in parts
    assert (PARAMETERS, text("mass") + struct.pack("<if", 0, 2.0)) in parts
    (channel,) = Greeting.made
    assert channel.received == ["hello yourself"]
