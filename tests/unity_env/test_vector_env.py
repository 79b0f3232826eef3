"""UnityVectorEnv over messages as Unity sends them: any order, gaps, ends and starts in one message."""

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from mlagents_envs.base_env import ActionSpec
from mlagents_envs.exception import UnityTimeOutException

from tests.fakes import Message, Report, ScriptedUnity, spec_of
from unity_env import UnityGymEnv, UnityVectorEnv
from unity_env.spaces import Component, SensorLayout

START = Message([Report(3, 1.0), Report(5, 2.0), Report(9, 3.0)])
ONE_SENSOR = spec_of(("observation", 2))


def actions(rows: int = 3) -> np.ndarray:
    """Row i gets the actions (i, -i) / 10."""
    return np.outer(np.arange(rows), [0.1, -0.1]).astype(np.float32)


def play(*messages: Message, **unity: Any) -> tuple[UnityVectorEnv, ScriptedUnity]:
    scene = ScriptedUnity(unity.pop("spec", ONE_SENSOR), [START, *messages], **unity)
    env = UnityVectorEnv(scene)
    env.reset()
    return env, scene


def component(name: str, size: int) -> Component:
    return Component(name, size, "1", "none", (-1000.0, 1000.0), "")


def test_rows_are_agents_in_the_order_of_the_first_message() -> None:
    env, _ = play()
    obs, infos = env.reset()
    assert obs.tolist() == [[1, 1], [2, 2], [3, 3]]
    assert infos["requesting"].tolist() == [True] * 3
    assert not infos["valid"].any()  # nothing has come of any action yet


def test_a_message_in_another_order_is_put_back_into_rows() -> None:
    env, scene = play(
        Message([Report(9, 30, 0.3), Report(3, 10, 0.1), Report(5, 20, 0.2)]),
        Message([Report(3, 11), Report(5, 21), Report(9, 31)]),
    )
    obs, rew, *_ = env.step(actions())
    assert obs[:, 0].tolist() == [10, 20, 30]
    np.testing.assert_allclose(rew, [0.1, 0.2, 0.3])
    env.step(actions())
    assert scene.sent[0].continuous.tolist() == actions().tolist()
    assert scene.sent[1].continuous.tolist() == actions()[[2, 0, 1]].tolist()


def test_agents_that_do_not_report_are_not_valid_and_get_no_action() -> None:
    env, scene = play(Message([Report(5, 20, 0.2)]), Message([Report(3, 11), Report(5, 21), Report(9, 31)]))
    obs, rew, terminated, truncated, infos = env.step(actions())
    assert infos["valid"].tolist() == [False, True, False]
    assert obs[:, 0].tolist() == [1, 20, 3]
    np.testing.assert_allclose(rew, [0, 0.2, 0])
    assert not (terminated | truncated).any()
    assert infos["requesting"].tolist() == [False, True, False]
    *_, infos = env.step(2 * actions())
    assert scene.sent[1].continuous.tolist() == (2 * actions()[[1]]).tolist()
    assert infos["valid"].tolist() == [True] * 3
    assert infos["action"].tolist() == np.array([actions()[0], 2 * actions()[1], actions()[2]]).tolist()


def test_the_caller_may_use_one_array_for_all_its_actions() -> None:
    env, _ = play(Message([Report(5, 20, 0.2)]), Message([Report(3, 11), Report(5, 21), Report(9, 31)]))
    buffer = actions()
    env.step(buffer)
    buffer[:] = 0.5
    *_, infos = env.step(buffer)
    assert infos["action"][2].tolist() == actions()[2].tolist()


def test_an_end_and_the_next_start_in_one_message_keep_their_rewards_apart() -> None:
    env, _ = play(
        Message([Report(3, 10, 0.1), Report(5, 50, 0.5), Report(9, 30, 0.3)], [Report(5, 20, 2.0)]),
        Message([Report(3, 11, 0.1), Report(5, 51, 0.25), Report(9, 31, 0.3)]),
    )
    obs, rew, terminated, truncated, infos = env.step(actions())
    np.testing.assert_allclose(rew, [0.1, 2.0, 0.3])
    assert obs[:, 0].tolist() == [10, 50, 30]
    assert terminated.tolist() == [False, True, False]
    assert not truncated.any()
    assert infos["_final_obs"].tolist() == [False, True, False]
    assert infos["final_obs"][1].tolist() == [20, 20]
    _, rew, *_ = env.step(actions())
    np.testing.assert_allclose(rew, [0.1, 0.5 + 0.25, 0.3])


