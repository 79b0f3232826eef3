import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.communicator_objects.agent_info_pb2 import AgentInfoProto
from mlagents_envs.communicator_objects.observation_pb2 import ObservationProto
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.environment import UnityEnvironment
from mlagents_envs.exception import UnityObservationException
from mlagents_envs.rpc_utils import steps_from_proto
from mlagents_envs.side_channel.side_channel_manager import SideChannelManager

from tests.unity_env.link.records import (
    BEHAVIOR,
    KINDS,
    agent,
    float_observation,
    image_observation,
    observations_message,
    spec_of,
)
from unity_env.link.decode import BehaviorDecoder
from unity_env.link.encode import encode_reset, encode_step
from unity_env.link.errors import LinkError, MalformedMessageError, NonFiniteError, ObservationShapeError
from unity_env.link.messages import read_message

Array = np.ndarray
RNG = np.random.default_rng(0)

floats32 = st.floats(-1e6, 1e6, width=32)
int32 = st.integers(-(2**31), 2**31 - 1)
action_specs = st.sampled_from(
    [ActionSpec(2, ()), ActionSpec(0, (3,)), ActionSpec(0, (3, 1, 200)), ActionSpec(1, (2, 2))]
)


def ours(data: bytes, spec: BehaviorSpec) -> tuple[DecisionSteps, TerminalSteps]:
    agents = read_message(data).unity_output.rl_output.agentInfos[BEHAVIOR].value
    return BehaviorDecoder(BEHAVIOR, spec).decode(agents)


def official(data: bytes, spec: BehaviorSpec) -> tuple[DecisionSteps, TerminalSteps]:
    agents = UnityMessageProto.FromString(data).unity_output.rl_output.agentInfos[BEHAVIOR].value
    return steps_from_proto(agents, spec)  # type: ignore[no-any-return]  # mlagents_envs has no types


def assert_same(mine: Any, theirs: Any) -> None:
    mine, theirs = np.asarray(mine), np.asarray(theirs)
    assert mine.shape == theirs.shape
    assert mine.tobytes() == theirs.astype(mine.dtype).tobytes()


def assert_decodes_as_the_official_client(data: bytes, spec: BehaviorSpec) -> None:
    for mine, theirs in zip(ours(data, spec), official(data, spec), strict=True):
        for name in ("reward", "agent_id", "group_id", "group_reward"):
            assert_same(getattr(mine, name), getattr(theirs, name))
        assert mine.reward.dtype == theirs.reward.dtype == np.float32
        for mine_obs, their_obs in zip(mine.obs, theirs.obs, strict=True):
            assert mine_obs.dtype == their_obs.dtype == np.float32
            assert_same(mine_obs, their_obs)
        if isinstance(mine, TerminalSteps):
            assert_same(mine.interrupted, theirs.interrupted)
        elif theirs.action_mask is None:
            assert mine.action_mask is None
        else:
            for mine_mask, their_mask in zip(mine.action_mask, theirs.action_mask, strict=True):
                assert mine_mask.dtype == np.bool_
                assert_same(mine_mask, their_mask)


@st.composite
def populations(draw: st.DrawFn) -> tuple[list[AgentInfoProto], BehaviorSpec]:
    """Agents with equal sensors and everything else different."""
    actions = draw(action_specs)
    shapes = draw(st.lists(st.sampled_from([(1,), (40,), (3, 4), (2, 3, 4)]), min_size=1, max_size=3))
    masks: st.SearchStrategy[list[bool]] = st.just([]) | st.lists(
        st.booleans(), min_size=sum(actions.discrete_branches), max_size=sum(actions.discrete_branches)
    )
    agents = [
        agent(
            draw(int32),
            [float_observation(draw(arrays(np.float32, shape, elements=floats32)), str(shape)) for shape in shapes],
            reward=draw(floats32),
            done=draw(st.booleans()),
            max_step_reached=draw(st.booleans()),
            group_id=draw(st.integers(0, 300)),
            group_reward=draw(floats32),
            action_mask=draw(masks),
        )
        for _ in range(draw(st.integers(1, 5)))
    ]
    return agents, spec_of(agents[0], actions)


