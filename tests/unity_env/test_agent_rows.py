"""AgentRows: agents come, go, skip steps and change their ids; rows, rewards and actions stay theirs."""

import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from mlagents_envs.base_env import ActionSpec, BehaviorSpec

from tests.fakes import Message, Report, ScriptedUnity, spec_of
from tests.unity_env.agent_world import Model, histories
from unity_env.agent_rows import AgentRows, StepResult
from unity_env.vector_env import UnityVectorEnv, find_behavior

SPEC = spec_of(("observation", 1))
DISCRETE = spec_of(("observation", 1), action=ActionSpec.create_discrete((3, 2)))


class Driven:
    """AgentRows that is fed message by message."""

    def __init__(self, *agents: int, rows: int | None = None, spec: BehaviorSpec = SPEC) -> None:
        self.rows = AgentRows("Robot", spec, {}, rows)
        self.sent: Any = None
        self.begin(Message([Report(agent, agent) for agent in agents]))

    def begin(self, message: Message) -> tuple[Any, dict[str, Any]]:
        return self.rows.begin(ScriptedUnity(self.rows.spec, [message]).get_steps("Robot")[0])

    def send(self, actions: Any = None) -> Any:
        self.sent = self.rows.send(numbered(self.rows.num_rows) if actions is None else actions)
        return self.sent

    def step(self, decisions: list[Report], terminals: tuple[Report, ...] = (), **more: Any) -> StepResult:
        self.send(more.pop("actions", None))
        message = Message(decisions, terminals, more.pop("masks", None))
        return self.rows.receive(*ScriptedUnity(self.rows.spec, [message]).get_steps("Robot"))


def numbered(rows: int, first: float = 1.0) -> np.ndarray:
    """Row i gets the actions (first + i, -(first + i))."""
    return np.outer(np.arange(rows) + first, [1, -1]).astype(np.float32)


def test_an_agent_under_a_new_id_takes_the_row_of_the_one_that_ended() -> None:
    driven = Driven(1, 2, 3)
    driven.step([Report(1, 11), Report(3, 13)], (Report(2, 12),))
    obs, _, _, _, infos = driven.step([Report(1, 21), Report(77, 22, 0.5), Report(3, 23)])
    assert obs[:, 0].tolist() == [21, 22, 23]
    assert infos["valid"].tolist() == [True, False, True]
    assert infos["requesting"].tolist() == [True] * 3
    _, rew, *_ = driven.step([Report(1, 31), Report(77, 32, 0.25), Report(3, 33)])
    assert rew[1] == 0.75


def test_ids_in_an_array_that_is_used_again_are_read_again() -> None:
    driven, ids = Driven(1, 2), np.array([1, 2])

    def seen(first: float) -> list[float]:
        decisions, terminals = ScriptedUnity(SPEC, [Message([Report(0, first), Report(1, first + 1)])]).get_steps(
            "Robot"
        )
        decisions.agent_id = ids
        driven.send()
        observed: list[float] = driven.rows.receive(decisions, terminals)[0][:, 0].tolist()
        return observed

    assert [seen(10), seen(20)] == [[10, 11], [20, 21]]
    ids[:] = 2, 1
    assert seen(30) == [31, 30]
    ids[:] = 1, 2
    ids.flags.writeable = False
    assert [seen(40), seen(50)] == [[40, 41], [50, 51]]
    driven.step([Report(2, 61), Report(1, 60)])
    assert seen(70) == [70, 71]


def test_new_agents_take_the_lowest_idle_rows_in_message_order() -> None:
    driven = Driven(1, 2, 3)
    driven.step([Report(2, 12)], (Report(3, 13), Report(1, 11)))
    obs, *_ = driven.step([Report(9, 29), Report(2, 22), Report(8, 28)])
    assert obs[:, 0].tolist() == [29, 22, 28]


def test_an_agent_that_ended_alone_gets_its_own_row_back_if_nobody_took_it() -> None:
    driven = Driven(1, 2)
    driven.step([], (Report(1, 11), Report(2, 12)))
    obs, *_ = driven.step([Report(2, 22)])
    assert obs[:, 0].tolist() == [1, 22]
    obs, *_ = driven.step([Report(5, 35)])
    assert obs[:, 0].tolist() == [35, 22]
    obs, *_ = driven.step([Report(2, 42)], (Report(5, 45),))
    obs, *_ = driven.step([Report(1, 51)])
    assert obs[:, 0].tolist() == [51, 42]


