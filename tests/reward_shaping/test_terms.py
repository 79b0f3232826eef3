"""Every term by worked arithmetic."""

from collections.abc import Callable
from math import cos, tanh

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_shaping.terms import TERMS, arm, common, mobile

Array = np.ndarray


def col(*numbers: float) -> Array:
    return np.array(numbers)[:, None]


WORKED: dict[str, tuple[Callable[[], Array], list[float]]] = {
    "env_reward": (lambda: common.env_reward(np.array([0.5, -2.0])), [0.5, -2.0]),
    "time": (lambda: common.time(np.array([True, False, False])), [1, 1, 1]),
    "success": (lambda: common.success(col(0, 1)), [0, 1]),
    "reach": (lambda: common.reach(col(0.0, 0.3, 0.6), std=0.3), [1, 1 - tanh(1), 1 - tanh(2)]),
    "progress": (lambda: common.progress(col(0.5, 0.5), col(0.2, 0.6)), [0.3, -0.1]),
    "change": (lambda: common.change(col(0, 1, 1), col(1, 0, 1)), [1, -1, 0]),
    "action_rate": (
        lambda: common.action_rate(np.array([[1.0, -1.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5]])),
        [1 + 4, 0],
    ),
    "joint_vel": (lambda: common.joint_vel(np.array([[3.0, -4.0], [0.0, 0.5]])), [25, 0.25]),
    "grasp_reach": (
        lambda: arm.grasp_reach(col(0.2, 0.0, 0.1), col(0.1, 0.2, 0.3), col(0, 0, 0), col(0, 0, 1), std=0.2),
        [tanh(1) - tanh(0.5), -tanh(1), tanh(0.5)],
    ),
    "grasp": (lambda: arm.grasp(col(0, 1, 1), col(1, 0, 0), col(0, 0, 1), col(0, 0, 1)), [1, -1, 0]),
    "lift": (
        lambda: arm.lift(
            col(0.0, 0.02, 0.01, 0.0), col(0.01, 0.05, 0.0, 0.01), *(col(0, 1, 1, 0), col(1, 1, 0, 0)),
            *(col(0, 0, 0, 0), col(0, 1, 0, 0)), height=0.04,
        ),
        [0.25, 0.5, -0.25, 0],
    ),
    "transport": (
        lambda: arm.transport(col(0.2, 0.2, 0.1), col(0.1, 0.1, 0.1), col(0, 1, 0), col(0, 1, 1), std=0.2),
        [0, tanh(1) - tanh(0.5), 1 - tanh(0.5)],
    ),
    "place_release": (
        lambda: arm.place_release(
            *(col(1, 1, 0), col(1, 0, 1)), *(col(0.04, 0.08, 0.04), col(0.05, 0.08, 0.06)),
            *(col(0.01, 0.1, 0.0), col(0.02, 0.1, 0.0)), col(0.04, 0.04, 0.04), clearance=0.05,
        ),
        [(0.5 + 0.2) / 2, -1, 0.5],
    ),
    "tool_tilt": (lambda: arm.tool_tilt(col(1.0, 0.0, -1.0)), [0, 0.5, 1]),
    "collision": (lambda: mobile.collision(col(0, 1)), [0, 1]),
    "clearance": (lambda: mobile.clearance(col(-0.01, 0.05, 0.2, 3.0), safe=0.2), [-1, -0.75, 0, 0]),
    "approach_speed": (
        lambda: mobile.approach_speed(col(0.5, 0.5, -1.0, 0.0), col(0.0, 1.0, 0.0, 0.0), max_velocity=1.0),
        [0.5, 0.5 * cos(1.0), -1.0, 0.0],
    ),
    "spin": (lambda: mobile.spin(col(-2.0, 2.0, 2.0), col(0.05, -0.05, 0.5), slow=0.1), [2, 2, 0]),
    "keep_distance": (
        lambda: mobile.keep_distance(col(1.0, 1.2, 0.5, 2.0), near=1.0, far=1.5, margin=0.5),
        [1, 1, 1 - tanh(1), 1 - tanh(1)],
    ),
    "facing": (lambda: mobile.facing(col(0.0, np.pi, 1.0)), [1, 0, (1 + cos(1.0)) / 2]),
    "in_place": (lambda: mobile.in_place(col(1, 0)), [1, 0]),
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


@pytest.mark.parametrize("name", [name for name, term in TERMS.items() if term.kind == "potential"])
def test_a_potential_over_a_closed_path_sums_to_zero(name: str) -> None:
    term, rng = TERMS[name], np.random.default_rng(0)
    path = {signal: rng.random((20, 1)) for signal in term.signals}
    path |= {signal: path[signal].round() for signal in ("grasped", "lifted", "placed") if signal in path}
    if "cube_size" in path:
        path["cube_size"][:] = 0.04  # the same all through an episode
    after = {argument: path[argument.removesuffix("_before")] for argument in term.inputs}
    inputs = {name: np.roll(value, 1, axis=0) if name.endswith("_before") else value for name, value in after.items()}
    gains = term.function(**inputs, **dict.fromkeys(term.parameters.model_fields, 0.1))
    assert np.abs(gains).max() > 0.05
    assert gains.sum() == pytest.approx(0, abs=1e-9)
