"""Lessons of a run: its log, its checkpoints, and what a file that describes them wrongly is told."""

import copy
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers import BEHAVIOR, NAME, Outcome, changed, checkpoint_of, cli, difference
from tests.helpers import write_config as write
from tests.trainers.test_curriculum import lesson
from trainers.settings import RunSettings
from trainers.world import make_world
from trainers.yaml_file import Document
from unity_env.sim.env import SimEnv
from unity_env.sim.role import environment_parameters, roles_of

LESSON = "environment/lesson/goal_distance"
GOAL = "environment_parameters.goal_distance"

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
        (
            spoiled({"completion_criteria": {"behavior": NAME, "min_lesson_length": 1e30}}),
            "min_lesson_length",
            ["less than or equal to 1000000000"],
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


def crowded(count: float, size: float) -> dict[str, Any]:
    """A tiny run of mobile_goal with so many obstacles of this radius, m."""
    return {
        "env_settings.env_path": "sim:mobile_goal",
        "behaviors": {"MobileRobot": {**changed({})["behaviors"][NAME], "max_steps": 512}},
        "environment_parameters": {
            "obstacle_count": count,
            "obstacle_size": {
                "curriculum": [
                    lesson("small", 0.1, measure="progress", threshold=0.25, behavior="MobileRobot"),
                    lesson("large", size, measure="progress", threshold=0.75, behavior="MobileRobot"),
                    lesson("again", 0.1),
                ]
            },
        },
    }


def test_a_lesson_that_does_not_fit_the_other_parameters_ends_the_run_with_one_line(tmp_path: Path) -> None:
    described = environment_parameters(roles_of("mobile_goal"))
    most, largest = described["obstacle_count"].range[1], described["obstacle_size"].range[1]
    outcome = cli("train", write(tmp_path, crowded(most, largest)), "--results-dir", tmp_path / "results")
    assert outcome.code == 3, outcome
    assert re.fullmatch(r"error: environment parameter obstacle_count: .* do not fit .*\n", outcome.err)


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
        env = make_world(settings, document, **more).scene.env
        assert isinstance(env, SimEnv)
        return env._randomization.values

    training, evaluation = drawn(), drawn(evaluation=True)
    assert set(training["goal_distance"]) == {0.3}
    assert set(evaluation["goal_distance"]) == {1.5}
    for values in (training["push_scale"], evaluation["push_scale"]):
        assert len(set(values)) == len(values) > 1
        assert 0 <= values.min() < values.max() <= 1
