from itertools import pairwise
from math import cosh, exp, inf, log, tanh
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_shaping.kernels import KERNELS, REACHES_ZERO, Kind, check_tolerance, coarse_fine, tolerance

ALL = sorted(KERNELS)
distances = st.floats(0, 1e6)
margins = st.floats(1e-3, 1e3)
values = st.floats(0.01, 0.99)


def at(x: float, **parameters: Any) -> float:
    return float(tolerance(np.array(x), **parameters))


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("value", [0.1, 0.5])
def test_a_kernel_is_1_at_its_bounds_and_the_value_at_its_margin(kind: Kind, value: float) -> None:
    shape: dict[str, Any] = {"bounds": (-1.0, 2.0), "margin": 0.5, "kind": kind, "value_at_margin": value}
    assert [at(x, **shape) for x in (-1.0, 0.3, 2.0)] == [1, 1, 1]
    assert [at(x, **shape) for x in (-1.5, 2.5)] == pytest.approx([value, value], abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("gaussian", exp(4 * log(0.1))),
        ("linear", 0),
        ("hyperbolic", 1 / cosh(2 * 2.993222846)),
        ("long_tail", 1 / (9 * 4 + 1)),
        ("cosine", 0),
        ("tanh_squared", 1 - tanh(2 * 1.818446459) ** 2),
    ],
)
def test_a_kernel_at_twice_its_margin_is_worked_arithmetic(kind: Kind, expected: float) -> None:
    assert at(0.6, margin=0.3, kind=kind) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_the_long_tail_has_a_gradient_where_the_gaussian_has_none() -> None:
    far = [at(x, margin=1.0, kind="long_tail") - at(x + 1, margin=1.0, kind="long_tail") for x in (10.0, 30.0)]
    assert min(far) > 1e-6
    assert at(30.0, margin=1.0, kind="gaussian") < 1e-300


@given(st.sampled_from(ALL), st.lists(distances, min_size=2, max_size=8), margins, values)
def test_a_kernel_never_rises_with_distance_and_stays_in_0_1(
    kind: Kind, far: list[float], margin: float, value: float
) -> None:
    score = tolerance(np.sort(far), margin=margin, kind=kind, value_at_margin=value)
    assert np.isfinite(score).all()
    assert ((score >= 0) & (score <= 1)).all()
    assert all(nearer >= farther for nearer, farther in pairwise(score.tolist()))


@given(st.sampled_from(ALL), st.floats(-1e3, 1e3), margins, values, st.floats(1e-3, 1e3))
def test_a_kernel_does_not_depend_on_the_unit(kind: Kind, x: float, margin: float, value: float, unit: float) -> None:
    one = at(x, bounds=(-1.0, 1.0), margin=margin, kind=kind, value_at_margin=value)
    other = at(x * unit, bounds=(-unit, unit), margin=margin * unit, kind=kind, value_at_margin=value)
    assert one == pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize("kind", REACHES_ZERO)
def test_a_margin_of_zero_is_a_step(kind: Kind) -> None:
    check_tolerance(bounds=(0.0, 1.0), margin=0.0, kind=kind)
    x = np.array([-1e-9, 0.0, 1.0, 1.0 + 1e-9])
    assert tolerance(x, bounds=(0.0, 1.0), kind=kind).tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("parameters", [{}] + [{"margin": 1.0, "kind": kind} for kind in ALL])
def test_what_is_no_number_scores_no_number(parameters: dict[str, Any]) -> None:
    assert np.isnan(at(np.nan, **parameters))


def test_bounds_may_be_open_at_one_side() -> None:
    assert at(1e9, bounds=(0.5, inf), margin=0.5, kind="linear", value_at_margin=0.0) == 1
    assert at(0.25, bounds=(0.5, inf), margin=0.5, kind="linear", value_at_margin=0.0) == 0.5


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"kind": kind}, f"margin: 0 makes a step and {kind} never reaches 0") for kind in ALL if kind not in REACHES_ZERO]
    + [
        ({"bounds": (1.0, 0.0)}, "bounds: 1 .. 0 holds nothing"),
        ({"bounds": (inf, inf)}, "holds nothing"),
        ({"margin": -1.0}, "margin: -1"),
        ({"margin": inf}, "margin: inf"),
        ({"margin": 1.0, "value_at_margin": 1.0}, "value_at_margin: 1; linear needs 0 <= value < 1"),
        ({"margin": 1.0, "kind": "gaussian", "value_at_margin": 0.0}, "gaussian needs 0 < value < 1"),
    ],
)
def test_parameters_without_sense_are_refused_in_one_line(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        check_tolerance(**parameters)
    assert "\n" not in str(caught.value)


def test_coarse_and_fine_are_two_scales_of_one_score() -> None:
    d = np.array([0.0, 0.05, 0.3])
    expected = [1 - 0.5 * tanh(x / 0.3) - 0.5 * tanh(x / 0.05) for x in d]
    np.testing.assert_allclose(coarse_fine(d, 0.3, 0.05), expected, rtol=1e-12)
    np.testing.assert_allclose(coarse_fine(d, 0.3, 0.05, fine_share=0.0), 1 - np.tanh(d / 0.3), rtol=1e-12)


@given(st.lists(distances, min_size=2, max_size=8), margins, margins, st.floats(0, 1))
def test_coarse_and_fine_never_rise_with_distance(far: list[float], coarse: float, fine: float, share: float) -> None:
    score = coarse_fine(np.sort(far), coarse, fine, share)
    assert (score >= -1e-12).all()
    assert (np.diff(score) <= 1e-12).all()
