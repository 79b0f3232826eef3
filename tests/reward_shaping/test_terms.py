"""Every term by worked arithmetic."""

from collections.abc import Callable
from math import cos, exp, sin, tanh

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_shaping.terms import TERMS, arm, common, effort, mobile

Array = np.ndarray


def col(*numbers: float) -> Array:
    return np.array(numbers)[:, None]


WORKED: dict[str, tuple[Callable[[], Array], list[float]]] = {
    "env_reward": (lambda: common.env_reward(np.array([0.5, -2.0])), [0.5, -2.0]),
    "time": (lambda: common.time(np.array([True, False, False])), [1, 1, 1]),
    "success": (lambda: common.success(col(0, 1)), [0, 1]),
    "failure": (lambda: common.failure(np.array([True, True, False]), col(0, 1, 0)), [1, 0, 0]),
    "flag": (lambda: common.flag(col(1, 0)), [1, 0]),
    "tolerance": (
        lambda: common.tolerance(np.array([[3.0, 4.0], [0.0, 7.0]]), [0.0, 5.0], margin=4.0, value_at_margin=0.0),
        [1, 0.5],
    ),
    "reach": (lambda: common.reach(col(0.0, 0.3, 0.6), std=0.3), [1, 1 - tanh(1), 1 - tanh(2)]),
    "coarse_fine": (
        lambda: common.coarse_fine(col(0.0, 0.3), coarse=0.3, fine=0.1, fine_share=0.25),
        [1, 1 - 0.75 * tanh(1) - 0.25 * tanh(3)],
    ),
    "goal_progress": (lambda: common.goal_progress(col(4.0, 1.0, 0.0, 6.0), start_distance=4.0), [0, 0.75, 1, -0.5]),
    "progress": (lambda: common.progress(col(0.5, 0.5), col(0.2, 0.6)), [0.3, -0.1]),
    "sparse_goal": (lambda: common.sparse_goal(col(0.04, 0.05, 0.06), tolerance=0.05), [0, 0, -1]),
    "action_rate": (
        lambda: effort.action_rate(np.array([[1.0, -1.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5]])),
        [1 + 4, 0],
    ),
    "saturation": (lambda: effort.saturation(np.array([[1.0, -0.96], [0.9, -1.0], [0.0, 0.5]])), [1, 0.5, 0]),
    "joint_vel": (lambda: effort.joint_vel(np.array([[3.0, -4.0], [0.0, 0.5]])), [25, 0.25]),
    "torque": (lambda: effort.torque(np.array([[3.0, -4.0], [0.0, 0.5]])), [25, 0.25]),
    "limits": (
        lambda: effort.limits(np.array([[0.0, 0.0], [-0.95, 2.1]]), low=[-1.0, -2.0], high=[1.0, 2.0], margin=0.1),
        [0, 0.05 + 0.2],
    ),
    "contact_force": (lambda: effort.contact_force(np.array([[3.0, 4.0], [0.0, 1.0]]), free=2.0), [3, 0]),
    "orient": (
        lambda: arm.orient(
            np.array([[1.0, 0, 0, 0], [-1.0, 0, 0, 0], [cos(0.3), sin(0.3), 0, 0]]),
            np.array([[1.0, 0, 0, 0], [1.0, 0, 0, 0], [1.0, 0, 0, 0]]),
        ),
        [0, 0, 0.6],
    ),
    "tool_tilt": (lambda: arm.tool_tilt(col(1.0, 0.0, -1.0)), [0, 0.5, 1]),
    "grasp_reach": (
        lambda: arm.grasp_reach(col(0.2, 0.0, 0.3), col(0, 0, 1), std=0.2),
        [1 - tanh(1), 1, 1],
    ),
    "grasp": (lambda: arm.grasp(col(0, 1, 0, 1), col(0, 0, 1, 1)), [0, 1, 1, 1]),
    "pinch": (lambda: arm.pinch(np.array([[2.0, 0.0], [1.0, 3.0], [5.0, 9.0]]), force=2.0), [0, 0.5, 1]),
    "lift": (
        lambda: arm.lift(col(0.01, 0.05, 0.02, -0.1, 0.0), col(1, 1, 0, 1, 0), col(0, 0, 0, 0, 1), height=0.04),
        [0.25, 1, 0, 0, 1],
    ),
    "lift_by_size": (
        lambda: arm.lift_by_size(col(0.02, 0.02), col(0.04, 0.02), col(1, 1), col(0, 0), sizes=2.0),
        [0.25, 0.5],
    ),
    "transport": (
        lambda: arm.transport(col(0.2, 0.2, 0.0), col(0, 1, 1), std=0.2),
        [0, 1 - tanh(1), 1],
    ),
    "place": (
        lambda: arm.place(
            np.array([[0.0, 0.0, 0.0], [0.03, 0.04, 0.1], [0.0, 0.0, 0.0]]),
            np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.1, 0.0]]),
            across=0.05, above=0.05, speed=0.1,
        ),
        [1, exp(-1 - 4), exp(-1)],
    ),
    "place_release": (
        lambda: arm.place_release(
            *(col(1, 1, 0, 1), col(0.05, 0.08, 0.08, 0.01), col(0.02, 0.1, 0.1, 0.0), col(0.04, 0.04, 0.04, 0.04)),
            clearance=0.05,
        ),
        [(0.5 + 0.4) / 2, 1, 0, 0],
    ),
    "collision": (lambda: mobile.collision(col(0, 1)), [0, 1]),
    "arrived": (
        lambda: mobile.arrived(col(0.1, 0.1, 0.3), col(-0.05, 0.2, 0.0), tolerance=0.2, stop_velocity=0.1),
        [1, 0, 0],
    ),
    "clearance": (lambda: mobile.clearance(col(-0.01, 0.05, 0.2, 3.0), safe=0.2), [-1, -0.75, 0, 0]),
    "lidar_clearance": (
        lambda: mobile.lidar_clearance(np.array([[4.0, 0.5], [0.3, 4.0]]), safe=0.5, margin=0.2),
        [0, -0.9],
    ),
    "ttc": (
        # 1 m ahead at 1 m/s takes 1 s; the same behind does not matter, nor does anything to one who stands
        lambda: mobile.ttc(
            np.array([[1.2, 9, 9, 9], [9, 9, 1.2, 9], [9, 9, 1.2, 9], [0.2, 0.2, 0.2, 0.2], [5.2, 9, 9, 9]]),
            col(1.0, 1.0, -1.0, 0.0, 1.0), horizon=4.0, radius=0.2,
        ),
        [-0.75, 0, -0.75, 0, 0],
    ),
    "approach_speed": (
        lambda: mobile.approach_speed(col(0.5, 0.5, -1.0, 0.0), col(0.0, 1.0, 0.0, 0.0), max_velocity=1.0),
        [0.5, 0.5 * cos(1.0), -1.0, 0.0],
    ),
    "heading": (lambda: mobile.heading(col(-1.0, 2.0)), [1, 2]),
    "spin": (lambda: mobile.spin(col(-2.0, 2.0, 2.0), col(0.05, -0.05, 0.5), slow=0.1), [2, 2, 0]),
    "keep_distance": (
        lambda: mobile.keep_distance(col(1.0, 1.2, 0.5, 2.0), near=1.0, far=1.5, margin=0.5),
        [1, 1, 1 - tanh(1), 1 - tanh(1)],
    ),
    "facing": (lambda: mobile.facing(col(0.0, np.pi, 1.0)), [1, 0, (1 + cos(1.0)) / 2]),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(TERMS))
