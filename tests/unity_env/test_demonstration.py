"""ML-Agents' .demo files: ours, Unity's, and damaged ones."""

import contextlib
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.internal.decoder import _DecodeVarint32  # type: ignore[attr-defined]  # as ML-Agents' loader does
from google.protobuf.message import Message
from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.communicator_objects.agent_info_action_pair_pb2 import AgentInfoActionPairProto
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.communicator_objects.demonstration_meta_pb2 import DemonstrationMetaProto

from tests.fakes import spec_of
from unity_env.demonstration import (
    HEADER,
    DemonstrationError,
    Moment,
    describe,
    encode_demonstrations,
    read_demonstrations,
)
from unity_env.link.wire import varint

Array = np.ndarray
SPEC = spec_of(("observation", 3), ("signals", 2))
HYBRID = spec_of(("observation", 3), action=ActionSpec(2, (3, 4)))


def moments(spec: BehaviorSpec, length: int, start: int) -> list[Moment]:
    """An episode whose numbers are all different."""

    def one(t: int, done: bool) -> Moment:
        obs = [np.arange(*sensor.shape, dtype=np.float32) + 10 * t + start for sensor in spec.observation_specs]
        continuous = np.full((1, spec.action_spec.continuous_size), start + t + 0.5, dtype=np.float32)
        discrete = np.full((1, spec.action_spec.discrete_size), t % 3, dtype=np.int32)
        action = spec.action_spec.empty_action(1) if done else ActionTuple(continuous, discrete)
        return Moment(obs, action, rew=float(t), done=done, interrupted=done)

    return [*(one(t, done=False) for t in range(length)), one(length, done=True)]


def written(path: Path, spec: BehaviorSpec = SPEC, lengths: tuple[int, ...] = (3, 2)) -> list[list[Moment]]:
    episodes = [moments(spec, length, 100 * index) for index, length in enumerate(lengths)]
    path.write_bytes(encode_demonstrations("RobotArm", spec, episodes))
    return episodes


def as_ml_agents_reads(data: bytes) -> tuple[Any, Any, list[Any]]:
    """Metadata, behavior and pairs, taken apart as ML-Agents' trainers do."""
    size, at = _DecodeVarint32(data, 0)
    meta = DemonstrationMetaProto.FromString(data[at : at + size])
    size, at = _DecodeVarint32(data, 33)
    brain = BrainParametersProto.FromString(data[at : at + size])
    at += size
    pairs: list[Any] = []
    while at < len(data) and len(pairs) < meta.number_steps:
        size, at = _DecodeVarint32(data, at)
        pairs.append(AgentInfoActionPairProto.FromString(data[at : at + size]))
        at += size
    return meta, brain, pairs


@pytest.mark.parametrize("spec", [SPEC, HYBRID])
def test_what_was_written_is_read(tmp_path: Path, spec: BehaviorSpec) -> None:
    episodes = written(tmp_path / "a.demo", spec)
    demos = read_demonstrations(tmp_path / "a.demo")
    asked = [moment for episode in episodes for moment in episode if not moment.done]
    assert (len(demos), demos.episodes) == (5, 2)
    assert describe(demos.spec) == describe(spec)
    for index, sensor in enumerate(demos.obs):
        np.testing.assert_array_equal(sensor, [moment.obs[index] for moment in asked])
    np.testing.assert_array_equal(demos.action.continuous, [moment.action.continuous[0] for moment in asked])
    np.testing.assert_array_equal(demos.action.discrete, [moment.action.discrete[0] for moment in asked])


def test_ml_agents_finds_each_answer_beside_its_question(tmp_path: Path) -> None:
    episodes = written(tmp_path / "a.demo")
    meta, brain, pairs = as_ml_agents_reads((tmp_path / "a.demo").read_bytes())
    assert (meta.api_version, meta.number_steps, meta.number_episodes) == (1, 7, 2)
    assert meta.mean_reward == pytest.approx(((0 + 1 + 2 + 3) + (0 + 1 + 2)) / 2)
    assert (brain.brain_name, brain.action_spec.num_continuous_actions) == ("RobotArm", 2)
    for pair, moment in zip(pairs, [moment for episode in episodes for moment in episode], strict=True):
        assert list(pair.action_info.continuous_actions) == moment.action.continuous[0].tolist()
        assert [list(obs.float_data.data) for obs in pair.agent_info.observations] == [of.tolist() for of in moment.obs]
        assert (pair.agent_info.done, pair.agent_info.reward) == (moment.done, moment.rew)


def delimited(message: Message) -> bytes:
    return varint(message.ByteSize()) + message.SerializeToString()


def unity_pair(obs: float, action: list[float], episode: int, *, done: bool = False, older: bool = False) -> Any:
    pair = AgentInfoActionPairProto()
    pair.agent_info.id, pair.agent_info.done = episode, done
    sensor = pair.agent_info.observations.add()
    sensor.shape.append(2)
    sensor.float_data.data.extend([obs, -obs])
    field = "vector_actions_deprecated" if older else "continuous_actions"
    getattr(pair.action_info, field).extend(action)
    return pair


def unity_file(pairs: list[Any], *, closed: bool = True, older: bool = False) -> bytes:
    """A file as DemonstrationWriter.cs leaves it: when it is closed, the metadata also stands bare at the end."""
    meta = DemonstrationMetaProto(api_version=0 if older else 1, demonstration_name="robotrl")
    brain = BrainParametersProto(brain_name="Crawler")
    if older:
        brain.vector_action_size_deprecated.append(1)
        brain.vector_action_space_type_deprecated = 1  # the enum's continuous
    else:
        brain.action_spec.num_continuous_actions = 1
    if closed:
        meta.number_steps, meta.number_episodes = len(pairs), 2
    body = b"".join(map(delimited, (brain, *pairs)))
    return delimited(meta).ljust(33, b"\0") + body + (meta.SerializeToString() if closed else b"")


