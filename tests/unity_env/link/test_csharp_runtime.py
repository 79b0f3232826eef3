"""The link against ML-Agents' own C# runtime: package 4.0.0, its Academy, agents, sensors and communicator.

Nothing is a stand-in but the engine below it and the bottom of its gRPC (see tests/unity_env/csharp/editor.py).
Runs where UNITY_MANAGED and ROSLYN_DIR name folders with the assemblies, and a .NET 8 runtime is installed.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlagents_envs.base_env import ActionTuple
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.rpc_utils import steps_from_proto

from tests.unity_env.csharp.echo import Academy, EchoAgent, random_actions, scene
from tests.unity_env.csharp.session import GRAVITY, NUM_AREAS, SEED, TIME_SCALE, Editor, compile_scene, missing
from unity_env.link.channels import collect_stats
from unity_env.link.communicator import ByteCommunicator
from unity_env.link.environment import UnityPlayer
from unity_env.vector_env import UnityVectorEnv

ROBOT = "Robot?team=0"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the compiled scene."""
    if lacking := missing():
        pytest.skip(lacking)
    folder = tmp_path_factory.mktemp("csharp")
    compile_scene(folder)
    return folder


@pytest.fixture
def editor(compiled: Path, tmp_path: Path) -> Iterator[Editor]:
    playing = Editor(compiled, tmp_path / "Editor.log")
    try:
        yield playing
    finally:
        playing.env.close()
        playing.kill()
        print(playing.log.read_text(encoding="utf-8"))  # pytest shows it where a test failed


def check_decisions(env: UnityPlayer, academy: Academy, behavior: str) -> int:
    """Compare a behavior's DecisionSteps, all of their fields; return how many there are."""
    decisions, _ = env.get_steps(behavior)
    expected = academy.deciding(behavior)
    assert list(decisions.agent_id) == [agent.number for agent in expected]
    for row, agent in enumerate(expected):
        np.testing.assert_array_equal(decisions.obs[0][row], agent.obs())
        assert decisions.reward[row] == agent.rew
        for branch, mask in enumerate(agent.mask()):
            np.testing.assert_array_equal(decisions.action_mask[branch][row], mask)
    return len(expected)


def check_ends(env: UnityPlayer, academy: Academy, behavior: str) -> list[bool]:
    """Compare a behavior's TerminalSteps; return which of them were interrupted."""
    _, terminals = env.get_steps(behavior)
    numbers = [agent.number for agent in academy.agents[behavior] if agent.number in academy.ended]
    assert list(terminals.agent_id) == numbers
    for row, number in enumerate(numbers):
        ended = academy.ended[number]
        np.testing.assert_array_equal(terminals.obs[0][row], ended.obs)
        assert terminals.reward[row] == ended.rew
        assert terminals.interrupted[row] == ended.interrupted
    return [bool(interrupted) for interrupted in terminals.interrupted]


def test_300_steps_of_five_agents_are_what_the_csharp_side_sent_and_received(editor: Editor) -> None:
    rng = np.random.default_rng(3)
    academy = Academy(scene(), GRAVITY, TIME_SCALE)
    editor.env.reset()
    assert list(editor.env.behavior_specs) == list(academy.agents)
    decided, ends = 0, []
    for _ in range(300):
        for behavior in academy.agents:
            decided += check_decisions(editor.env, academy, behavior)
            ends += check_ends(editor.env, academy, behavior)
        actions = random_actions(academy, rng)
        editor.step(actions)
        academy.step(actions)
    assert decided > 1000
    assert ends.count(True) > 60
    assert ends.count(False) > 20
    printed = editor.quit()
    assert f"seed {SEED}\n" in printed
    assert f"areas {NUM_AREAS}\n" in printed
    assert "[error]" not in printed


def no_actions(academy: Academy) -> dict[str, ActionTuple]:
    """What the link sends for agents whose actions were not set."""
    return {
        behavior: ActionTuple(
            np.zeros((len(academy.deciding(behavior)), agents[0].continuous), np.float32),
            np.zeros((len(academy.deciding(behavior)), len(agents[0].branches)), np.int32),
        )
        for behavior, agents in academy.agents.items()
    }


def robot_actions(academy: Academy, *values: float) -> dict[str, ActionTuple]:
    """The robots that decide get `values`, everybody else zeros."""
    actions = no_actions(academy)
    actions[ROBOT].continuous[:] = values
    return actions


def test_a_reset_in_mid_episode_restarts_every_agent(editor: Editor) -> None:
    academy = Academy(scene(), GRAVITY, TIME_SCALE)
    editor.env.reset()
    for steps in (7, 1, 4):
        for _ in range(steps):
            actions = robot_actions(academy, 0.5, 0, 0)
            editor.step(actions)
            academy.step(actions)
        editor.env.reset()
        academy.reset()
        for behavior in academy.agents:
            check_decisions(editor.env, academy, behavior)
            check_ends(editor.env, academy, behavior)


