from unittest import mock

import numpy as np
import pytest

from reward_shaping import Reward, RewardSettings, RewardWrapper
from reward_shaping.term_log import TermLog
from tests.fakes import Row, ScriptedRows
from tests.helpers import difference


def at(distance: float, **more: object) -> Row:
    return Row({"goal_distance": [distance]}, **more)  # type: ignore[arg-type]  # the fields of Row


# row 0 goes on; row 1 ends at 0.1 in step 2 and starts again at 2.0
STEPS = [
    [at(1.0), at(0.5)],
    [at(0.8), at(0.3)],
    [at(0.7), at(2.0, reward=7.0, terminated=True, final={"goal_distance": [0.1]})],
    [at(0.4), at(1.5)],
]
TERMS = {"way": {"term": "progress", "weight": 10.0}, "jerk": {"term": "action_rate", "weight": -1.0}}
ONE, TWO, THREE = (np.array(values, dtype=np.float32)[:, None] for values in ((1, 0.5), (0.5, 0.5), (0.5, -1)))


def wrap(scale: float = 1.0, steps: list[list[Row]] = STEPS) -> RewardWrapper:
    reward = Reward(RewardSettings.model_validate({"terms": TERMS}), ["goal_distance"])
    return RewardWrapper(ScriptedRows(steps), reward, scale)


def test_rewards_follow_the_signals_and_final_signals_count_in_ended_rows() -> None:
    env = wrap()
    env.reset()
    _, _, _, _, first = env.step(ONE)
    _, _, _, _, second = env.step(TWO)
    _, _, _, _, third = env.step(THREE)
    np.testing.assert_allclose(first["reward_terms"]["way"], [2, 2])
    np.testing.assert_allclose(second["reward_terms"]["way"], [1, 2])  # 0.3 -> 0.1, not 0.3 -> 2.0
    np.testing.assert_allclose(third["reward_terms"]["way"], [3, 5])  # 2.0 -> 1.5 in the new episode


def test_the_previous_action_is_zero_at_an_episodes_start() -> None:
    env = wrap()
    env.reset()
    jerks = [env.step(action)[4]["reward_terms"]["jerk"].tolist() for action in (ONE, TWO, THREE)]
    assert jerks == [[-1, -0.25], [-0.25, 0], [0, -1]]
    env.reset()
    np.testing.assert_allclose(env.step(ONE)[4]["reward_terms"]["jerk"], [-1, -0.25])


def test_environment_and_policy_may_use_their_arrays_again() -> None:
    env, distance, action = wrap(), np.array([[1.0], [1.0]]), ONE.copy()
    rows = env.env
    infos = {"signals": {"goal_distance": distance}}
    nothing = np.zeros(2, dtype=bool)
    with (
        mock.patch.object(rows, "reset", return_value=(np.zeros((2, 1)), infos)),
        mock.patch.object(rows, "step", side_effect=lambda _: (np.zeros((2, 1)), np.zeros(2), nothing, nothing, infos)),
    ):
        env.reset()
        distance -= 0.25
        assert env.step(action)[4]["reward_terms"]["way"].tolist() == [2.5, 2.5]
        distance += 0.5
        action[:] = 0.0
        after = env.step(action)[4]["reward_terms"]
        assert after["way"].tolist() == [-5.0, -5.0]
        assert after["jerk"].tolist() == [-1.0, -0.25]


def test_the_total_replaces_the_environments_reward_which_stays_in_infos() -> None:
    env = wrap()
    env.reset()
    env.step(ONE)
    _, rew, terminated, truncated, infos = env.step(TWO)
    np.testing.assert_allclose(rew, infos["reward_terms"]["way"] + infos["reward_terms"]["jerk"])
    assert infos["env_reward"].tolist() == [0, 7]
    assert terminated.tolist() == [False, True]
    assert not truncated.any()


def test_strength_scales_the_total_but_not_the_breakdown() -> None:
    plain, strong = wrap(), wrap(scale=3.0)
    plain.reset()
    strong.reset()
    _, rew, _, _, infos = plain.step(ONE)
    _, scaled, _, _, scaled_infos = strong.step(ONE)
    np.testing.assert_allclose(scaled, 3 * rew)
    assert difference(infos["reward_terms"], scaled_infos["reward_terms"]) == ""
    assert difference(plain.log.summary(), strong.log.summary()) == ""


