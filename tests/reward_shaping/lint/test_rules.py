"""Every rule of the linter finds what it is about, with its numbers, and leaves alone what is well."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_shaping import RewardSettings, Transition
from reward_shaping.lint import Facts, Finding, SignalFacts, lint
from reward_shaping.recording import Recording

FLAG = SignalFacts(1, (0.0, 1.0))
SIGNALS = {
    "goal_distance": SignalFacts(1, (0.0, 10.0), "m"),
    "clearance": SignalFacts(1, (0.0, 10.0), "m"),
    "forward_velocity": SignalFacts(1, (-1.0, 1.0), "m/s"),
    "yaw_velocity": SignalFacts(1, (-2.0, 2.0), "rad/s"),
    "goal_bearing": SignalFacts(1, (-3.15, 3.15), "rad"),
    "joint_vel": SignalFacts(6, (-10.0, 10.0), "rad/s"),
    **dict.fromkeys(("success", "collision", "grasped", "lifted", "placed"), FLAG),
}
FACTS = Facts(signals=SIGNALS, observed={"goal_distance", "grasped"}, gamma=0.99, episode_steps=400, action_size=2)
SOLVED: dict[str, Any] = {"term": "success", "weight": 10.0}
CRASH: dict[str, Any] = {"term": "collision", "weight": -10.0}
NEAR: dict[str, Any] = {"term": "reach", "parameters": {"std": 0.5}, "weight": 1.0}


def found(facts: Facts = FACTS, recording: Recording | None = None, /, **terms: Any) -> list[Finding]:
    only_positive = terms.pop("only_positive", False)
    settings = RewardSettings.model_validate({"terms": terms, "only_positive": only_positive})
    return lint(settings, facts, recording)


def rules(*arguments: Any, **terms: Any) -> list[tuple[str, str]]:
    return [(finding.rule, finding.severity) for finding in found(*arguments, **terms)]


def recorded(terminated: list[bool], **signals: list[float]) -> Recording:
    """A recording of one episode per end."""
    after = {name: np.array(values, dtype=float)[:, None] for name, values in signals.items()}
    ends, size = np.array(terminated), len(terminated)
    still = np.zeros((size, 2))
    transition = Transition(after, after, still, still, ends, ~ends & False, np.zeros(size))
    return Recording(transition, np.cumsum(ends) - ends, {})


@pytest.mark.parametrize(
    ("bonus", "near", "gamma", "dithers"),
    [(100.0, 2.0, 0.99, True), (200.0, 2.0, 0.98, False), (198.1, 2.0, 0.99, False), (197.9, 2.0, 0.99, True)],
)
def test_the_dither_rule_on_socialrobots_numbers(bonus: float, near: float, gamma: float, dithers: bool) -> None:
    """REWARD.md D8: (100, 2, 0.99) dithered, (200, 2, 0.98) was the repair."""
    facts = Facts(signals=SIGNALS, gamma=gamma)
    findings = found(facts, near={**NEAR, "weight": near}, solved={**SOLVED, "weight": bonus})
    assert [finding.rule for finding in findings] == ["dither"] * dithers
    if bonus == 100.0:
        assert "99 more of them" in findings[0].what
        assert "pay 198, solving the task 100" in findings[0].what
        assert "bonus above 198" in findings[0].right
        assert findings[0].path == ("terms", "near", "weight")


@given(st.floats(0.01, 10), st.floats(0, 1000), st.floats(0.5, 0.999))
def test_waiting_is_flagged_exactly_where_it_is_worth_more_in_the_end(near: float, bonus: float, gamma: float) -> None:
    wait_for_ever = near / (1.0 - gamma)
    finish_now = near + bonus
    flagged = "dither" in [
        rule
        for rule, _ in rules(
            Facts(SIGNALS, gamma=gamma), near={**NEAR, "weight": near}, solved={**SOLVED, "weight": bonus}
        )
    ]
    if abs(wait_for_ever - finish_now) > 1e-6 * wait_for_ever:
        assert flagged == (wait_for_ever > finish_now)


def test_what_time_takes_back_is_no_reason_to_wait() -> None:
    assert rules(near=NEAR, time={"term": "time", "weight": -1.0}, solved=SOLVED) == []
    assert rules(near=NEAR, time={"term": "time", "weight": -0.8}, solved=SOLVED) == [("dither", "error")]


@pytest.mark.parametrize("use", ["gain", "potential"])
def test_gains_and_potentials_pay_nothing_to_those_who_wait(use: str) -> None:
    assert rules(near={**NEAR, "weight": 100.0, "use": use}, solved=SOLVED) == []


def test_a_reward_that_ends_nothing_may_pay_for_staying() -> None:
    assert rules(near=NEAR, collision=CRASH) == []


def test_a_recording_tells_that_solving_ends_what_pays() -> None:
    tape = recorded([False, True], goal_distance=[1.0, 0.1], success=[0.0, 1.0])
    assert rules(FACTS, tape, near=NEAR) == [("dither", "error")]
    assert rules(FACTS, recorded([False, False], goal_distance=[1.0, 0.1], success=[0.0, 1.0]), near=NEAR) == []


def test_a_task_tells_that_solving_ends_what_pays() -> None:
    ends = replace(FACTS, ends=["success", "collision"])
    assert rules(ends, near=NEAR, collision={"term": "collision", "weight": -200.0}) == [("dither", "error")]
    assert rules(ends, near={**NEAR, "use": "gain"}) == []


def test_a_bonus_may_be_paid_as_a_gain_and_is_none_as_a_potential() -> None:
    ends = replace(FACTS, ends=["success"])
    for bonus, flagged in ((98.0, True), (100.0, False)):
        solved = {"term": "success", "use": "gain", "weight": bonus}
        assert rules(ends, near=NEAR, solved=solved) == [("dither", "error")] * flagged
    assert rules(ends, near=NEAR, solved={**SOLVED, "weight": 1000.0, "use": "potential"}) == [("dither", "error")]


def test_terms_that_count_in_different_places_are_not_added_up() -> None:
    here = {**NEAR, "weight": 0.09, "when": {"signal": "goal_distance", "above": 1.0}}
    there = {**NEAR, "weight": 0.09, "when": {"signal": "goal_distance", "below": 1.0}}
    assert rules(here=here, there=there, solved=SOLVED) == []  # 99 * 0.09 = 8.91 < 10 < 17.82
    both = {**NEAR, "weight": 0.09, "when": {"signal": "goal_distance", "below": 2.0}}
    assert rules(here=here, there=both, solved=SOLVED) == [("hover", "error")]


def test_stages_paid_by_the_step_are_a_hover_trap() -> None:
    stages = {name: {"term": "flag", "signal": name, "weight": 0.3} for name in ("grasped", "lifted", "placed")}
    (finding,) = found(**stages, solved={**SOLVED, "weight": 0.1})
    assert (finding.rule, finding.severity) == ("hover", "error")
    assert "grasped 0.3 + lifted 0.3 + placed 0.3 = 0.9" in finding.what
    assert rules(**{name: {**term, "use": "gain"} for name, term in stages.items()}, solved=SOLVED) == []


def test_the_bonus_of_a_maximum_is_what_its_last_stage_adds() -> None:
    parts = {
        "hold": {"term": "flag", "signal": "grasped", "pays": [0.0, 0.7]},
        "done": {"term": "success", "pays": [0.0, 1.0]},
    }
    (finding,) = found(stage={"max": parts, "weight": 1.0})
    assert finding.rule == "hover"
    assert "pay 69.3, solving the task 0.3" in finding.what
    parts["done"]["pays"] = [0.0, 71.0]
    assert rules(stage={"max": parts, "weight": 1.0}) == []


def test_without_a_discount_the_time_limit_bounds_the_waiting() -> None:
    facts = Facts(SIGNALS, gamma=1.0, episode_steps=101)
    assert rules(facts, near={**NEAR, "weight": 0.09}, solved=SOLVED) == []
    assert rules(facts, near={**NEAR, "weight": 0.11}, solved=SOLVED) == [("dither", "error")]
    assert rules(Facts(SIGNALS, gamma=1.0), near=NEAR, solved=SOLVED) == []  # nothing known


@pytest.mark.parametrize(("cost", "flagged"), [(10.0, True), (98.9, True), (99.1, False)])
def test_the_suicide_rule_compares_a_crash_with_doing_nothing(cost: float, flagged: bool) -> None:
    terms = {"time": {"term": "time", "weight": -1.0}, "crash": {"term": "collision", "weight": -cost}}
    findings = found(**terms)
    assert [finding.rule for finding in findings] == ["suicide"] * flagged
    if flagged:
        assert findings[0].path == ("terms", "crash", "weight")
        assert "-99 in 99 steps" in findings[0].what


def test_costs_that_can_be_avoided_are_no_reason_to_give_up() -> None:
    avoidable = {
        "spin": {"term": "spin", "parameters": {"slow": 0.1}, "weight": -5.0},
        "jerk": {"term": "action_rate", "weight": -5.0},
        "clearance": {"term": "clearance", "parameters": {"safe": 0.5}, "weight": 5.0},
        "approach": {"term": "approach_speed", "parameters": {"max_velocity": 1.0}, "weight": 0.01},
    }
    assert rules(**avoidable, crash={"term": "collision", "weight": -1.0}, solved=SOLVED) == []


def test_failing_must_not_pay() -> None:
    (finding,) = found(crash={"term": "collision", "weight": 3.0}, solved=SOLVED)
    assert (finding.rule, finding.severity) == ("suicide", "error")
    assert "doing nothing pays nothing per step, 0 in 99 steps" in finding.what
    assert "failing costs -3" in finding.what


def test_failures_that_cost_nothing_show_in_a_recording() -> None:
    tape = recorded([False, True], goal_distance=[1.0, 0.9], success=[0.0, 0.0])
    assert ("suicide", "warning") in rules(FACTS, tape, time={"term": "time", "weight": -1.0}, near=NEAR)
    assert "suicide" not in [rule for rule, _ in rules(time={"term": "time", "weight": -1.0}, near=NEAR)]


def test_a_task_tells_that_failing_ends_what_costs() -> None:
    ends = replace(FACTS, ends=["collision"])
    (finding,) = found(ends, time={"term": "time", "weight": -1.0}, solved=SOLVED)
    assert (finding.rule, finding.severity) == ("suicide", "error")
    assert "failing costs 0" in finding.what
    assert rules(replace(FACTS, ends=["success"]), time={"term": "time", "weight": -1.0}, solved=SOLVED) == []


@pytest.mark.parametrize(
    "way",
    [
        {"max": {"forth": {"term": "progress"}, "back": {"term": "time", "pays": [0, 0]}}},
        {"term": "progress", "when": {"signal": "goal_distance", "below": 1.0}},
        {"product": {"way": {"term": "progress"}, "held": {"term": "flag", "signal": "grasped"}}},
        {"term": "python:tests.reward_shaping.lint.test_rules:clipped"},
    ],
)
def test_a_difference_that_is_clipped_or_gated_is_a_loop_that_pays(way: dict[str, Any]) -> None:
    assert ("farmable-loop", "error") in rules(way={**way, "weight": 1.0}, solved=SOLVED)


def clipped(goal_distance_before: np.ndarray, goal_distance: np.ndarray) -> np.ndarray:
    made: np.ndarray = np.maximum(goal_distance_before - goal_distance, 0.0)[:, 0]
    return made


def test_a_difference_that_is_neither_comes_to_nothing_on_a_loop() -> None:
    assert rules(way={"term": "progress", "weight": 100.0}, solved=SOLVED) == []
    gated = {"term": "reach", "parameters": {"std": 0.5}, "when": {"signal": "goal_distance", "below": 1.0}}
    assert rules(way={**gated, "use": "potential", "weight": 100.0}, solved=SOLVED) == []


def test_a_potential_must_not_be_clipped() -> None:
    (finding,) = found(only_positive=True, way={**NEAR, "use": "gain"}, solved=SOLVED)
    assert (finding.rule, finding.severity, finding.path) == ("clipped-potential", "error", ("only_positive",))
    assert rules(only_positive=True, near={**NEAR, "weight": 0.05}, solved=SOLVED) == []


def shaped(goal_distance_before: np.ndarray, goal_distance: np.ndarray, gamma: float) -> np.ndarray:
    paid: np.ndarray = (goal_distance_before - gamma * goal_distance)[:, 0]
    return paid


@pytest.mark.parametrize(("typed", "severity"), [(0.9, "error"), (0.99, "warning")])
def test_a_discount_is_not_typed_again(typed: float, severity: str) -> None:
    term = {"term": "python:tests.reward_shaping.lint.test_rules:shaped", "parameters": {"gamma": typed}, "weight": 1.0}
    assert ("retyped-gamma", severity) in rules(way=term, solved=SOLVED)


def test_a_term_is_unbounded_only_where_nothing_bounds_it() -> None:
    term = {"term": "joint_vel", "weight": 1.0}
    blind = Facts(gamma=0.99)
    assert rules(blind, fast=term) == [("unbounded", "error")]
    assert rules(blind, fast={**term, "weight": -1.0}) == [("unbounded", "warning")]
    assert rules(FACTS, fast=term) == []
    assert rules(FACTS, own={"term": "env_reward", "weight": 1.0}) == [("unbounded", "warning")]
    assert rules(FACTS, recorded([True], goal_distance=[1.0]), own={"term": "env_reward", "weight": 1.0}) == [
        ("zero-variance", "warning")
    ]


def test_limits_of_the_signals_are_the_bounds_of_what_reads_them() -> None:
    (finding,) = found(fast={"term": "joint_vel", "weight": 1.0}, solved=SOLVED)
    assert "fast 600" in finding.what  # 6 joints at 10 rad/s


@pytest.mark.parametrize("kind", ["gaussian", "linear"])
def test_a_score_for_slowness_pays_for_standing(kind: str) -> None:
    calm = {"term": "tolerance", "signal": "joint_vel", "parameters": {"bounds": [0, 0], "margin": 1.0, "kind": kind}}
    assert ("pays-at-rest", "error") in rules(calm={**calm, "weight": 0.2}, solved=SOLVED)
    assert rules(calm={**calm, "weight": 0.05}, solved=SOLVED) == [("pays-at-rest", "warning")]
    assert rules(calm={**calm, "weight": 0.05}, time={"term": "time", "weight": -0.05}, solved=SOLVED) == []
    assert rules(calm={**calm, "weight": 0.05, "pays": [-1, 0]}, solved=SOLVED) == []
    assert rules(calm={**calm, "weight": -0.05}, solved=SOLVED) == []


def test_standing_still_where_one_should_stand_is_no_pay_at_rest() -> None:
    still = {"term": "tolerance", "signal": "joint_vel", "parameters": {"bounds": [0, 0.1], "margin": 1.0}}
    near = {"term": "reach", "parameters": {"std": 0.1}}
    term = {"product": {"near": near, "still": still}, "weight": 0.05}
    assert rules(there=term, solved=SOLVED) == []


def test_a_term_that_never_changes_in_a_recording_is_told() -> None:
    tape = recorded([False, True], goal_distance=[1.0, 0.5], success=[0.0, 0.0], collision=[0.0, 0.0])
    (finding,) = found(FACTS, tape, way={**NEAR, "use": "gain"}, solved=SOLVED, crash=CRASH)[:1]
    assert finding.rule == "zero-variance"
    assert finding.what == "is 0 in all 2 recorded steps"


def test_a_recording_without_a_signal_is_told() -> None:
    assert ("unknown-signal", "error") in rules(FACTS, recorded([True], goal_distance=[1.0]), solved=SOLVED)


def test_all_terms_that_cannot_be_built_are_told_each_at_its_place() -> None:
    findings = found(
        one={"term": "reach", "signal": "goal_distanse", "parameters": {"std": 0.1}, "weight": 1.0},
        two={"term": "sucess", "weight": 1.0},
        three={"term": "reach", "parameters": {"std": 0.0}, "weight": 1.0},
        four={**NEAR, "when": {"signal": "lifted", "above": 0.5}},
        good=SOLVED,
    )
    assert [(finding.rule, finding.path[1]) for finding in findings] == [
        ("unknown-signal", "one"),
        ("unknown-term", "two"),
        ("does-not-fit", "three"),
        ("unobserved-gate", "four"),
    ]
    assert "did you mean goal_distance" in findings[0].what


@pytest.mark.parametrize(("latch", "flagged"), [("lifted", True), ("grasped", False)])
def test_a_flag_in_a_product_is_a_gate_by_another_name(latch: str, flagged: bool) -> None:
    parts = {"near": {key: NEAR[key] for key in ("term", "parameters")}, "late": {"term": "flag", "signal": latch}}
    findings = found(late={"product": parts, "use": "gain", "weight": 1.0})
    assert [(each.rule, each.severity, each.path) for each in findings] == [
        ("unobserved-gate", "warning", ("terms", "late", "product", "late"))
    ] * flagged


def test_a_latch_that_the_policy_observes_may_gate() -> None:
    assert rules(near={**NEAR, "weight": 0.01, "when": {"signal": "grasped", "above": 0.5}}, solved=SOLVED) == []


@pytest.mark.parametrize(
    ("limit", "per", "severity"),
    [
        (-0.1, "step", "error"),
        (0.0, "step", None),
        (0.9, "step", None),
        (1.0, "step", "warning"),
        (-0.1, "episode", "error"),
        (1.0, "episode", None),
        (400.0, "episode", "warning"),
    ],
)
def test_the_limit_of_a_cost_lies_within_what_the_cost_can_be(limit: float, per: str, severity: str | None) -> None:
    costs = {"edge": {"term": "saturation", "limit": limit, "per": per}}
    findings = lint(RewardSettings.model_validate({"terms": {"solved": SOLVED}, "costs": costs}), FACTS)
    assert [(each.rule, each.severity, each.path) for each in findings] == (
        [("cost-limit", severity, ("costs", "edge", "limit"))] if severity else []
    )


def test_probes_do_not_count() -> None:
    assert rules(near={**NEAR, "probe": True}, solved=SOLVED) == []


def test_what_is_wrong_only_at_the_beginning_is_a_warning() -> None:
    fading = {"schedule": "linear", "initial": 1.0, "final": 0.0, "end": 1000}
    growing = {"schedule": "linear", "initial": 0.0, "final": 1.0, "end": 1000}
    (finding,) = found(near={**NEAR, "weight": fading}, solved=SOLVED)
    assert (finding.rule, finding.severity) == ("dither", "warning")
    assert finding.what.startswith("at the beginning of training ")
    assert rules(near={**NEAR, "weight": growing}, solved=SOLVED) == [("dither", "error")]


def test_weights_per_second_are_looked_at_per_step() -> None:
    settings = {"terms": {"near": {**NEAR, "weight": 2.0}, "solved": SOLVED}, "per_second": True}
    slow, fast = (
        lint(RewardSettings.model_validate(settings), Facts(SIGNALS, gamma=0.99, period_s=period))
        for period in (0.1, 0.04)
    )
    assert [finding.rule for finding in slow] == ["dither"]  # 99 * 2 * 0.1 = 19.8 > 10
    assert fast == []  # 99 * 2 * 0.04 = 7.92