class Rows:
    """What UnityVectorEnv must say about the robots, row by row."""

    def __init__(self, academy: Academy) -> None:
        self.academy = academy
        self.acted = np.zeros(3, dtype=bool)

    @property
    def requesting(self) -> np.ndarray:
        return np.isin(np.arange(3), [agent.number for agent in self.academy.deciding(ROBOT)])

    def step(self, actions: np.ndarray) -> None:
        asked = self.requesting
        self.acted |= asked
        sent = no_actions(self.academy) | {ROBOT: ActionTuple(actions[asked])}
        self.academy.step(sent)

    def check(self, result: tuple[Any, ...]) -> None:
        obs, rew, terminated, truncated, infos = result
        ended = {row: end for row, end in self.academy.ended.items() if row < 3}
        valid = (np.isin(np.arange(3), list(ended)) | self.requesting) & self.acted
        np.testing.assert_array_equal(infos["requesting"], self.requesting)
        np.testing.assert_array_equal(infos["valid"], valid)
        for row, agent in enumerate(self.academy.agents[ROBOT]):
            end = ended.get(row)
            assert (terminated[row], truncated[row]) == (
                end is not None and not end.interrupted,
                end is not None and end.interrupted,
            )
            assert rew[row] == (0 if not valid[row] else agent.rew if end is None else end.rew)
            if end is not None:
                np.testing.assert_array_equal(infos["final_obs"][row], end.obs)
            if self.requesting[row]:
                np.testing.assert_array_equal(obs[row], agent.obs())
        self.acted &= ~valid


def test_the_vector_environment_sees_transitions_of_agents_with_unlike_periods(editor: Editor) -> None:
    env = UnityVectorEnv(editor.env, "Robot")
    academy = Academy(scene(), GRAVITY, TIME_SCALE)
    rows, rng = Rows(academy), np.random.default_rng(1)
    academy.reset()  # the constructor resets twice: to learn the behaviors, and to have everybody at the start
    obs, infos = env.reset()
    academy.reset()
    np.testing.assert_array_equal(obs, [agent.obs() for agent in academy.agents[ROBOT]])
    assert infos["requesting"].all()
    flags = np.zeros(2, dtype=int)
    for _ in range(300):
        actions = rng.uniform(-1, 1, (3, 3)).astype(np.float32)
        actions[:, 2] = rng.choice([2, -2, 0], 3, p=[0.05, 0.05, 0.9])
        result = env.step(actions)
        rows.step(actions)
        rows.check(result)
        flags += [result[2].sum(), result[3].sum()]
    assert (flags > 20).all()
    env.close()
    editor.quit()


def test_hybrid_actions_and_masks_pass_the_vector_environment_and_steps_without_its_agents(editor: Editor) -> None:
    env, rng = UnityVectorEnv(editor.env, "Sorter"), np.random.default_rng(4)
    obs, infos = env.reset()
    for _ in range(20):
        for branch, mask in enumerate(infos["action_mask"]):
            assert list(np.flatnonzero(mask[0])) == ([obs[0, 3] % 3] if branch == 0 else [])
        continuous = rng.uniform(-1, 1, (1, 2)).astype(np.float32)
        discrete = np.array([[rng.choice(np.flatnonzero(~mask[0])) for mask in infos["action_mask"]]])
        before = obs[0, 3]
        obs, rew, _, _, infos = env.step({"continuous": continuous, "discrete": discrete})
        assert list(obs[0, 6:]) == [*continuous[0], *discrete[0]]
        assert obs[0, 3] == before + 2  # decides in every other step, acts in both
        assert rew[0] == 2 * continuous[0, 0]


def test_side_channels_settings_parameters_and_statistics_arrive(editor: Editor) -> None:
    academy = Academy(scene(), GRAVITY, TIME_SCALE)
    editor.orders.give("hello", 1.5, -2, 1e-20)
    editor.env.reset()
    assert editor.orders.answers == [("done: hello", 3, [1.5, -2, float(np.float32(1e-20))])]
    for value in (0.25, -0.5, 1):
        actions = robot_actions(academy, value, 0, 0)
        editor.step(actions)
        academy.step(actions)
    # The Sorter's zeros count too: four agents with continuous actions, of which robot 2 repeats its first one.
    received = [0.25, 0.25, 0.25, 0, -0.5, -0.5, 0.25, 0, 1, 1, 0.25, 0]
    stats = collect_stats([editor.channels])
    assert stats == {"scene/received": pytest.approx(np.mean(received)), "scene/actions": 12, "scene/last": 0}

    editor.channels.engine.set_configuration_parameters(time_scale=2.5)
    editor.channels.parameters.set_float_parameter("gravity", 1.625)
    editor.env.step()
    assert list(editor.env.get_steps(ROBOT)[0].obs[0][0, 4:6]) == [1.625, 2.5]
    editor.channels.parameters.set_uniform_sampler_parameters("gravity", 2, 3, 5)
    drawn = []
    for _ in range(20):
        editor.env.step()
        drawn.append(editor.env.get_steps(ROBOT)[0].obs[0][0, 4])
    assert 2 <= min(drawn) < 2.3
    assert 2.7 < max(drawn) <= 3
    printed = editor.quit()
    assert f"seed {SEED}\n" in printed
    assert f"areas {NUM_AREAS}\n" in printed
    assert "screen 84x84\n" in printed
    assert "quality 5\n" in printed