def test_the_end_of_an_agent_whose_row_is_taken_does_not_end_the_new_agents_episode() -> None:
    driven = Driven(1)
    driven.step([], (Report(1, 11),))
    driven.step([Report(2, 22)])
    _, rew, terminated, truncated, infos = driven.step([], (Report(1, 31, 9.0),))
    assert not (terminated | truncated | infos["valid"]).any()
    assert rew.tolist() == [0]
    assert not infos.get("_final_obs", np.zeros(1)).any()


def test_an_agent_that_comes_in_the_message_of_another_ones_end_takes_its_row() -> None:
    driven = Driven(1, 2)
    obs, rew, terminated, _, infos = driven.step([Report(2, 12, 0.5), Report(7, 17, 5.0)], (Report(1, 11, 2.0),))
    assert obs[:, 0].tolist() == [17, 12]
    assert rew.tolist() == [2.0, 0.5]
    assert terminated.tolist() == [True, False]
    assert infos["final_obs"][0].tolist() == [11]
    assert infos["requesting"].tolist() == [True, True]


def test_agents_beyond_the_rows_get_zero_actions_and_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        driven = Driven(4, 5, 6, rows=2)
        assert driven.send().continuous.tolist() == [[1, -1], [2, -2], [0, 0]]
        driven.rows.receive(*ScriptedUnity(SPEC, [Message([Report(6, 0), Report(4, 0)])]).get_steps("Robot"))
        assert driven.send().continuous.tolist() == [[0, 0], [1, -1]]
    assert [record.getMessage() for record in caplog.records] == [
        "Robot: agent 6 has no row, all 2 are taken; until one is free it, and any other such agent, gets zero actions"
    ]


def test_nothing_that_an_agent_without_a_row_reports_reaches_a_row() -> None:
    driven = Driven(4, 5, rows=1)
    obs, rew, terminated, truncated, infos = driven.step(
        [Report(5, 50, 9.0), Report(4, 40, 1.0)], (Report(5, 55, 9.0),)
    )
    assert obs.tolist() == [[40]]
    assert rew.tolist() == [1.0]
    assert not (terminated | truncated).any()
    assert not infos.get("_final_obs", np.zeros(1)).any()


def test_an_agent_without_a_row_gets_one_as_soon_as_one_is_free() -> None:
    driven = Driven(1, 2, rows=1)
    driven.step([Report(2, 12)], (Report(1, 11),))
    obs, *_, infos = driven.step([Report(2, 22)])
    assert obs.tolist() == [[22]]
    assert infos["requesting"].tolist() == [True]
    assert driven.send().continuous.tolist() == [[1, -1]]


def test_an_agent_that_appears_before_the_one_it_replaces_ends_is_not_lost() -> None:
    driven = Driven(1)
    for agent in range(2, 6):
        driven.step([Report(agent - 1, 0), Report(agent, 0)])
        driven.step([Report(agent, 1)], (Report(agent - 1, 0),))
        *_, infos = driven.step([Report(agent, 2)])
        assert infos["requesting"].tolist() == [True], f"agent {agent}"


def test_an_agent_that_goes_on_in_the_message_of_its_end_does_not_share_its_row_with_a_new_agent() -> None:
    driven = Driven(1, 2)
    driven.step([Report(1, 11)], (Report(2, 12),))
    obs, *_ = driven.step([Report(1, 21), Report(7, 27)], (Report(1, 19),))
    assert obs[:, 0].tolist() == [21, 27]
    assert driven.send().continuous[:, 0].tolist() == [1, 2]


def test_two_ends_of_an_agent_in_one_message_end_one_episode_with_the_first_ones_reward() -> None:
    driven = Driven(1)
    obs, rew, terminated, truncated, infos = driven.step(
        [Report(1, 13, 0.25)], (Report(1, 11, 1.0), Report(1, 12, 9.0, interrupted=True))
    )
    assert rew.tolist() == [1.0]
    assert (terminated.tolist(), truncated.tolist()) == ([True], [False])
    assert infos["final_obs"].tolist() == [[11]]
    assert obs.tolist() == [[13]]


def test_agents_without_a_decision_keep_their_transition_open_and_their_action() -> None:
    driven = Driven(1, 2)
    first, second, third = numbered(2), numbered(2, 11), numbered(2, 21)
    *_, infos = driven.step([Report(2, 12, 0.5)], actions=first)
    assert (infos["valid"].tolist(), infos["requesting"].tolist()) == ([False, True], [False, True])
    _, rew, *_, infos = driven.step([], (Report(2, 22, 0.5),), actions=second)
    assert (infos["valid"].tolist(), infos["requesting"].tolist()) == ([False, True], [False, False])
    assert infos["action"][1].tolist() == second[1].tolist()
    _, rew, *_, infos = driven.step([Report(1, 31, 3.0)], actions=third)
    assert driven.sent.continuous.shape == (0, 2)
    assert (infos["valid"].tolist(), infos["requesting"].tolist()) == ([True, False], [True, False])
    assert infos["action"][0].tolist() == first[0].tolist()
    assert rew.tolist() == [3.0, 0.0]