def test_a_truncated_row_is_scored_by_its_final_signals_too() -> None:
    end = at(2.0, truncated=True, final={"goal_distance": [0.25]})
    env = wrap(steps=[[at(1.0)], [end], [at(1.0)]])
    env.reset()
    infos = env.step(np.zeros((1, 1), np.float32))[4]
    assert infos["reward_terms"]["way"].tolist() == [7.5]


def test_a_potential_ends_with_the_task_and_outlives_a_time_limit() -> None:
    ends = [
        at(5.0, terminated=True, final={"goal_distance": [2.0]}),
        at(5.0, truncated=True, final={"goal_distance": [2.0]}),
    ]
    term = {"term": "flag", "signal": "goal_distance", "use": "potential", "weight": 1.0}
    reward = Reward(RewardSettings.model_validate({"terms": {"phi": term}}), ["goal_distance"], gamma=0.5)
    env = RewardWrapper(ScriptedRows([[at(1.0), at(1.0)], ends, [at(7.0), at(7.0)]]), reward)
    env.reset()
    paid = [env.step(np.zeros((2, 1), np.float32))[1].tolist() for _ in range(2)]
    assert paid == [[-1, 0.5 * 2 - 1], [0.5 * 7 - 5] * 2]


def test_rows_that_report_nothing_are_paid_nothing() -> None:
    steps = [[at(1.0), at(1.0)], [at(0.5), at(1.0, valid=False)], [at(0.5), at(0.5)]]
    settings = RewardSettings.model_validate({"terms": {"haste": {"term": "time", "weight": -1.0}}})
    env = RewardWrapper(ScriptedRows(steps), Reward(settings, ["goal_distance"]))
    env.reset()
    _, rew, *_ = env.step(ONE)
    assert rew.tolist() == [-1, 0]
    assert env.log.summary() == {
        "reward_per_step/haste": -1.0,
        "reward_active/haste": 1.0,
        "reward_share/haste": 1.0,
    }


def test_an_action_is_compared_with_the_one_that_led_to_the_last_transition() -> None:
    steps = [[at(1.0)], [at(1.0)], [at(1.0, valid=False)], [at(1.0)]]
    settings = RewardSettings.model_validate({"terms": {"jerk": TERMS["jerk"]}})
    env = RewardWrapper(ScriptedRows(steps), Reward(settings, ["goal_distance"]))
    env.reset()
    paid = [float(env.step(np.array([[value]], np.float32))[1][0]) for value in (1.0, 0.25, 0.5)]
    assert paid == [-1, 0, -0.25]  # 0 -> 1, nothing yet, 1 -> 0.5


def test_the_log_of_a_run_is_worked_arithmetic() -> None:
    env = wrap()
    env.reset()
    for action in (ONE, TWO, THREE):
        env.step(action)
    summary = env.log.summary()
    assert summary["reward_per_step/way"] == pytest.approx((2 + 2 + 1 + 2 + 3 + 5) / 6)
    assert summary["reward_per_episode/way"] == pytest.approx(2 + 2)  # the episode that ended in row 1
    assert summary["reward_per_episode/jerk"] == pytest.approx(-0.25)


def test_a_restored_wrapper_scores_the_next_step_alike() -> None:
    env, fresh = wrap(), wrap()
    env.reset()
    infos = env.step(ONE)[4]
    state = env.state_dict()
    fresh.reset()
    fresh.env.step(ONE)
    fresh.load_state_dict(state, infos)
    one, other = env.step(TWO), fresh.step(TWO)
    assert difference(one, other) == ""
    assert difference(env.log.summary(), fresh.log.summary()) == ""


def test_a_state_taken_before_the_first_step_can_be_restored() -> None:
    env, fresh = wrap(), wrap()
    _, infos = env.reset()
    fresh.reset()
    fresh.load_state_dict(env.state_dict(), infos)
    assert difference(env.step(ONE), fresh.step(ONE)) == ""


def test_discrete_and_dict_actions_count_as_one_flat_action() -> None:
    reward = Reward(RewardSettings.model_validate({"terms": {"jerk": TERMS["jerk"]}}), [])
    env = RewardWrapper(ScriptedRows(STEPS, any_action=True), reward)
    env.reset()
    _, rew, *_ = env.step({"continuous": np.array([[1.0], [2.0]]), "discrete": np.array([[3, 1], [0, 2]])})
    assert rew.tolist() == [-11, -8]


def of_group(log: TermLog, group: str) -> dict[str, float]:
    return {name.removeprefix(f"{group}/"): v for name, v in log.summary().items() if name.startswith(f"{group}/")}


