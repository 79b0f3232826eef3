"""Lessons: when they end, what they leave behind, and what a file that describes them wrongly is told."""

import copy
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from tests.helpers import BEHAVIOR, NAME, Outcome, changed, checkpoint_of, cli, difference, sim_of
from tests.helpers import write_config as write
from trainers.checkpoint import as_arrays
from trainers.curriculum import Curricula, first_values, last_values
from trainers.metrics import Ended
from trainers.settings import RunSettings
from trainers.world import make_env
from trainers.yaml_file import Document
from unity_env import UnityVectorEnv
from unity_env.settings import EnvironmentParameter, UniformSampler

LESSON = "environment/lesson/goal_distance"
GOAL = "environment_parameters.goal_distance"


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


SHORT: dict[str, Any] = {
    f"{BEHAVIOR}.max_steps": 4096,
    f"{BEHAVIOR}.summary_freq": 1024,
    f"{BEHAVIOR}.checkpoint_interval": 1024,
    "env_settings.num_areas": 16,
    GOAL: {
        "curriculum": [
            lesson("near", 0.4, threshold=-1e3, min_lesson_length=8),
            lesson("sampled", {"sampler_type": "uniform", "sampler_parameters": {"min_value": 0.5, "max_value": 0.7}},
                   measure="progress", threshold=0.6, require_reset=True),
            lesson("far", 1.5),
        ]
    },
    "environment_parameters.push_scale": {"sampler_type": "uniform"},
    "environment_parameters.action_latency": {"sampler_type": "uniform", "sampler_parameters": {"max_value": 2.0}},
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    folder = tmp_path_factory.mktemp("trained")
    outcome = cli("train", write(folder, SHORT), "--results-dir", folder / "results", "--run-id", "r")
    assert outcome.code == 0, outcome.err
    return folder / "results" / "r", outcome


def metrics_of(run: Path) -> list[dict[str, Any]]:
    """Return the summaries, without what depends on the clock."""
    lines = [json.loads(line) for line in (run / NAME / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in line.items() if name != "seconds" and not name.startswith("time/")}
        for line in lines
    ]


def test_each_lesson_is_one_line_on_the_terminal(trained: tuple[Path, Outcome]) -> None:
    lines = re.findall(r"goal_distance: lesson .*", trained[1].out)
    assert lines == [
        "goal_distance: lesson near (1 of 3), 0.4",
        "goal_distance: lesson sampled (2 of 3), uniform",
        "goal_distance: lesson far (3 of 3), 1.5",
    ]


def test_lessons_and_means_of_what_was_drawn_are_in_the_log(trained: tuple[Path, Outcome]) -> None:
    lines = [line for line in metrics_of(trained[0]) if LESSON in line]
    assert {line[LESSON] for line in lines} == {0, 1, 2}
    assert any("environment/push_scale" in line for line in lines)
    for line in lines:
        distance = line.get("environment/goal_distance", 0.5)  # no episode may have begun in between
        assert {0: distance == 0.4, 1: 0.5 <= distance <= 0.7, 2: distance == 1.5}[int(line[LESSON])]
        assert 0 < line.get("environment/push_scale", 0.5) < 1
        assert 0 < line.get("environment/action_latency", 1.0) < 2
        assert not [name for name in line if name.startswith("scene/")]


def test_the_status_names_the_lesson_as_ml_agents_does(trained: tuple[Path, Outcome]) -> None:
    status = json.loads((trained[0] / "run_logs" / "training_status.json").read_text())
    assert status["goal_distance"] == {"lesson_num": 2}
    assert status[NAME]["step"] == 4096


@pytest.mark.parametrize("stop", [2048, 3072])
def test_a_resumed_run_has_the_lessons_weights_and_log_of_the_undisturbed_one(
    trained: tuple[Path, Outcome], tmp_path: Path, stop: int
) -> None:
    undisturbed = trained[0]
    run = Path(shutil.copytree(undisturbed, tmp_path / "results" / "r"))
    shutil.copyfile(run / NAME / f"{NAME}-{stop}.pt", run / NAME / "checkpoint.pt")
    config = write(tmp_path, SHORT)
    outcome = cli("train", config, "--results-dir", tmp_path / "results", "--run-id", "r", "--resume")
    assert f"resumed at step {stop:,}: bit-exactly, simulation included" in outcome.out, outcome
    for part in ("curricula", "algorithm", "env"):
        assert difference(checkpoint_of(run)[part], checkpoint_of(undisturbed)[part]) == ""
    assert metrics_of(run) == metrics_of(undisturbed)


def goal_line(path: Path, text: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


LESSONS = [lesson("near", 0.3, threshold=0.5), lesson("far", 1.5)]


def spoiled(change: Mapping[str, Any], index: int = 0) -> dict[str, Any]:
    lessons = copy.deepcopy(LESSONS)
    lessons[index].update(change)
    return {GOAL: {"curriculum": lessons}}


@pytest.mark.parametrize(
    ("changes", "at", "parts"),
    [
        (spoiled({"value": 7.5}), "value: 7.5", [r"curriculum\.0\.value", "7.5 is outside its range 0.1 .. 1.5 m"]),
        (spoiled({"value": 7.5}, 1), "value: 7.5", [r"curriculum\.1\.value", "7.5 is outside"]),
        (
            spoiled({"value": {"sampler_type": "uniform", "sampler_parameters": {"min_value": 0.5, "max_value": 2.5}}}),
            "value:",
            [r"curriculum\.0\.value", r"0.5 \.\. 2.5 is outside its range"],
        ),
        (
            spoiled({"value": {"sampler_type": "uniform", "sampler_parameters": {"min_value": 0.9, "max_value": 0.2}}}),
            "sampler_parameters:",
            ["min_value 0.9 is above max_value 0.2"],
        ),
        (
            spoiled({"completion_criteria": None}),
            "- name: near",
            ["lesson near is not the last one", "needs completion"],
        ),
        (
            spoiled({"completion_criteria": {"behavior": "RobotArn"}}),
            "behavior: RobotArn",
            ["no behavior RobotArn, did you mean RobotArm"],
        ),
        (
            spoiled({"completion_criteria": {"behavior": NAME, "measure": "succes"}}),
            "measure: succes",
            ["'reward', 'progress' or 'success'", "succes"],
        ),
        (
            spoiled({"completion_criteria": {"behavior": NAME, "measure": "progress", "threshold": 1.5}}),
            "completion_criteria:",
            ["threshold 1.5: progress is a fraction"],
        ),
        (
            spoiled({"completion_criteria": {"behavior": NAME, "min_lesson_lenght": 3}}),
            "min_lesson_lenght",
            ["unknown key, did you mean min_lesson_length"],
        ),
        ({GOAL: {"curriculum": []}}, "curriculum:", ["at least 1 item"]),
        ({"environment_parameters.mass_scal": 1.5}, "mass_scal:", ["no such environment parameter", "mass_scale?"]),
        ({"environment_parameters.mass_scale": 5}, "mass_scale:", ["5 is outside its range 0.5 .. 2"]),
        (
            {
                "environment_parameters.push_scale": {
                    "sampler_type": "multirangeuniform",
                    "sampler_parameters": {"intervals": [[0.0, 1.0], [2.0, 3.5]]},
                }
            },
            "push_scale:",
            [r"0 \.\. 3.5 is outside its range 0 \.\. 3"],
        ),
    ],
)
def test_what_is_wrong_in_environment_parameters_is_one_line_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], at: str, parts: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, changes)
    outcome = cli("train", path)
    assert outcome.code == 2, outcome
    assert len(outcome.err.strip().splitlines()) == 1, outcome.err
    assert f"tiny.yaml:{goal_line(path, at)}: environment_parameters." in outcome.err, outcome.err
    for part in parts:
        assert re.search(part, outcome.err), outcome.err
    assert not (tmp_path / "results").exists()