def test_a_step_in_which_nobody_reports_changes_nothing() -> None:
    driven = Driven(1, 2)
    before = driven.step([Report(1, 11), Report(2, 12)])[0]
    obs, rew, terminated, truncated, infos = driven.step([])
    assert obs.tolist() == before.tolist()
    assert not rew.any()
    assert not (terminated | truncated | infos["valid"] | infos["requesting"]).any()
    _, rew, *_, infos = driven.step([Report(1, 21, 1.0), Report(2, 22, 2.0)])
    assert infos["valid"].all()
    assert rew.tolist() == [1.0, 2.0]


def test_results_of_earlier_steps_are_not_written_over() -> None:
    driven = Driven(1)
    results = [driven.step([Report(1, 10 + step, step)], actions=numbered(1, step)) for step in range(3)]
    assert [result[0].item() for result in results] == [10, 11, 12]
    assert [result[1].item() for result in results] == [0, 1, 2]
    assert [result[4]["action"][0, 0] for result in results] == [0, 1, 2]


def test_a_reset_in_mid_episode_ends_nothing_and_the_standing_reward_is_ignored() -> None:
    driven = Driven(1, 2)
    driven.step([Report(1, 11)], (Report(2, 12),))
    driven.send()
    obs, infos = driven.begin(Message([Report(2, 42, 50.0), Report(1, 41, 60.0)]))
    assert obs[:, 0].tolist() == [42, 41]
    assert (infos["valid"].tolist(), infos["requesting"].tolist()) == ([False] * 2, [True] * 2)
    obs, rew, terminated, truncated, infos = driven.step([Report(1, 51, 1.0), Report(2, 52, 2.0)])
    assert obs[:, 0].tolist() == [52, 51]
    assert rew.tolist() == [2.0, 1.0]
    assert infos["valid"].all()
    assert not (terminated | truncated).any()


def test_after_a_reset_fewer_agents_leave_rows_idle() -> None:
    driven = Driven(1, 2, 3)
    obs, infos = driven.begin(Message([Report(3, 7)]))
    assert obs[:, 0].tolist() == [7, 0, 0]
    assert infos["requesting"].tolist() == [True, False, False]
    assert driven.send().continuous.tolist() == [[1, -1]]


def test_discrete_actions_go_out_in_message_order_and_masks_come_to_their_rows() -> None:
    driven = Driven(1, 2, 3, spec=DISCRETE)
    masks = [np.array([[0, 0, 1], [1, 1, 0]], bool), np.array([[1, 0], [0, 1]], bool)]
    chosen = np.array([[0, 1], [1, 0], [2, 1]])
    *_, infos = driven.step([Report(3, 13), Report(1, 11)], masks=masks, actions=chosen)
    assert driven.sent.discrete.tolist() == chosen.tolist()
    assert infos["action_mask"][0].tolist() == [[True, True, False], [False] * 3, [False, False, True]]
    assert infos["action_mask"][1].tolist() == [[False, True], [False, False], [True, False]]
    *_, infos = driven.step([], actions=chosen[::-1])
    assert driven.sent.discrete.tolist() == [[0, 1], [2, 1]]
    assert "action_mask" not in infos


def test_masks_of_agents_without_a_row_are_dropped() -> None:
    driven = Driven(1, rows=1, spec=DISCRETE)
    masks = [np.array([[1, 1, 1], [0, 1, 0]], bool), np.array([[1, 1], [1, 0]], bool)]
    *_, infos = driven.step([Report(9, 0), Report(1, 0)], masks=masks, actions=np.array([[2, 1]]))
    assert [mask.tolist() for mask in infos["action_mask"]] == [[[False, True, False]], [[True, False]]]
    assert driven.send(np.array([[2, 1]])).discrete.tolist() == [[0, 0], [2, 1]]