def unity_recording(*, older: bool = False) -> list[Any]:
    """Two episodes, the second under way: a message has the action of the decision before, the first of all none."""
    return [
        unity_pair(1.0, [0.0], 7, older=older),
        unity_pair(2.0, [0.1], 7, older=older),
        unity_pair(3.0, [0.2], 7, older=older),
        unity_pair(4.0, [0.3], 7, done=True, older=older),
        unity_pair(5.0, [0.0], 8, older=older),
        unity_pair(6.0, [0.5], 8, older=older),
    ]


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("older", [True, False])
def test_unitys_answers_are_found_in_the_message_after_their_question(
    tmp_path: Path, closed: bool, older: bool
) -> None:
    (tmp_path / "u.demo").write_bytes(unity_file(unity_recording(older=older), closed=closed, older=older))
    demos = read_demonstrations(tmp_path / "u.demo")
    np.testing.assert_allclose(demos.obs[0], [[1, -1], [2, -2], [3, -3], [5, -5]])
    np.testing.assert_allclose(demos.action.continuous, [[0.1], [0.2], [0.3], [0.5]])
    assert demos.episodes == 2


def test_an_episode_that_was_cut_off_does_not_run_into_the_next(tmp_path: Path) -> None:
    pairs = [unity_pair(1.0, [0.0], 7), unity_pair(2.0, [0.1], 7), unity_pair(3.0, [0.0], 8), unity_pair(4.0, [0.3], 8)]
    (tmp_path / "u.demo").write_bytes(unity_file(pairs))
    assert read_demonstrations(tmp_path / "u.demo").obs[0][:, 0].tolist() == [1, 3]


def test_a_folder_is_the_sum_of_its_files(tmp_path: Path) -> None:
    written(tmp_path / "b.demo", lengths=(2,))
    written(tmp_path / "a.demo", lengths=(3,))
    (tmp_path / "notes.txt").write_text("not one of them")
    both = read_demonstrations(tmp_path)
    parts = [read_demonstrations(tmp_path / name) for name in ("a.demo", "b.demo")]
    np.testing.assert_array_equal(both.obs[0], np.concatenate([part.obs[0] for part in parts]))
    np.testing.assert_array_equal(both.action.continuous, np.concatenate([part.action.continuous for part in parts]))
    assert (len(both), both.episodes) == (5, 2)


def test_a_folder_of_different_behaviors_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "a.demo")
    written(tmp_path / "b.demo", spec_of(("observation", 4)))
    with pytest.raises(
        DemonstrationError,
        match=r"b\.demo: has observation 4 and 2 continuous .* \S*a\.demo has observation 3, signals 2 and 2",
    ):
        read_demonstrations(tmp_path)


def with_nan() -> bytes:
    return unity_file([unity_pair(1.0, [0.0], 7), unity_pair(float("nan"), [0.1], 7), unity_pair(3.0, [0.1], 7)])


def with_wide_action() -> bytes:
    return unity_file([unity_pair(1.0, [0.0], 7), unity_pair(2.0, [0.1, 0.2], 7), unity_pair(3.0, [0.1], 7)])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not an ML-Agents demonstration: too short"),
        (b"behaviors:\n  RobotArm: {}\n" * 9, "not an ML-Agents demonstration"),
        (unity_file([]), "holds no decisions"),
        (unity_file([unity_pair(1.0, [0.0], 7)]), "nothing to learn from"),
        (unity_file(unity_recording())[:-40], r"damaged|ends inside a message"),
        (unity_file(unity_recording(), closed=False)[:-3], r"ends inside a message \(byte \d+\)"),
        (delimited(DemonstrationMetaProto(api_version=9)).ljust(HEADER, b"\0"), "version 0 or 1"),
        (with_nan(), r"agent 7, component 0: nan"),
        (with_wide_action(), "not every step has 1 continuous actions"),
    ],
)
def test_a_damaged_file_costs_one_line_that_names_it(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "bad.demo").write_bytes(content)
    with pytest.raises(DemonstrationError, match=says) as error:
        read_demonstrations(tmp_path / "bad.demo")
    assert str(error.value).startswith(f"{tmp_path / 'bad.demo'}: ")
    assert "\n" not in str(error.value)


def test_whatever_is_cut_off_or_changed_is_refused_or_read_but_never_a_crash(tmp_path: Path) -> None:
    written(tmp_path / "a.demo")
    whole = (tmp_path / "a.demo").read_bytes()
    rng = random.Random(0)
    for cut in range(0, len(whole), 7):
        (tmp_path / "b.demo").write_bytes(whole[:cut])
        with pytest.raises(DemonstrationError):
            read_demonstrations(tmp_path / "b.demo")
    for _ in range(300):
        changed = bytearray(whole)
        changed[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        (tmp_path / "b.demo").write_bytes(changed)
        with contextlib.suppress(DemonstrationError):
            read_demonstrations(tmp_path / "b.demo")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DemonstrationError, match=r"nowhere\.demo: cannot be read: No such file"):
        read_demonstrations(tmp_path / "nowhere.demo")
    with pytest.raises(DemonstrationError, match=r"holds no \.demo file"):
        read_demonstrations(tmp_path)