def test_a_term_is_worked_arithmetic(name: str) -> None:
    compute, expected = WORKED[name]
    result = compute()
    assert result.shape == (len(expected),)
    np.testing.assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(TERMS))
def test_a_term_keeps_its_declared_range_on_its_worked_example(name: str) -> None:
    low, high = TERMS[name].range
    result = WORKED[name][0]()
    assert (result >= low).all()
    assert (result <= high).all()


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(1e-6, 1e6))
def test_reach_is_bounded_and_prefers_the_nearer(one: float, other: float, std: float) -> None:
    near, far = common.reach(col(min(one, other), max(one, other)), std=std)
    assert 0 <= far <= near <= 1


@given(st.lists(st.floats(0, 10), min_size=2, max_size=20))
def test_progress_over_a_closed_path_sums_to_zero(distances: list[float]) -> None:
    path = col(*distances, distances[0])
    assert common.progress(path[:-1], path[1:]).sum() == pytest.approx(0, abs=1e-9)


def test_terms_declare_what_they_read() -> None:
    assert TERMS["progress"].inputs == ("goal_distance_before", "goal_distance")
    assert TERMS["progress"].signals == ("goal_distance",)
    assert TERMS["action_rate"].signals == ()
    assert list(TERMS["reach"].parameters.model_fields) == ["std"]


def test_a_term_says_whether_it_may_be_a_potential() -> None:
    assert TERMS["reach"].is_state
    assert TERMS["saturation"].is_state
    assert not any(TERMS[name].is_state for name in ("progress", "action_rate", "time", "env_reward", "failure"))


@pytest.mark.parametrize(
    "name", ["reach", "success", "progress", "grasp", "lift", "transport", "clearance", "spin", "facing"]
)
def test_a_signal_of_another_size_is_refused(name: str) -> None:
    inputs = [np.zeros((2, 3)) for _ in TERMS[name].inputs]
    parameters = dict.fromkeys(TERMS[name].parameters.model_fields, 0.5)
    with pytest.raises(ValueError, match=r"reshape|broadcast"):
        TERMS[name].function(*inputs, **parameters)
