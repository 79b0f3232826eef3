"""Lessons: when they end, and what they leave behind."""

import copy
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from tests.helpers import NAME, changed, difference
from trainers.checkpoint import as_arrays
from trainers.curriculum import Curricula, first_values, last_values
from trainers.metrics import Ended
from trainers.settings import RunSettings
from unity_env.settings import EnvironmentParameter, UniformSampler


def lesson(name: str, value: Any, **criteria: Any) -> dict[str, Any]:
    """A lesson in plain data; without criteria, a last one."""
    return {"name": name, "value": value} | (
        {"completion_criteria": {"behavior": NAME, **criteria}} if criteria else {}
    )


def curricula(rows: int = 4, **parameters: list[dict[str, Any]]) -> Curricula:
    parsed = {
        name: TypeAdapter[EnvironmentParameter](EnvironmentParameter).validate_python({"curriculum": lessons})
        for name, lessons in parameters.items()
    }
    return Curricula(parsed, {NAME: rows})


def ended(*returns: float, rows: list[int] | None = None, successes: list[float] | None = None) -> Ended:
    which = np.arange(len(returns)) if rows is None else np.array(rows)
    return Ended(which, np.array(returns), None if successes is None else np.array(successes))


def names(starts: list[Any]) -> list[str]:
    return [start.lesson.name for start in starts]


def test_a_reward_lesson_ends_when_the_mean_of_its_last_episodes_is_above_the_threshold() -> None:
    lessons = curricula(a=[lesson("first", 1.0, threshold=5.0, min_lesson_length=3), lesson("second", 2.0)])
    lessons.add(NAME, ended(9.0, 9.0))
    assert lessons.advance({NAME: 0.0}) == []  # too few episodes, however good
    lessons.add(NAME, ended(0.0, 4.0, 11.0))
    assert lessons.advance({NAME: 0.0}) == []  # (0 + 4 + 11) / 3 is 5, which is not above 5
    lessons.add(NAME, ended(5.1, rows=[0]))
    (start,) = lessons.advance({NAME: 0.0})
    assert (start.parameter, start.lesson.name, start.number, start.count) == ("a", "second", 2, 2)
    assert lessons.values() == {"a": 2.0}
    lessons.add(NAME, ended(*[99.0] * 4))
    assert lessons.advance({NAME: 1.0}) == []  # the last lesson stays


def test_without_a_minimum_length_the_last_episode_decides() -> None:
    lessons = curricula(a=[lesson("first", 1.0, threshold=5.0), lesson("second", 2.0)])
    assert lessons.advance({NAME: 0.0}) == []
    lessons.add(NAME, ended(100.0, 4.0))
    assert lessons.advance({NAME: 0.0}) == []
    lessons.add(NAME, ended(4.0, 100.0))
    assert names(lessons.advance({NAME: 0.0})) == ["second"]


def test_each_lesson_averages_over_its_own_length() -> None:
    """In ML-Agents the longest lesson of any parameter stretches the window of all."""
    lessons = curricula(
        short=[lesson("s1", 1.0, threshold=5.0, min_lesson_length=2), lesson("s2", 2.0)],
        long=[lesson("l1", 1.0, threshold=5.0, min_lesson_length=4), lesson("l2", 2.0)],
    )
    lessons.add(NAME, ended(-50.0, -50.0, 6.0, 6.0))
    assert names(lessons.advance({NAME: 0.0})) == ["s2"]


def test_smoothing_weighs_the_new_measure_three_quarters() -> None:
    def after_two(first: float, second: float, smoothing: bool) -> bool:
        criteria = {"threshold": 8.0, "min_lesson_length": 1, "signal_smoothing": smoothing}
        lessons = curricula(a=[lesson("first", 1.0, **criteria), lesson("second", 2.0)])
        for value in (first, second):
            lessons.add(NAME, ended(value, rows=[0]))
            starts = lessons.advance({NAME: 0.0})
        return bool(starts)

    assert after_two(0.0, 10.67, smoothing=True)  # 0.25 * 0 + 0.75 * 10.67 = 8.0025
    assert not after_two(0.0, 10.66, smoothing=True)
    assert after_two(0.0, 8.01, smoothing=False)