def test_interrupted_is_truncated_and_anything_else_terminated() -> None:
    restart = [Report(3, 10), Report(5, 20), Report(9, 30)]
    env, _ = play(Message(restart, [Report(3, 4, interrupted=True), Report(9, 6)]))
    _, _, terminated, truncated, infos = env.step(actions())
    assert terminated.tolist() == [False, False, True]
    assert truncated.tolist() == [True, False, False]
    assert infos["final_obs"][[0, 2], 0].tolist() == [4, 6]


def test_the_first_decision_after_a_lone_end_is_no_transition() -> None:
    env, _ = play(
        Message([Report(3, 10), Report(9, 30)], [Report(5, 20, 2.0)]),
        Message([Report(3, 11), Report(5, 50, 0.5), Report(9, 31)]),
        Message([Report(3, 12), Report(5, 51, 0.25), Report(9, 32)]),
    )
    _, rew, terminated, _, infos = env.step(actions())
    assert terminated.tolist() == [False, True, False]
    assert infos["valid"].tolist() == [True, True, True]
    assert rew[1] == 2.0
    obs, rew, _, _, infos = env.step(actions())
    assert obs[1].tolist() == [50, 50]
    assert infos["valid"].tolist() == [True, False, True]
    _, rew, _, _, infos = env.step(actions())
    assert infos["valid"].tolist() == [True, True, True]
    assert rew[1] == 0.75


def test_a_start_reward_waits_for_the_rows_next_report() -> None:
    others = [Report(3, 10), Report(9, 30)]
    env, _ = play(
        Message([*others, Report(5, 50, 0.5)], [Report(5, 20, 2.0)]),
        Message(others),
        Message([*others, Report(5, 51, 0.25)]),
    )
    env.step(actions())
    _, rew, _, _, infos = env.step(actions())
    assert not infos["valid"][1]
    assert rew[1] == 0
    _, rew, *_ = env.step(actions())
    assert rew[1] == 0.75


def test_rewards_of_the_reset_message_belong_to_no_episode() -> None:
    scene = ScriptedUnity(ONE_SENSOR, [Message([Report(1, 0, 99.0)]), Message([Report(1, 1, 0.5)])])
    env = UnityVectorEnv(scene)
    env.reset()
    _, rew, *_ = env.step(actions(1))
    assert rew.tolist() == [0.5]


def test_messages_without_reports_are_stepped_over() -> None:
    empty = Message()
    scene = ScriptedUnity(ONE_SENSOR, [empty, empty, START, empty, Message([Report(3, 7)])])
    env = UnityVectorEnv(scene)
    obs, _ = env.reset()
    assert obs[:, 0].tolist() == [1, 2, 3]
    obs, *_, infos = env.step(actions())
    assert obs[:, 0].tolist() == [7, 2, 3]
    assert infos["valid"].tolist() == [True, False, False]


def test_an_agent_with_the_id_minus_one_is_an_agent_like_any_other() -> None:
    scene = ScriptedUnity(ONE_SENSOR, [Message([Report(-1, 1)]), Message([], [Report(-1, 2, 5.0)])])
    env = UnityVectorEnv(scene)
    env.reset()
    _, rew, terminated, *_ = env.step(actions(1))
    assert (rew.tolist(), terminated.tolist()) == ([5.0], [True])


class Deserted(ScriptedUnity):
    """Goes on in silence after its last message."""

    def step(self) -> None:
        self._at = min(self._at + 1, len(self.messages) - 1)


def test_a_scene_whose_agents_are_gone_for_good_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unity_env.vector_env.SILENT_STEPS", 20)
    ends = Message([], [Report(agent, 0) for agent in (3, 5, 9)])
    scene = Deserted(ONE_SENSOR, [START, ends, Message()])
    env = UnityVectorEnv(scene)
    env.reset()
    env.step(actions())
    with pytest.raises(UnityTimeOutException, match="behavior Robot: no agent has reported for 20 steps of the scene"):
        env.step(actions())
    scene.messages = [Message()]
    with pytest.raises(UnityTimeOutException, match="no agent has reported"):
        env.reset()


def test_ids_may_be_any_numbers_and_reset_takes_those_of_its_own_message() -> None:
    scene = ScriptedUnity(ONE_SENSOR, [START, Message([Report(5, 20)])])
    env = UnityVectorEnv(scene)
    scene.messages = [Message([Report(70, 1.0), Report(50, 2.0), Report(60, 3.0)]), Message([Report(50, 20)])]
    env.reset()
    obs, *_, infos = env.step(actions())
    assert obs[:, 0].tolist() == [1, 20, 3]
    assert infos["valid"].tolist() == [False, True, False]