@given(populations())
def test_any_population_decodes_as_with_the_official_client(
    population: tuple[list[AgentInfoProto], BehaviorSpec],
) -> None:
    agents, spec = population
    assert_decodes_as_the_official_client(observations_message(agents).SerializeToString(), spec)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_observation_decodes_as_with_the_official_client(kind: str) -> None:
    agents = [agent(number, [KINDS[kind](RNG)], done=number == 2, max_step_reached=True) for number in range(5)]
    assert_decodes_as_the_official_client(observations_message(agents).SerializeToString(), spec_of(agents[0]))


def test_all_kinds_of_observations_at_once_decode_as_with_the_official_client() -> None:
    agents = [agent(number, [make(RNG) for make in KINDS.values()], reward=0.5) for number in range(4)]
    assert_decodes_as_the_official_client(observations_message(agents).SerializeToString(), spec_of(agents[0]))


@pytest.mark.parametrize("done", [True, False])
def test_either_half_may_be_empty(done: bool) -> None:
    agents = [agent(number, [KINDS["vector"](RNG)], done=done) for number in range(3)]
    for actions in (ActionSpec(2, ()), ActionSpec(0, (3, 2))):
        assert_decodes_as_the_official_client(
            observations_message(agents).SerializeToString(), spec_of(agents[0], actions)
        )


def test_no_agents_at_all_decode_as_with_the_official_client() -> None:
    spec = spec_of(agent(0, [KINDS["vector"](RNG), KINDS["color"](RNG)]), ActionSpec(0, (2,)))
    assert_decodes_as_the_official_client(observations_message([]).SerializeToString(), spec)


def test_an_agent_may_end_an_episode_and_ask_for_a_decision_in_one_message() -> None:
    agents = [agent(7, [KINDS["vector"](RNG)], done=True, reward=1), agent(7, [KINDS["vector"](RNG)])]
    decisions, terminals = ours(observations_message(agents).SerializeToString(), spec_of(agents[0]))
    assert list(decisions.agent_id) == list(terminals.agent_id) == [7]
    assert_decodes_as_the_official_client(observations_message(agents).SerializeToString(), spec_of(agents[0]))


def test_a_mask_of_the_wrong_length_masks_nothing_as_with_the_official_client() -> None:
    agents = [agent(number, [KINDS["vector"](RNG)], action_mask=[True] * size) for number, size in enumerate((5, 4, 0))]
    assert_decodes_as_the_official_client(
        observations_message(agents).SerializeToString(), spec_of(agents[0], ActionSpec(0, (2, 3)))
    )


def test_images_of_unity_packages_since_3_have_their_channels_first() -> None:
    pixels = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    first, last = (agent(0, [image_observation([pixels], shape)]) for shape in ((3, 6, 8), (6, 8, 3)))
    decisions, _ = ours(observations_message([first]).SerializeToString(), spec_of(first))
    theirs, _ = official(observations_message([last]).SerializeToString(), spec_of(last))
    assert_same(decisions.obs[0], theirs.obs[0].transpose(0, 3, 1, 2))


def test_decoded_arrays_are_fresh_and_writable() -> None:
    agents = [agent(number, [make(RNG) for make in KINDS.values()], done=number == 0) for number in range(3)]
    for population in (agents, agents[1:], agents[1:2]):
        data = observations_message(population).SerializeToString()
        spec = spec_of(agents[0], ActionSpec(0, (2, 3)))
        decisions, _ = ours(data, spec)
        for values in (*decisions.obs, *decisions.action_mask, decisions.reward, decisions.agent_id):
            values[...] = 1
            assert (values == 1).all()
        assert_decodes_as_the_official_client(data, spec)


def delimited(field: int, payload: bytes) -> bytes:
    assert len(payload) < 128
    return bytes([field << 3 | 2, len(payload)]) + payload


def chunked(values: Sequence[float]) -> bytes:
    parts = [delimited(1, struct.pack("<f", value)) for value in values]
    return delimited(4, b"".join(parts))


def unpacked(values: Sequence[float]) -> bytes:
    return delimited(4, b"".join(b"\x0d" + struct.pack("<f", value) for value in values))


def two_float_datas(values: Sequence[float]) -> bytes:
    half = len(values) // 2
    parts = (values[:half], values[half:])
    return b"".join(delimited(4, delimited(1, struct.pack(f"<{len(part)}f", *part))) for part in parts)


def image_then_floats(values: Sequence[float]) -> bytes:
    packed = delimited(1, struct.pack(f"<{len(values)}f", *values))
    return delimited(3, b"a member of the same oneof") + delimited(4, packed)