def test_term_log_keeps_steps_and_episodes_apart() -> None:
    log = TermLog(["a", "b"], 2)
    log.add(np.array([[1.0, 2.0], [10.0, 20.0]]), np.array([False, False]), 2)
    log.add(np.array([[3.0, 4.0], [30.0, 40.0]]), np.array([True, False]), 2)
    summary = log.summary()
    assert [summary[f"reward_per_step/{name}"] for name in "ab"] == [2.5, 25.0]
    assert [summary[f"reward_per_episode/{name}"] for name in "ab"] == [4.0, 40.0]
    log.add(np.array([[5.0, 6.0], [0.0, 0.0]]), np.array([True, True]), 2)
    assert log.summary()["reward_per_episode/a"] == (5 + (2 + 4 + 6)) / 2


def test_a_share_is_of_what_was_paid_and_charged_by_the_terms_that_count() -> None:
    log = TermLog(["a", "b", "probe/c"], 2, counted=2)
    log.add(np.array([[1.0, -1.0], [-3.0, 0.0], [50.0, 50.0]]), np.array([False, False]), 2)
    log.add(np.array([[1.0, 1.0], [-3.0, 0.0], [50.0, 50.0]]), np.array([False, True]), 2)
    assert of_group(log, "reward_share") == {"a": 0.4, "b": 0.6}  # 4 and 6 of 10, though a's values cancel


def test_a_term_is_active_in_the_transitions_in_which_it_is_not_0() -> None:
    log = TermLog(["a", "b"], 2)
    log.add(np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([False, False]), 2)
    log.add(np.array([[-1.0, 0.0], [0.0, 0.0]]), np.array([False, False]), 1)  # row 1 had no transition
    assert of_group(log, "reward_active") == {"a": 2 / 3, "b": 0.0}


def test_terms_that_have_paid_nothing_have_no_share() -> None:
    log = TermLog(["a"], 1)
    log.add(np.array([[0.0]]), np.array([False]), 1)
    assert log.summary() == {"reward_per_step/a": 0.0, "reward_active/a": 0.0}


def test_the_weight_in_the_log_is_the_one_of_now() -> None:
    weight = {"schedule": "linear", "initial": 0.0, "final": -1.0, "end": 4}
    terms = {"idea": {"term": "time", "weight": 2.0, "probe": True}, "haste": {"term": "time", "weight": weight}}
    reward = Reward(RewardSettings.model_validate({"terms": terms}), [])
    env = RewardWrapper(ScriptedRows(STEPS), reward)
    env.reset()
    env.step(ONE)  # 2 of 4 transitions
    summary = env.scorer.summary()
    assert (summary["reward_weight/haste"], summary["reward_weight/probe/idea"]) == (-0.5, 2.0)
    assert summary["reward_per_step/haste"] == 0.0  # as it was when that step began
    assert "reward_share/probe/idea" not in summary


def test_term_log_divides_by_the_number_of_transitions() -> None:
    log = TermLog(["a"], 3)
    log.add(np.array([[4.0, 0.0, 0.0]]), np.array([False] * 3), 1)
    log.add(np.array([[2.0, 3.0, 0.0]]), np.array([False] * 3), 2)
    assert of_group(log, "reward_per_step") == {"a": 3.0}


def test_term_log_says_nothing_about_nothing() -> None:
    log = TermLog(["a"], 1)
    assert log.summary() == {}
    log.add(np.array([[1.0]]), np.array([False]), 1)
    assert of_group(log, "reward_per_step") == {"a": 1.0}
    assert log.summary() == {}


def test_term_log_forgets_episodes_at_a_restart() -> None:
    log = TermLog(["a"], 1)
    log.add(np.array([[100.0]]), np.array([False]), 1)
    log.restart_episodes()
    log.add(np.array([[1.0]]), np.array([True]), 1)
    assert log.summary()["reward_per_episode/a"] == 1.0


def test_term_log_survives_a_save_and_load() -> None:
    log, fresh = TermLog(["a"], 2), TermLog(["a"], 2)
    log.add(np.array([[1.0, 2.0]]), np.array([True, False]), 2)
    fresh.load_state_dict(log.state_dict())
    for each in (log, fresh):
        each.add(np.array([[3.0, 4.0]]), np.array([False, True]), 2)
    assert difference(log.summary(), fresh.summary()) == ""