def test_an_agent_leaves_and_comes_back_under_another_id(editor: Editor) -> None:
    env = UnityVectorEnv(editor.env, "Robot")
    idle = np.zeros((3, 3), np.float32)
    editor.orders.give("leave", 1)
    results = [env.step(idle) for _ in range(3)]
    terminated = np.array([result[2] for result in results])
    assert terminated[:, 1].sum() == 1
    assert terminated.sum() == 1
    assert not any(result[3].any() for result in results)
    assert not results[-1][4]["requesting"][1]
    editor.orders.give("return", 1)
    for _ in range(3):
        obs, _, _, _, infos = env.step(idle)
    decisions, _ = editor.env.get_steps(ROBOT)
    assert 1 not in decisions.agent_id
    assert infos["requesting"][1]
    assert obs[1, 0] == 1


def step_until(editor: Editor, behavior: str) -> None:
    for _ in range(5):
        editor.env.step()
        if behavior in editor.env.behavior_specs:
            return
    raise AssertionError(f"{behavior} did not appear")


def test_a_behavior_appears_late_with_stacked_buffered_and_image_sensors(editor: Editor) -> None:
    editor.env.reset()
    editor.orders.give("add watcher")
    name = "Watcher?team=0"
    step_until(editor, name)
    sensors = {sensor.name: sensor.shape for sensor in editor.env.behavior_specs[name].observation_specs}
    vector = "StackingSensor_size2_VectorSensor_size7"
    assert sensors == {vector: (14,), "obstacles": (3, 2), "png": (3, 2, 3), "raw": (3, 2, 3)}
    pixels = [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[0, 0, 0], [255, 255, 255], [128, 128, 128]]]
    image = np.array(pixels, np.float32) / 255
    # Package 4.0.0 announces channels first, but writes raw pixels channels last (ml-agents, pull request 6239).
    images = {"png": np.moveaxis(image, 2, 0), "raw": image.reshape(3, 2, 3)}
    agent = EchoAgent(5, 1, gravity=GRAVITY, time_scale=TIME_SCALE, step_count=1)
    before = np.zeros(7, np.float32)
    for received in range(9):
        obs = dict(zip(sensors, editor.env.get_steps(name)[0].obs, strict=True))
        np.testing.assert_array_equal(obs[vector][0], np.concatenate([before, agent.obs()]))
        obstacles = [(row + 1, received) if row < received % 4 else (0, 0) for row in range(3)]
        np.testing.assert_array_equal(obs["obstacles"][0], obstacles)
        np.testing.assert_array_equal(obs["raw"][0], images["raw"])
        np.testing.assert_array_equal(obs["png"][0], images["png"])
        before = agent.obs()
        agent.last[:] = 0.125 * received
        editor.step({name: ActionTuple(agent.last[None])})
        agent.act()
        agent.step_count += 1


def test_agents_of_a_group_share_their_reward(editor: Editor) -> None:
    editor.env.reset()
    editor.orders.give("add team")
    step_until(editor, "Player?team=0")
    editor.env.step()
    decisions, _ = editor.env.get_steps("Player?team=0")
    assert len(decisions) == 2
    assert decisions.group_id[0] == decisions.group_id[1] > 0
    assert list(decisions.group_reward) == [0.5, 0.5]


def test_its_messages_mean_to_us_what_they_mean_to_the_official_client(
    editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[bytes] = []
    receive = ByteCommunicator.receive

    def recorded(self: ByteCommunicator, *args: Any) -> bytes:
        messages.append(receive(self, *args))
        return messages[-1]

    monkeypatch.setattr(ByteCommunicator, "receive", recorded)
    academy, rng = Academy(scene(), GRAVITY, TIME_SCALE), np.random.default_rng(2)
    editor.env.reset()
    for _ in range(50):
        reported = UnityMessageProto.FromString(messages[-1]).unity_output.rl_output.agentInfos
        for name, spec in editor.env.behavior_specs.items():
            records = reported[name].value if name in reported else []
            for mine, theirs in zip(editor.env.get_steps(name), steps_from_proto(records, spec), strict=True):
                assert_same_steps(vars(mine), vars(theirs))
        actions = random_actions(academy, rng)
        editor.step(actions)
        academy.step(actions)


def assert_same_steps(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    for field, value in theirs.items():
        if isinstance(value, list):
            for my_part, their_part in zip(mine[field], value, strict=True):
                np.testing.assert_array_equal(my_part, their_part)
        elif value is None:
            assert mine[field] is None
        else:
            np.testing.assert_array_equal(mine[field], value)