def test_one_sensor_is_a_box_of_its_shape() -> None:
    env, _ = play()
    assert env.single_observation_space == spaces.Box(-np.inf, np.inf, (2,), np.float32)


def test_several_sensors_are_a_dict_by_name_without_the_signals() -> None:
    env, _ = play(spec=spec_of(("camera", 2), ("lidar", 3), ("signals", 1)))
    obs, infos = env.reset()
    assert isinstance(env.single_observation_space, spaces.Dict)
    assert set(env.single_observation_space) == {"camera", "lidar"} == set(obs)
    assert obs["camera"].tolist() == [[1, 1], [2, 2], [3, 3]]
    assert obs["lidar"][2].tolist() == [103, 103, 103]
    assert env.observation_space.contains(obs)
    assert "signals" not in infos  # no layout names them


def test_sensors_without_or_with_the_same_name_stay_apart() -> None:
    env, _ = play(spec=spec_of(("", 1), ("lidar", 2), ("lidar", 3)))
    obs, _ = env.reset()
    assert [obs[name].shape for name in obs] == [(3, 1), (3, 2), (3, 3)]
    assert list(obs)[:2] == ["obs_0", "lidar"]


def test_signals_come_by_name_and_final_signals_are_those_of_the_end() -> None:
    scene = ScriptedUnity(
        spec_of(("observation", 1), ("signals", 3)),
        [START, Message([Report(3, 10), Report(5, 50), Report(9, 30)], [Report(5, 20)])],
    )
    layouts = {"signals": SensorLayout([component("speed", 2), component("success", 1)])}
    env = UnityVectorEnv(scene, layouts=layouts)
    _, infos = env.reset()
    assert infos["signals"]["speed"].tolist() == [[101, 101], [102, 102], [103, 103]]
    *_, infos = env.step(actions())
    assert infos["signals"]["success"].tolist() == [[110], [150], [130]]
    assert infos["final_info"]["signals"]["success"][1].tolist() == [120]
    assert infos["_final_info"].tolist() == [False, True, False]


def test_a_layout_bounds_the_space() -> None:
    layout = SensorLayout([Component("a", 1, "m", "base", (-1, 2), ""), Component("b", 1, "m", "base", (0, 5), "")])
    env = UnityVectorEnv(ScriptedUnity(ONE_SENSOR, [START]), layouts={"observation": layout})
    space = env.single_observation_space
    assert isinstance(space, spaces.Box)
    assert (space.low.tolist(), space.high.tolist()) == ([-1, 0], [2, 5])


@pytest.mark.parametrize("sensor", ["observation", "signals"])
def test_a_layout_that_does_not_fit_is_refused_with_both_sizes(sensor: str) -> None:
    scene = ScriptedUnity(spec_of(("observation", 2), ("signals", 2)), [START])
    with pytest.raises(ValueError, match=f"{sensor}.*3.*2"):
        UnityVectorEnv(scene, layouts={sensor: SensorLayout([component("a", 3)])})


def test_discrete_actions_are_multi_discrete_and_sent_as_integers() -> None:
    env, scene = play(START, spec=spec_of(("observation", 1), action=ActionSpec.create_discrete((3, 2))))
    assert env.single_action_space == spaces.MultiDiscrete([3, 2], dtype=np.int32)
    chosen = np.array([[0, 1], [2, 0], [1, 1]])
    assert env.action_space.contains(chosen.astype(np.int32))
    env.step(chosen)
    assert scene.sent[0].discrete.tolist() == chosen.tolist()
    assert scene.sent[0].discrete.dtype == np.int32


def test_hybrid_actions_are_a_dict_of_both() -> None:
    env, scene = play(START, spec=spec_of(("observation", 1), action=ActionSpec(2, (3,))))
    assert isinstance(env.single_action_space, spaces.Dict)
    assert env.single_action_space["continuous"] == spaces.Box(-1, 1, (2,), np.float32)
    assert env.single_action_space["discrete"] == spaces.MultiDiscrete([3], dtype=np.int32)
    env.step({"continuous": actions(), "discrete": np.array([[0], [1], [2]])})
    assert scene.sent[0].continuous.tolist() == actions().tolist()
    assert scene.sent[0].discrete.tolist() == [[0], [1], [2]]