def test_criteria_of_a_last_lesson_are_said_to_have_no_effect(tmp_path: Path) -> None:
    lessons = [LESSONS[0], lesson("far", 1.5, threshold=0.5)]
    config = write(tmp_path, {GOAL: {"curriculum": lessons}, f"{BEHAVIOR}.max_steps": 256})
    outcome = cli("train", config, "--results-dir", tmp_path / "results")
    assert outcome.code == 0, outcome.err
    assert "environment_parameters.goal_distance: completion_criteria of its last lesson have no effect" in outcome.out


def test_evaluations_have_the_last_lesson_and_the_same_samplers() -> None:
    data = changed({**spoiled({}), "environment_parameters.push_scale": {"sampler_type": "uniform"}})
    settings, document = RunSettings.model_validate(data), Document("here", data)

    def drawn(**more: Any) -> Mapping[str, np.ndarray]:
        env = make_env(settings, NAME, document, rows=20, **more)
        assert isinstance(env.unwrapped, UnityVectorEnv)
        return sim_of(env.unwrapped)._randomization.values

    training, evaluation = drawn(), drawn(evaluation=True)
    assert set(training["goal_distance"]) == {0.3}
    assert set(evaluation["goal_distance"]) == {1.5}
    for values in (training["push_scale"], evaluation["push_scale"]):
        assert len(set(values)) == 20
        assert 0 <= values.min() < values.max() <= 1


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