def unknown_fields(values: Sequence[float]) -> bytes:
    group = b"\x9b\x06\x9c\x06"  # field 99: start and end of a group
    packed = delimited(1, struct.pack(f"<{len(values)}f", *values))
    return group + b"\xa1\x06" + bytes(8) + b"\xa5\x06" + bytes(4) + b"\xa0\x06\x80\x01" + delimited(4, packed)


ENCODINGS: list[Callable[[Sequence[float]], bytes]] = [
    chunked,
    unpacked,
    two_float_datas,
    image_then_floats,
    unknown_fields,
]


@pytest.mark.parametrize("encode", ENCODINGS, ids=lambda encode: encode.__name__)
@pytest.mark.parametrize("odd_row", [0, 1])
def test_any_legal_encoding_of_the_floats_is_read_as_the_official_client_reads_it(
    encode: Callable[[Sequence[float]], bytes], odd_row: int
) -> None:
    values = RNG.standard_normal((3, 6)).astype(np.float32)
    agents = [agent(number, [float_observation(row)]) for number, row in enumerate(values)]
    odd = ObservationProto(shape=[6], name="sensor").SerializeToString() + encode(values[odd_row].tolist())
    agents[odd_row].observations[0].CopyFrom(ObservationProto.FromString(odd))
    plain = observations_message(agents)
    records = [record.SerializeToString() for record in agents]
    tag = AgentInfoProto(observations=[ObservationProto()]).SerializeToString()[:1]
    records[odd_row] = AgentInfoProto(id=odd_row).SerializeToString() + tag + bytes([len(odd)]) + odd
    listed = b"".join(b"\x0a" + bytes([len(record)]) + record for record in records)
    entry = delimited(1, BEHAVIOR.encode()) + b"\x12" + varint(len(listed)) + listed
    rl_output = b"\x12" + varint(len(entry)) + entry
    output = b"\x0a" + varint(len(rl_output)) + rl_output
    data = delimited(1, b"\x08\xc8\x01") + b"\x12" + varint(len(output)) + output
    spec = spec_of(agents[0])
    assert_same(ours(data, spec)[0].obs[0], values)
    assert_decodes_as_the_official_client(data, spec)
    assert_same(official(data, spec)[0].obs[0], official(plain.SerializeToString(), spec)[0].obs[0])


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_named_by_behavior_sensor_agent_and_component(bad: float) -> None:
    agents = [agent(10 + number, [KINDS["vector"](RNG), KINDS["buffer"](RNG)]) for number in range(3)]
    agents[1].observations[0].float_data.data[4] = bad
    with pytest.raises(
        NonFiniteError, match=r"behavior Robot\?team=0, sensor sensor, agent 11, component 4: -?(nan|inf)"
    ):
        ours(observations_message(agents).SerializeToString(), spec_of(agents[0]))
    agents[1].observations[0].float_data.data[4] = 0
    agents[2].observations[1].float_data.data[7] = bad
    with pytest.raises(NonFiniteError, match=r"sensor buffer, agent 12, component \(2, 1\)"):
        ours(observations_message(agents).SerializeToString(), spec_of(agents[0]))


def test_a_reward_that_is_not_finite_is_named_by_agent_and_caught_as_the_official_error() -> None:
    agents = [agent(number, [KINDS["vector"](RNG)]) for number in range(3)]
    agents[2].reward = np.nan
    for official_error in (RuntimeError, UnityObservationException):
        with pytest.raises(official_error, match="reward, agent 2: nan"):
            ours(observations_message(agents).SerializeToString(), spec_of(agents[0]))
    agents[2].reward, agents[1].group_reward = 0, np.inf
    with pytest.raises(NonFiniteError, match="group reward, agent 1: inf"):
        ours(observations_message(agents).SerializeToString(), spec_of(agents[0]))


def test_a_changed_shape_is_named_by_behavior_sensor_agent_and_both_shapes() -> None:
    agents = [agent(number, [float_observation(np.zeros(4))]) for number in range(3)]
    spec = spec_of(agents[0])
    agents[1] = agent(1, [float_observation(np.zeros(5))])
    with pytest.raises(ObservationShapeError, match=r"sensor sensor, agent 1: shape \(5,\), announced was \(4,\)"):
        ours(observations_message(agents).SerializeToString(), spec)
    agents[1] = agent(1, [])
    with pytest.raises(ObservationShapeError, match="agent 1: 0 observations, announced were 1"):
        ours(observations_message(agents).SerializeToString(), spec)
    agents[1] = agent(1, [ObservationProto(shape=[4])])
    with pytest.raises(ObservationShapeError, match=r"agent 1: 0 numbers for shape \(4,\)"):
        ours(observations_message(agents).SerializeToString(), spec)