def test_both_parts_of_hybrid_actions_go_to_their_agents_and_are_remembered() -> None:
    driven = Driven(1, 2, spec=spec_of(("observation", 1), action=ActionSpec(2, (5,))))
    first = {"continuous": numbered(2), "discrete": np.array([[1], [2]])}
    second = {"continuous": numbered(2, 11), "discrete": np.array([[3], [4]])}
    driven.step([Report(2, 12)], actions=first)
    *_, infos = driven.step([Report(2, 22), Report(1, 21)], actions=second)
    assert driven.sent.continuous.tolist() == [[12, -12]]
    assert driven.sent.discrete.tolist() == [[4]]
    assert infos["action"]["continuous"][:, 0].tolist() == [1, 12]
    assert infos["action"]["discrete"][:, 0].tolist() == [1, 4]
    driven.send(first)
    assert driven.sent.continuous[:, 0].tolist() == [2, 1]
    assert driven.sent.discrete[:, 0].tolist() == [2, 1]


@given(histories())
@hypothesis_settings(max_examples=250)
def test_any_history_of_messages_is_told_as_the_plain_model_tells_it(history: tuple[int, list[Message]]) -> None:
    rows, (start, *messages) = history
    model, driven = Model(rows), Driven(0, rows=rows)
    model.begin(start)
    driven.begin(start)
    last_sent: dict[int, float] = {}  # row -> its newest action that has not come to anything yet
    for step, message in enumerate(messages):
        actions = numbered(rows, 100.0 * (step + 1))
        wanted = [0.0 if row is None else float(actions[row, 0]) for row in model.requests]
        last_sent |= {row: float(actions[row, 0]) for row in model.requests if row is not None}
        model.send()
        obs, rew, terminated, truncated, infos = driven.step(
            list(message.decisions), tuple(message.terminals), actions=actions
        )
        assert driven.sent.continuous[:, 0].tolist() == wanted
        expected = model.receive(message)
        assert {int(row): float(rew[row]) for row in np.flatnonzero(infos["valid"])} == expected.rew
        assert not rew[~infos["valid"]].any()
        assert set(np.flatnonzero(infos["requesting"])) == expected.requesting
        assert set(np.flatnonzero(terminated | truncated)) == expected.ends.keys()
        assert not (terminated & truncated).any()
        for row, report in expected.ends.items():
            assert truncated[row] == report.interrupted
            assert infos["final_obs"][row, 0] == report.obs
        assert {row: float(obs[row, 0]) for row in expected.obs} == expected.obs
        for row in expected.rew:
            assert infos["action"][row, 0] == last_sent.pop(row)  # once: an action has one transition
    for life in model.finished:
        assert sum(life.paid) == sum(life.due)


def test_a_behavior_is_found_by_its_name_with_or_without_its_team() -> None:
    scene = ScriptedUnity(SPEC, [Message([Report(1, 0)])] * 2, behavior="Robot?team=1")
    assert find_behavior(scene, None) == "Robot?team=1"
    assert find_behavior(scene, "Robot") == "Robot?team=1"
    assert find_behavior(scene, "Robot?team=1") == "Robot?team=1"
    env = UnityVectorEnv(scene, "Robot")
    env.reset()
    env.step(numbered(1))
    assert (env.behavior, len(scene.sent)) == ("Robot?team=1", 1)


def test_a_name_without_team_does_not_choose_between_teams() -> None:
    scene = ScriptedUnity(SPEC, [Message()], behavior="Robot?team=0", others=["Robot?team=1", "Arm?team=0"])
    with pytest.raises(ValueError, match=r"Robot\?team=0, Robot\?team=1$"):
        find_behavior(scene, "Robot")
    assert find_behavior(scene, "Robot?team=1") == "Robot?team=1"
    assert find_behavior(scene, "Arm") == "Arm?team=0"


class Late(ScriptedUnity):
    """A scene whose behavior is known from its first message with an agent on."""

    @property
    def behavior_specs(self) -> dict[str, BehaviorSpec]:
        seen = self.messages[: self._at + 1] if self._was_reset else []
        return {self.behavior: self.spec} if any(message.decisions for message in seen) else {}

    def step(self) -> None:
        self._at = min(self._at + 1, len(self.messages) - 1)


def test_a_behavior_that_appears_late_is_waited_for() -> None:
    scene = Late(SPEC, [Message()] * 30 + [Message([Report(3, 8)])])
    env = UnityVectorEnv(scene, "Robot")
    assert env.num_envs == 1
    assert env.reset()[0].tolist() == [[8]]


def test_a_behavior_that_never_appears_is_given_up_with_those_that_did() -> None:
    with pytest.raises(ValueError, match="behavior Robot: the environment has none"):
        find_behavior(Late(SPEC, [Message()]), "Robot")
    with pytest.raises(ValueError, match="behavior Arm: the environment has Robot"):
        find_behavior(Late(SPEC, [Message([Report(1, 0)])]), "Arm")
