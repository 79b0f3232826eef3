"""Cases that a reward's file keeps: what they mean, and what is wrong with them."""

from typing import Any

import pytest
from pydantic import ValidationError

from reward_shaping import RewardError
from reward_shaping.cases import Outcome, RewardFile, run_cases

TERMS: dict[str, Any] = {
    "way": {"term": "progress", "weight": 10.0},
    "solved": {"term": "success", "weight": 5.0},
    "jerk": {"term": "action_rate", "weight": -1.0},
}
BASE: dict[str, Any] = {"signals": {"goal_distance": 1.0, "success": 0}, "action": [0, 0]}


def outcomes(terms: dict[str, Any] | None = None, /, **cases: dict[str, Any]) -> list[Outcome]:
    return run_cases(RewardFile.model_validate({"terms": terms or TERMS, "cases": {"base": BASE, **cases}}))


def got(terms: dict[str, Any] | None = None, /, **case: Any) -> float:
    (outcome,) = outcomes(terms, only={"expect": {"total": 0}, **case})
    return outcome.got


def test_what_a_case_leaves_out_is_the_bases_and_after_is_as_before() -> None:
    assert got() == 0
    assert got(next_signals={"goal_distance": 0.9}) == pytest.approx(1.0)
    assert got(signals={"goal_distance": 3.0}) == 0  # waits there
    assert got(next_signals={"success": 1}) == 5
    assert got(action=[1, 2]) == -5
    assert got(action=[1, 2], previous_action=[1, 1]) == -1


def test_ends_gamma_and_steps_reach_the_reward() -> None:
    phi = {"phi": {"term": "reach", "parameters": {"std": 1e9}, "use": "potential", "weight": 1.0}}
    assert got(phi, gamma=0.5) == pytest.approx(-0.5)
    assert got(phi, gamma=0.5, ends="truncated") == pytest.approx(-0.5)
    assert got(phi, gamma=0.5, ends="terminated") == pytest.approx(-1.0)
    ramp = {"schedule": "linear", "initial": 0.0, "final": -1.0, "end": 100}
    assert got({"time": {"term": "time", "weight": ramp}}, step=50) == pytest.approx(-0.5)
    follows = {"schedule": "success", "initial": 0.0, "final": -1.0, "end": 1.0}
    assert got({"time": {"term": "time", "weight": follows}}, success=0.25) == pytest.approx(-0.25)
    assert got({"own": {"term": "env_reward", "weight": 2.0}}, env_reward=1.5) == 3
    per_second = RewardFile.model_validate(
        {
            "terms": {"time": {"term": "time", "weight": -1.0}},
            "per_second": True,
            "cases": {"only": {"period_s": 0.04, "expect": {"total": -0.04}}},
        }
    )
    assert run_cases(per_second)[0].passed


def test_a_cost_is_expected_by_its_name_and_no_part_of_the_total() -> None:
    costs = {"speed": {"term": "joint_vel", "limit": 1.0}}
    case = {"signals": {"joint_vel": [1, 2]}, "expect": {"cost/speed": 5.0, "total": -1.0}}
    file = {"terms": {"time": {"term": "time", "weight": -1.0}}, "costs": costs, "cases": {"x": case}}
    assert all(outcome.passed for outcome in run_cases(RewardFile.model_validate(file)))


def test_a_potential_without_a_discount_says_where_it_belongs() -> None:
    with pytest.raises(RewardError, match=r"in a case gamma: 0\.99"):
        got({"phi": {"term": "reach", "parameters": {"std": 1.0}, "use": "potential", "weight": 1.0}})


def test_no_term_is_called_what_cases_call_the_sum() -> None:
    with pytest.raises(RewardError, match="expected another name"):
        got({"total": {"term": "time", "weight": 1.0}})


def test_a_value_passes_within_its_tolerance() -> None:
    case = {"next_signals": {"goal_distance": 0.9}}
    assert [o.passed for o in outcomes(only={**case, "expect": {"way": 1.0, "solved": 0}})] == [True, True]
    assert not outcomes(only={**case, "expect": {"way": 1.1}})[0].passed
    assert outcomes(only={**case, "expect": {"way": 1.1}, "tolerance": 0.11})[0].passed


def test_an_order_is_strict_and_names_both_totals() -> None:
    worse = {"expect": {"total": 0}}
    first, second = outcomes(worse=worse, better={"next_signals": {"success": 1}, "better_than": "worse"})
    assert first.passed
    assert (second.case, second.expected, second.got, second.passed) == ("better", "total > worse (0)", 5, True)
    assert not outcomes(worse=worse, same={"better_than": ["worse"]})[1].passed


def test_the_base_is_a_case_itself_if_it_expects_something() -> None:
    file = {"terms": TERMS, "cases": {"base": {**BASE, "expect": {"total": 0}}, "next": {"better_than": "base"}}}
    assert [o.case for o in run_cases(RewardFile.model_validate(file))] == ["base", "next"]


@pytest.mark.parametrize(
    ("case", "path", "message"),
    [
        ({}, ("cases", "x"), "expects nothing"),
        ({"expect": {"wya": 1}}, ("cases", "x", "expect", "wya"), "no such term or cost, did you mean way"),
        ({"better_than": "y"}, ("cases", "x", "better_than"), "no case y"),
        ({"expect": {"total": 0}, "next_signals": {"goal_distance": [1, 2]}}, ("terms", "way"), "cannot be computed"),
    ],
)
def test_a_case_that_makes_no_sense_is_refused(case: dict[str, Any], path: tuple[str, ...], message: str) -> None:
    with pytest.raises(RewardError, match=message) as caught:
        outcomes(x=case)
    assert caught.value.path == path


def test_a_missing_signal_is_named_with_the_case() -> None:
    file = RewardFile.model_validate({"terms": TERMS, "cases": {"x": {"expect": {"total": 0}}}})
    with pytest.raises(RewardError, match="goal_distance, success, which neither this case nor base gives") as caught:
        run_cases(file)
    assert caught.value.path == ("cases", "x")


@pytest.mark.parametrize(
    "case",
    [
        {"ends": "crashed"},
        {"signals": {"goal_distance": "far"}},
        {"signals": {"goal_distance": []}},
        {"gamma": 1.5},
        {"tolerance": -1.0},
        {"exepct": {"total": 0}},
    ],
)
def test_a_case_that_does_not_fit_the_schema_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RewardFile.model_validate({"terms": TERMS, "cases": {"x": case}})