def test_the_first_measure_is_not_drawn_towards_zero() -> None:
    lessons = curricula(a=[lesson("first", 1.0, threshold=-9.0), lesson("second", 2.0)])
    lessons.add(NAME, ended(-10.0))
    assert lessons.advance({NAME: 0.0}) == []  # 0.75 * -10 would be above -9


def test_a_progress_lesson_ends_with_the_steps_and_needs_no_episode() -> None:
    lessons = curricula(a=[lesson("first", 1.0, measure="progress", threshold=0.25), lesson("second", 2.0)])
    assert lessons.advance({NAME: 0.25}) == []
    assert names(lessons.advance({NAME: 0.26})) == ["second"]


def test_a_progress_lesson_waits_for_its_minimum_of_episodes() -> None:
    criteria = {"measure": "progress", "threshold": 0.25, "min_lesson_length": 2}
    lessons = curricula(a=[lesson("first", 1.0, **criteria), lesson("second", 2.0)])
    assert lessons.advance({NAME: 0.5}) == []
    lessons.add(NAME, ended(-1.0, -1.0))
    assert names(lessons.advance({NAME: 0.5})) == ["second"]


def test_a_success_lesson_ends_with_the_part_of_solved_episodes() -> None:
    criteria = {"measure": "success", "threshold": 0.7, "min_lesson_length": 4}
    lessons = curricula(a=[lesson("first", 1.0, **criteria), lesson("second", 2.0)])
    lessons.add(NAME, ended(-9.0, -9.0, -9.0, -9.0, successes=[1.0, 0.0, 0.0, 1.0]))
    assert lessons.advance({NAME: 0.0}) == []
    lessons.add(NAME, ended(-9.0, -9.0, -9.0, -9.0, successes=[1.0, 1.0, 1.0, 1.0]))
    assert names(lessons.advance({NAME: 0.0})) == ["second"]  # 0.25 * 0.5 + 0.75 * 1


def test_episodes_that_began_under_the_lesson_before_do_not_count() -> None:
    criteria = {"threshold": 5.0, "min_lesson_length": 2, "signal_smoothing": False}
    lessons = curricula(rows=2, a=[lesson("1", 1.0, **criteria), lesson("2", 2.0, **criteria), lesson("3", 3.0)])
    lessons.add(NAME, ended(9.0, 9.0))
    assert names(lessons.advance({NAME: 0.0})) == ["2"]
    lessons.add(NAME, ended(9.0, 9.0))
    assert lessons.advance({NAME: 0.0}) == []
    lessons.add(NAME, ended(9.0, 9.0))
    assert names(lessons.advance({NAME: 0.0})) == ["3"]


def test_after_a_reset_all_episodes_count() -> None:
    criteria = {"threshold": 5.0, "min_lesson_length": 2, "require_reset": True}
    lessons = curricula(rows=2, a=[lesson("1", 1.0, **criteria), lesson("2", 2.0, **criteria), lesson("3", 3.0)])
    for expected in ("2", "3"):
        lessons.add(NAME, ended(9.0, 9.0))
        (start,) = lessons.advance({NAME: 0.0})
        assert start.reset
        assert start.lesson.name == expected


def test_a_lesson_of_one_parameter_lets_the_others_count_anew() -> None:
    lessons = curricula(
        rows=2,
        a=[lesson("a1", 1.0, measure="progress", threshold=0.5), lesson("a2", 2.0)],
        b=[lesson("b1", 1.0, threshold=5.0, min_lesson_length=2), lesson("b2", 2.0)],
    )
    lessons.add(NAME, ended(9.0, rows=[0]))
    assert names(lessons.advance({NAME: 0.6})) == ["a2"]
    lessons.add(NAME, ended(9.0, 9.0))  # still of a1
    lessons.add(NAME, ended(9.0, rows=[1]))
    assert lessons.advance({NAME: 0.6}) == []
    lessons.add(NAME, ended(9.0, rows=[0]))
    assert names(lessons.advance({NAME: 0.6})) == ["b2"]


