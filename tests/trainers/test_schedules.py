import pytest

from trainers.schedules import BETA_FLOOR, EPSILON_FLOOR, LEARNING_RATE_FLOOR, scheduled


def test_a_constant_schedule_never_changes() -> None:
    assert [scheduled(0.2, "constant", progress, 0.1) for progress in (0.0, 0.5, 1.0, 2.0)] == [0.2] * 4


@pytest.mark.parametrize(("progress", "value"), [(0.0, 0.3), (0.5, 0.2), (1.0, 0.1), (1.7, 0.1)])
def test_a_linear_schedule_goes_from_its_start_to_its_floor(progress: float, value: float) -> None:
    assert scheduled(0.3, "linear", progress, 0.1) == pytest.approx(value)


def test_the_floors_are_ml_agents() -> None:
    assert (EPSILON_FLOOR, BETA_FLOOR, LEARNING_RATE_FLOOR) == (0.1, 1e-5, 1e-10)
