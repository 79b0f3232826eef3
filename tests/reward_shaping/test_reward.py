from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from reward_shaping import ENV_REWARD_ONLY, Reward, RewardError, RewardSettings, Term, Transition
from reward_shaping.terms import TERMS

SIGNALS = ("goal_distance", "tool_distance", "success", "joint_vel")


def make_reward(**terms: dict[str, Any]) -> Reward:
    return Reward(RewardSettings.model_validate({"terms": terms}), SIGNALS)


def transition(**changes: Any) -> Transition:
    """Two rows: the first moves from 0.5 m to 0.3 m, the second is at its goal and solved."""
    parts: dict[str, Any] = {
        "signals": {"goal_distance": np.array([[0.5], [0.1]]), "tool_distance": np.array([[9.0], [8.0]])},
        "next_signals": {
            "goal_distance": np.array([[0.3], [0.0]]),
            "tool_distance": np.array([[7.0], [5.0]]),
            "success": np.array([[0.0], [1.0]]),
            "joint_vel": np.array([[1.0, 2.0], [0.0, 0.0]]),
        },
        "action": np.array([[1.0], [0.5]]),
        "previous_action": np.array([[0.0], [0.5]]),
        "terminated": np.array([False, True]),
        "truncated": np.array([False, False]),
        "env_reward": np.array([0.25, 0.75]),
    }
    return Transition(**(parts | changes))


def test_the_total_is_the_weighted_sum_of_the_terms() -> None:
    reward = make_reward(
        way={"term": "progress", "weight": 10.0},
        done={"term": "success", "weight": 5.0},
        haste={"term": "time", "weight": -1.0},
        calm={"term": "action_rate", "weight": -0.5},
    )
    total, breakdown = reward(transition())
    np.testing.assert_allclose(breakdown, [[2.0, 1.0], [0.0, 5.0], [-1.0, -1.0], [-0.5, 0.0]])
    np.testing.assert_allclose(total, [0.5, 5.0])
    assert reward.names == ("way", "done", "haste", "calm")


def test_a_term_may_stand_twice_under_two_names() -> None:
    terms = {f"n{k}": {"term": "time", "weight": float(k)} for k in (1, 2)}
    total, _ = make_reward(**terms)(transition())
    assert total.tolist() == [3, 3]


def test_a_signal_may_be_chosen_by_name_or_by_argument() -> None:
    for signal in ("tool_distance", {"goal_distance": "tool_distance"}):
        total, _ = make_reward(way={"term": "progress", "signal": signal, "weight": 1.0})(transition())
        assert total.tolist() == [2, 3]


def test_only_the_signals_that_are_read_are_asked_for() -> None:
    assert make_reward(done={"term": "success", "weight": 1.0}).signals == {"success"}


def test_the_environments_own_reward_is_passed_on() -> None:
    total, _ = Reward(ENV_REWARD_ONLY, ())(transition())
    assert total.tolist() == [0.25, 0.75]


def test_the_table_names_term_signals_parameters_and_weight() -> None:
    reward = make_reward(near={"term": "reach", "parameters": {"std": 0.3}, "weight": 0.5})
    assert reward.describe() == [("near", "reach", "goal_distance", "std=0.3", "0.5")]


@pytest.mark.parametrize(
    ("term", "path", "message"),
    [
        ({"term": "sucess", "weight": 1.0}, ("terms", "x", "term"), "sucess, did you mean success"),
        ({"term": "zzz", "weight": 1.0}, ("terms", "x", "term"), "zzz, known are .*reach.*time"),
        (
            {"term": "success", "signal": "goal_distanse", "weight": 1.0},
            ("terms", "x", "signal"),
            "goal_distanse, did you mean goal_distance",
        ),
        ({"term": "time", "signal": "success", "weight": 1.0}, ("terms", "x", "signal"), "0 signals: none"),
        (
            {"term": "success", "signal": {"succes": "success"}, "weight": 1.0},
            ("terms", "x", "signal"),
            "argument succes, did you mean success",
        ),
        ({"term": "reach", "weight": 1.0}, ("terms", "x", "parameters", "std"), "is missing .*this term: std"),
        (
            {"term": "reach", "parameters": {"std": 0.0}, "weight": 1.0},
            ("terms", "x", "parameters", "std"),
            "greater than 0",
        ),
        (
            {"term": "reach", "parameters": {"std": "wide"}, "weight": 1.0},
            ("terms", "x", "parameters", "std"),
            "number",
        ),
        (
            {"term": "time", "parameters": {"std": 1.0}, "weight": 1.0},
            ("terms", "x", "parameters", "std"),
            "unknown parameter std, none are known here",
        ),
        (
            {"term": "reach", "parameters": {"sdt": 1.0}, "weight": 1.0},
            ("terms", "x", "parameters", "sdt"),
            "unknown parameter sdt, did you mean std",
        ),
    ],
)
def test_a_term_that_does_not_fit_is_refused_with_its_path(
    term: dict[str, Any], path: tuple[str, ...], message: str
) -> None:
    with pytest.raises(RewardError, match=message) as caught:
        make_reward(x=term)
    assert caught.value.path == path


def test_a_signal_that_the_environment_does_not_send_is_refused() -> None:
    with pytest.raises(RewardError, match="unknown signal success"):
        Reward(RewardSettings.model_validate({"terms": {"x": {"term": "success", "weight": 1.0}}}), ("goal_distance",))


@pytest.mark.parametrize(
    "settings",
    [
        {"terms": {}},
        {},
        {"terms": {"x": {"term": "time"}}},
        {"terms": {"x": {"term": "time", "weight": float("inf")}}},
        {"terms": {"x": {"term": "time", "weight": 1.0, "wieght": 2.0}}},
        {"terms": {"x": {"term": "time", "weight": "heavy"}}},
        {"terms": {"x": {"term": "time", "weight": 1.0}}, "extra": 1},
        {"terms": {"x": {"weight": 1.0}}},
    ],
)
def test_settings_that_do_not_fit_the_schema_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RewardSettings.model_validate(settings)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_term_that_is_no_number_is_named_with_its_row(monkeypatch: pytest.MonkeyPatch, bad: float) -> None:
    def broken(goal_distance: np.ndarray) -> np.ndarray:
        return np.where(goal_distance[:, 0] == 0, bad, 1.0)

    monkeypatch.setitem(TERMS, "broken", Term(broken, kind="per_step", range=(0, 1), unit="1"))
    reward = make_reward(fine={"term": "time", "weight": 1.0}, near={"term": "broken", "weight": 1.0})
    with pytest.raises(RewardError, match=r"near is (nan|inf|-inf) in row 1.*goal_distance.*0\.0") as caught:
        reward(transition())
    assert caught.value.path == ("terms", "near")


def test_a_term_that_is_no_number_is_found_behind_a_weight_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(terminated: np.ndarray) -> np.ndarray:
        return np.full(terminated.shape, np.nan)

    monkeypatch.setitem(TERMS, "broken", Term(broken, kind="per_step", range=(0, 1), unit="1"))
    with pytest.raises(RewardError, match="off is nan in row 0"):
        make_reward(off={"term": "broken", "weight": 0.0})(transition())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_weights_that_overflow_are_an_error_of_the_reward() -> None:
    reward = make_reward(a={"term": "time", "weight": 1.5e308}, b={"term": "time", "weight": 1.5e308})
    with pytest.raises(RewardError):
        reward(transition())