def test_saved_lessons_go_on_as_if_nothing_had_happened() -> None:
    criteria = {"threshold": 5.0, "min_lesson_length": 3}
    lessons = [lesson("1", 1.0, **criteria), lesson("2", 2.0, **criteria), lesson("3", 3.0)]
    original = curricula(a=lessons)
    rng = np.random.default_rng(0)
    for _ in range(40):
        fresh = curricula(a=lessons)
        fresh.load_state_dict(as_arrays(copy.deepcopy(original.state_dict())))
        rows = np.flatnonzero(rng.random(4) < 0.4)
        report = Ended(rows, rng.normal(4.5, 2.0, len(rows)), None)
        for each in (original, fresh):
            each.add(NAME, report)
        assert names(original.advance({NAME: 0.0})) == names(fresh.advance({NAME: 0.0}))
        assert difference(original.state_dict(), fresh.state_dict()) == ""
    assert original.values() == {"a": 3.0}


def test_a_curriculum_that_has_become_shorter_goes_on_with_its_last_lesson() -> None:
    steps = [lesson(str(k), float(k), measure="progress", threshold=0.0) for k in range(3)]
    long, short = curricula(a=[*steps, lesson("3", 3.0)]), curricula(rows=9, a=[steps[0], lesson("end", 1.0)])
    for _ in range(3):
        long.advance({NAME: 0.5})
    short.load_state_dict(long.state_dict())
    assert short.values() == {"a": 1.0}


def test_a_training_begins_with_the_first_lessons_and_is_measured_in_the_last() -> None:
    sampled = {"sampler_type": "uniform", "sampler_parameters": {"min_value": 0.5, "max_value": 1.0}}
    data = {
        "goal": {"curriculum": [lesson("near", 0.3, threshold=1.0), lesson("far", sampled)]},
        "mass": sampled,
        "noise": 2.0,
    }
    parameters = TypeAdapter(dict[str, EnvironmentParameter]).validate_python(data)
    uniform = UniformSampler.model_validate(sampled)
    assert first_values(parameters) == {"goal": 0.3, "mass": uniform, "noise": 2.0}
    assert last_values(parameters) == {"goal": uniform, "mass": uniform, "noise": 2.0}


ML_AGENTS = """
environment_parameters:
  mass: {sampler_type: uniform, sampler_parameters: {min_value: 0.5, max_value: 10}}
  scale: {sampler_type: multirangeuniform, sampler_parameters: {intervals: [[7, 10], [15, 20]]}}
  gravity: {sampler_type: gaussian, sampler_parameters: {mean: 2, st_dev: .3, seed: 4}}
  friction: {sampler_type: constant, sampler_parameters: {value: 3}}
  wall_height:
    curriculum:
      - name: Lesson0
        completion_criteria:
          measure: progress
          behavior: RobotArm
          signal_smoothing: true
          min_lesson_length: 100
          threshold: 0.1
        value:
          sampler_type: uniform
          sampler_parameters: {min_value: 0.0, max_value: 4.0}
      - name: Lesson3
        value: 8.0
"""


def test_ml_agents_own_examples_are_read_as_they_are() -> None:
    data = changed({}) | yaml.safe_load(ML_AGENTS)
    parameters = RunSettings.model_validate(data).environment_parameters
    assert list(parameters) == ["mass", "scale", "gravity", "friction", "wall_height"]


@pytest.mark.parametrize("threshold", [-0.1, 1.0])
@pytest.mark.parametrize("measure", ["progress", "success"])
def test_a_fraction_that_can_never_be_passed_is_refused(measure: str, threshold: float) -> None:
    with pytest.raises(ValidationError, match="is a fraction"):
        curricula(a=[lesson("first", 1.0, measure=measure, threshold=threshold), lesson("second", 2.0)])
