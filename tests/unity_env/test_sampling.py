"""ML-Agents' samplers: what they draw, and the interval that holds it."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tests.helpers import sampler
from unity_env.sampling import draw, support
from unity_env.settings import EnvironmentParameter, Sampler

COUNT = 4000
PARAMETER: TypeAdapter[Any] = TypeAdapter(EnvironmentParameter)


def drawn(value: float | Sampler) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.array([draw(value, rng) for _ in range(COUNT)])


def distance_to(values: np.ndarray, cumulative: Any) -> float:
    """Kolmogorov and Smirnov's: the largest difference between the values' distribution and `cumulative`."""
    expected = np.array([cumulative(value) for value in np.sort(values)])
    steps = np.arange(len(values) + 1) / len(values)
    return float(max(np.abs(expected - steps[:-1]).max(), np.abs(expected - steps[1:]).max()))


LIMIT = 1.95 / math.sqrt(COUNT)  # a true distribution exceeds it once in 1000 times


def test_uniform_is_uniform_between_its_ends() -> None:
    values = drawn(sampler("uniform", min_value=-1.0, max_value=3.0))
    assert distance_to(values, lambda x: (x + 1) / 4) < LIMIT
    assert -1.0 <= values.min() < values.max() <= 3.0


def test_gaussian_is_normal_with_its_mean_and_deviation() -> None:
    values = drawn(sampler("gaussian", mean=2.0, st_dev=0.5))
    assert distance_to(values, lambda x: 0.5 * (1 + math.erf((x - 2) / (0.5 * math.sqrt(2))))) < LIMIT


def test_multirange_chooses_intervals_by_their_width() -> None:
    values = drawn(sampler("multirangeuniform", intervals=[[7.0, 10.0], [0.0, 1.0], [15.0, 16.0]]))

    def cumulative(x: float) -> float:
        return float(np.interp(x, [0, 1, 7, 10, 15, 16], np.array([0, 1, 1, 4, 4, 5]) / 5))

    assert distance_to(values, cumulative) < LIMIT
    inside = [(low <= values) & (values <= high) for low, high in ((7, 10), (0, 1), (15, 16))]
    assert np.logical_or.reduce(inside).all()


@pytest.mark.parametrize("value", [2.5, sampler("constant", value=2.5)])
def test_a_constant_is_itself_and_uses_up_no_random_number(value: float | Sampler) -> None:
    rng = np.random.default_rng(0)
    assert draw(value, rng) == 2.5
    assert rng.random() == np.random.default_rng(0).random()


numbers = st.floats(-1e6, 1e6)
intervals = st.tuples(numbers, numbers).map(lambda pair: [min(pair), max(pair)])
wide = st.lists(intervals, min_size=1, max_size=4).filter(lambda some: any(low < high for low, high in some))


@given(interval=intervals, several=wide, seed=st.integers(0, 2**32))
def test_what_is_drawn_lies_in_the_support(interval: list[float], several: list[list[float]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    for value in (
        interval[0],
        sampler("constant", value=interval[0]),
        sampler("uniform", min_value=interval[0], max_value=interval[1]),
        sampler("multirangeuniform", intervals=several),
    ):
        low, high = support(value)
        assert low <= draw(value, rng) <= high


def test_a_gaussians_support_is_its_mean() -> None:
    assert support(sampler("gaussian", mean=2.0, st_dev=5.0)) == (2.0, 2.0)


def test_defaults_are_those_of_ml_agents() -> None:
    expected: dict[str, dict[str, Any]] = {
        "constant": {"value": 0.0},
        "uniform": {"min_value": 0.0, "max_value": 1.0},
        "gaussian": {"mean": 1.0, "st_dev": 1.0},
        "multirangeuniform": {"intervals": [[0.0, 1.0]]},
    }
    for kind, parameters in expected.items():
        assert sampler(kind).sampler_parameters.model_dump() == {**parameters, "seed": -1}


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("uniform", {"min_value": 2.0}, "min_value 2 is above max_value 1"),
        ("uniform", {"min_value": math.nan}, "finite"),
        ("uniform", {"max": 2.0}, "Extra inputs"),
        ("uniform", {"seed": 2**31}, "less than or equal"),
        ("gaussian", {"st_dev": -1.0}, "greater than or equal to 0"),
        ("multirangeuniform", {"intervals": []}, "at least 1 item"),
        ("multirangeuniform", {"intervals": [[0.0, 1.0, 2.0]]}, "at most 2 items"),
        ("multirangeuniform", {"intervals": [[0.0, 1.0], [3.0, 2.0]]}, r"\[3, 2\] begins above its end"),
        ("multirangeuniform", {"intervals": [[1.0, 1.0]]}, "no width"),
        ("normal", {}, "'normal'"),
    ],
)
def test_a_sampler_that_cannot_be_is_refused(kind: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        sampler(kind, **parameters)