def test_action_masks_are_passed_on() -> None:
    mask = np.array([[True, False, False]] * 3)
    spec = spec_of(("observation", 1), action=ActionSpec.create_discrete((3,)))
    scene = ScriptedUnity(spec, [Message(START.decisions, masks=[mask])])
    _, infos = UnityVectorEnv(scene).reset()
    assert infos["action_mask"][0].tolist() == mask.tolist()


def test_a_behavior_need_not_be_named_where_there_is_one() -> None:
    assert UnityVectorEnv(ScriptedUnity(ONE_SENSOR, [START])).behavior == "Robot"


def test_an_ambiguous_behavior_must_be_named() -> None:
    scene = ScriptedUnity(ONE_SENSOR, [START], others=["Arm"])
    with pytest.raises(ValueError, match=r"Robot.*Arm"):
        UnityVectorEnv(scene)
    assert UnityVectorEnv(scene, "Robot").behavior == "Robot"


def test_an_unknown_behavior_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"Leg.*Robot"):
        UnityVectorEnv(ScriptedUnity(ONE_SENSOR, [START]), "Leg")


def test_close_closes_the_environment_below() -> None:
    env, scene = play()
    env.close()
    assert scene.closed


def test_an_environment_that_cannot_save_its_state_has_none() -> None:
    env, _ = play()
    assert env.state_dict() is None
    with pytest.raises(TypeError, match="ScriptedUnity"):
        env.load_state_dict({})


def test_the_gym_env_refuses_several_agents() -> None:
    with pytest.raises(ValueError, match="3"):
        UnityGymEnv(ScriptedUnity(ONE_SENSOR, [START]))


def test_the_gym_env_returns_the_final_observation_and_goes_on_with_the_episode_that_began() -> None:
    scene = ScriptedUnity(
        ONE_SENSOR,
        [
            Message([Report(4, 1)]),
            Message([Report(4, 2, 0.5)]),
            Message([Report(4, 10)], [Report(4, 3, 2.0)]),
            Message([Report(4, 11, 0.25)]),
            Message([Report(4, 20)], [Report(4, 12, interrupted=True)]),
        ],
    )
    env = UnityGymEnv(scene)
    act = np.zeros(2, np.float32)
    assert env.reset()[0].tolist() == [1, 1]
    assert env.step(act)[1:4] == (0.5, False, False)
    obs, rew, terminated, truncated, _ = env.step(act)
    assert (obs.tolist(), rew, terminated, truncated) == ([3, 3], 2.0, True, False)
    assert env.reset()[0].tolist() == [10, 10]
    assert env.step(act)[0].tolist() == [11, 11]
    obs, _, terminated, truncated, _ = env.step(act)
    assert (obs.tolist(), terminated, truncated) == ([12, 12], False, True)


def test_a_gym_env_reset_after_a_lone_end_waits_for_the_next_episodes_first_observation() -> None:
    lone_end = Message([], [Report(4, 2, 1.0)])
    scene = ScriptedUnity(
        ONE_SENSOR,
        [Message([Report(4, 1)]), lone_end, Message(), Message([Report(4, 10)]), Message([Report(4, 11, 0.5)])],
    )
    env = UnityGymEnv(scene)
    act = np.ones(2, np.float32)
    env.reset()
    obs, rew, terminated, *_ = env.step(act)
    assert (obs.tolist(), rew, terminated) == ([2, 2], 1.0, True)
    assert env.reset()[0].tolist() == [10, 10]
    obs, rew, *_ = env.step(act)
    assert (obs.tolist(), rew) == ([11, 11], 0.5)
    assert scene.sent[-1].continuous.tolist() == [[1, 1]]


def test_a_gym_env_reset_in_mid_episode_restarts_the_scene() -> None:
    scene = ScriptedUnity(ONE_SENSOR, [Message([Report(4, 1)]), Message([Report(4, 2)]), Message([Report(4, 3)])])
    env = UnityGymEnv(scene)
    env.reset()
    env.step(np.zeros(2, np.float32))
    assert env.reset()[0].tolist() == [1, 1]


def test_the_gym_env_takes_hybrid_actions() -> None:
    message = Message([Report(1, 0)])
    scene = ScriptedUnity(spec_of(("observation", 1), action=ActionSpec(1, (3,))), [message, message])
    env = UnityGymEnv(scene)
    env.reset()
    env.step({"continuous": np.array([0.5], np.float32), "discrete": np.array([2], np.int32)})
    assert scene.sent[0].continuous.tolist() == [[0.5]]
    assert scene.sent[0].discrete.tolist() == [[2]]
