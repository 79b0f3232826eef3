"""Multipliers: the controller's arithmetic, its bounds, and that it finds what holds a cost at its limit."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_shaping.lagrangian import Multiplier
from reward_shaping.settings import CostSettings

costs = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20)


def make(limit: float = 0.5, **pid: Any) -> Multiplier:
    settings = {"term": "time", "limit": limit, "multiplier": {"kp": 0.0, "kd": 0.0, "smoothing": 0.0} | pid}
    return Multiplier(CostSettings.model_validate(settings))


def after(multiplier: Multiplier, *seen: float) -> list[float]:
    values = []
    for cost in seen:
        multiplier.update(cost)
        values.append(multiplier.value)
    return values


def test_it_is_the_initial_value_before_the_first_update() -> None:
    assert make(ki=0.1, initial=0.3).value == 0.3


def test_the_integral_adds_up_what_is_above_the_limit_and_is_never_negative() -> None:
    # 0.1 * 0.5, + 0.1 * 1.5, - 0.1 * 0.5, - 0.1 * 2.5 which would be below 0, and from 0 up again
    assert after(make(ki=0.1), 1.0, 2.0, 0.0, -2.0, 1.5) == pytest.approx([0.05, 0.2, 0.15, 0.0, 0.1])


def test_the_proportional_part_answers_at_once_and_the_sum_is_never_negative() -> None:
    assert after(make(ki=0.1, kp=2.0), 1.0, 0.5, 0.0) == pytest.approx([0.05 + 1.0, 0.05, 0.0])


def test_the_derivative_part_answers_to_a_rise_only() -> None:
    # 0.1 * 0.5; then a rise of 1; then a fall, which is not paid back
    assert after(make(ki=0.1, kd=3.0), 1.0, 2.0, 1.0) == pytest.approx([0.05, 0.2 + 3.0, 0.25])


def test_smoothing_holds_back_what_kp_and_kd_see_but_not_the_integral() -> None:
    # S = 1, then 0.75 * 1 + 0.25 * 3 = 1.5
    seen = after(make(ki=0.1, kp=1.0, kd=2.0, smoothing=0.75), 1.0, 3.0)
    assert seen == pytest.approx([0.05 + 0.5, 0.3 + 1.0 + 2.0 * 0.5])


def test_the_integral_does_not_wind_up_beyond_the_maximum() -> None:
    multiplier = make(ki=1.0, max=2.0)
    after(multiplier, *[1e6] * 50)
    assert after(multiplier, -0.5) == [1.0]


@given(costs, st.floats(0, 5), st.floats(0.01, 5), st.floats(0, 5), st.floats(0, 0.99))
def test_it_stays_between_0_and_its_maximum(
    seen: list[float], kp: float, ki: float, kd: float, smoothing: float
) -> None:
    values = after(make(kp=kp, ki=ki, kd=kd, smoothing=smoothing, max=7.0), *seen)
    assert all(0 <= value <= 7 for value in values)


@given(costs, st.floats(1, 1e3), st.floats(1, 1e3))
def test_above_1_it_does_not_depend_on_the_unit_of_the_cost(seen: list[float], limit: float, factor: float) -> None:
    pid = {"kp": 0.3, "ki": 0.2, "kd": 0.1, "smoothing": 0.5}
    scaled = after(make(limit * factor, **pid), *(cost * factor for cost in seen))
    assert scaled == pytest.approx(after(make(limit, **pid), *seen), abs=1e-6)


def test_it_settles_where_the_cost_is_at_its_limit() -> None:
    """A policy whose cost falls with what it is charged: J = 8 / (1 + lambda), slowly; the limit of 2 asks for 3."""
    multiplier, cost = Multiplier(CostSettings.model_validate({"term": "time", "limit": 2.0})), 8.0
    for _ in range(500):
        multiplier.update(cost)
        cost += 0.2 * (8.0 / (1.0 + multiplier.value) - cost)
    assert cost == pytest.approx(2.0, rel=0.01)
    assert multiplier.value == pytest.approx(3.0, rel=0.02)


def test_the_proportional_part_damps_what_the_integral_overshoots() -> None:
    def overshoot(kp: float) -> float:
        multiplier, cost, lowest = make(1.0, ki=0.1, kp=kp), 4.0, 4.0
        for _ in range(400):
            multiplier.update(cost)
            cost += 0.05 * (4.0 - multiplier.value - cost)
            lowest = min(lowest, cost)
        return 1.0 - lowest

    assert overshoot(0.0) > 0.5
    assert overshoot(2.0) < 0.2 * overshoot(0.0)


@given(costs, costs)
def test_a_restored_multiplier_goes_on_alike(before: list[float], later: list[float]) -> None:
    pid = {"kp": 0.3, "ki": 0.2, "kd": 0.1, "smoothing": 0.5}
    one, other = make(**pid), make(**pid)
    after(one, *before)
    other.load_state_dict(one.state_dict())
    assert other.value == one.value
    assert after(one, *later) == after(other, *later)