def test_a_damaged_or_wrong_sized_image_is_named() -> None:
    good = agent(3, [KINDS["color"](RNG)])
    spec = spec_of(good)
    broken = agent(3, [KINDS["color"](RNG)])
    broken.observations[0].compressed_data = good.observations[0].compressed_data[:60]
    with pytest.raises(MalformedMessageError, match="sensor camera, agent 3: unreadable image"):
        ours(observations_message([broken]).SerializeToString(), spec)
    broken.observations[0].compressed_data = b"short"
    with pytest.raises(MalformedMessageError, match="5 bytes are no PNG"):
        ours(observations_message([broken]).SerializeToString(), spec)
    smaller = RNG.integers(0, 256, (5, 8, 3), dtype=np.uint8)
    with pytest.raises(ObservationShapeError, match="8 wide and 5 high"):
        ours(observations_message([agent(3, [image_observation([smaller], (6, 8, 3))])]).SerializeToString(), spec)


def mutations(data: bytes, count: int) -> list[bytes]:
    rng = np.random.default_rng(1)
    cases = []
    for number in range(count):
        damaged = bytearray(data)
        if number % 3 == 0:
            del damaged[rng.integers(len(data)) :]
        elif number % 3 == 1:
            for at in rng.integers(len(data), size=rng.integers(1, 5)):
                damaged[at] ^= 1 << rng.integers(8)
        else:
            damaged = bytearray(rng.bytes(int(rng.integers(1, 300))))
        cases.append(bytes(damaged))
    return cases


def test_a_thousand_damaged_messages_give_our_errors_or_a_legal_result() -> None:
    agents = [agent(number, [make(RNG) for make in KINDS.values()], action_mask=[True] * 5) for number in range(2)]
    spec = spec_of(agents[0], ActionSpec(0, (2, 3)))
    refused = 0
    for damaged in mutations(observations_message(agents).SerializeToString(), 1000):
        try:
            ours(damaged, spec)
        except LinkError:
            refused += 1
    assert refused > 500


def official_step(actions: dict[str, ActionTuple], side_channel: bytes) -> UnityMessageProto:
    env = UnityEnvironment.__new__(UnityEnvironment)
    env._env_state = {name: (np.zeros(len(action.continuous)), None) for name, action in actions.items()}
    env._side_channel_manager = SideChannelManager([])
    message = UnityMessageProto()
    message.header.status = 200
    message.unity_input.CopyFrom(env._generate_step_input(actions))
    message.unity_input.rl_input.side_channel = side_channel
    return message


@st.composite
def action_tuples(draw: st.DrawFn) -> ActionTuple:
    n, continuous, discrete = draw(st.integers(0, 4)), draw(st.integers(0, 3)), draw(st.integers(0, 3))
    values = st.integers(0, 5) | st.integers(0, 2**15) | int32
    return ActionTuple(
        draw(arrays(np.float32, (n, continuous), elements=st.floats(width=32, allow_nan=False))),
        draw(arrays(np.int32, (n, discrete), elements=values)),
    )


@given(st.dictionaries(st.sampled_from(["A?team=0", "B?team=1", "Über"]), action_tuples()), st.binary(max_size=9))
def test_any_actions_encode_as_with_the_official_client(actions: dict[str, ActionTuple], side_channel: bytes) -> None:
    assert UnityMessageProto.FromString(encode_step(actions, side_channel)) == official_step(actions, side_channel)


def test_actions_laid_out_in_any_way_in_memory_encode_alike() -> None:
    table = RNG.standard_normal((8, 6)).astype(np.float32)
    strided = ActionTuple(table[::2, ::2])
    assert encode_step({"A": strided}, b"") == encode_step({"A": ActionTuple(table[::2, ::2].copy())}, b"")


def test_reset_encodes_as_with_the_official_client() -> None:
    env = UnityEnvironment.__new__(UnityEnvironment)
    env._side_channel_manager = SideChannelManager([])
    message = UnityMessageProto.FromString(encode_reset(b""))
    assert message.header.status == 200
    assert message.unity_input == env._generate_reset_input()
