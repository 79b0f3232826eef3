"""Each mistake costs one or two clear lines and exit code 2; nothing on disk is lost."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.helpers import BEHAVIOR, NAME, Outcome, assert_refused, cli, files_below, robotrl, train_tiny, write_config
from unity_env.sim.env import SimEnv

SHORT = {f"{BEHAVIOR}.max_steps": 256}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Relative paths, `results` among them, lie below tmp_path."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def line_of(path: Path, text: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", [r"bad\.yaml", "empty"]),
        ("# only a comment\n", [r"bad\.yaml", "empty"]),
        ("behaviors:\n\tRobotArm: {}\n", [r"bad\.yaml:2", "tab"]),
        ("behaviors: [1, 2\n", [r"bad\.yaml:\d"]),
        ("- a\n- b\n", [r"bad\.yaml:1", "mapping", "list"]),
        ("just words\n", [r"bad\.yaml:1", "mapping"]),
        ("{}\n", [r"bad\.yaml", "behaviors"]),
        ("behaviors: {}\n", [r"bad\.yaml:1: behaviors"]),
        ("behaviors: 3\n", [r"bad\.yaml:1: behaviors"]),
        ("behaviors:\n  RobotArm: 3\n", [r"bad\.yaml:2: behaviors\.RobotArm: expected a mapping, found 3"]),
        ("null\n", [r"bad\.yaml: is empty"]),
        ("behaviors: {}\n---\nmore: 1\n", [r"bad\.yaml:2: expected a single document"]),
        ("behaviors:\n  RobotArm: {}\n  RobotArm: {}\n", [r"bad\.yaml:3", "twice"]),
        (
            "behaviors:\n  A: {}\n  B: {}\nenv_settings: {env_path: sim:arm_reach}\n",
            [r"bad\.yaml:2", "behavior A: the environment has RobotArm"],
        ),
        ("default_settings: 3\nbehaviors: {RobotArm: {}}\n", [r"bad\.yaml:1: default_settings"]),
        ("behaviors: &a\n  RobotArm: *a\n", [r"bad\.yaml"]),
        ("behaviors: {1: {}}\n", [r"bad\.yaml"]),
        ("behaviors: {RobotArm: {}}\ndebug: 2020-13-45\n", [r"bad\.yaml"]),
        ("behaviors: {RobotArm: {}}\ndebug: 0x_\n", [r"bad\.yaml"]),
    ],
)
def test_a_file_that_is_no_settings_is_refused(here: Path, content: str, parts: list[str]) -> None:
    (here / "bad.yaml").write_text(content, encoding="utf-8")
    assert_refused(cli("train", "bad.yaml"), *parts)
    assert not (here / "results").exists()


def test_a_missing_file_is_named_with_the_shipped_configs() -> None:
    assert_refused(cli("train", "nowhere.yaml"), r"nowhere\.yaml", "arm_reach_ppo")


def test_a_folder_is_no_settings(here: Path) -> None:
    (here / "folder").mkdir()
    assert_refused(cli("train", "folder"), "folder", "directory")


def test_bytes_that_are_no_text_are_refused(here: Path) -> None:
    (here / "bad.yaml").write_bytes(b"behaviors: \xff\xfe\n")
    assert_refused(cli("train", "bad.yaml"), r"bad\.yaml", "UTF-8")


def test_no_config_at_all_is_refused() -> None:
    assert_refused(cli("train"), "name a config")


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        ("hyperparameters.learnig_rate", 1e-3, ["unknown key", "did you mean learning_rate"]),
        ("network_settings.hiden_units", 8, ["unknown key", "did you mean hidden_units"]),
        ("reward_signals.extrinsic.gama", 0.9, ["unknown key", "did you mean gamma"]),
        ("max_step", 5, ["unknown key", "did you mean max_steps"]),
        ("hyperparameters.learning_rate", "fast", ["number", "'fast'"]),
        ("hyperparameters.learning_rate", "0.001", ["number", "'0.001'"]),
        ("hyperparameters.learning_rate", -1e-3, ["greater than 0", "-0.001"]),
        ("hyperparameters.learning_rate", 0.0, ["greater than 0"]),
        ("hyperparameters.learning_rate", float("nan"), ["learning_rate", "nan"]),
        ("hyperparameters.learning_rate", float("inf"), ["finite"]),
        ("hyperparameters.learning_rate", None, ["learning_rate"]),
        ("hyperparameters.learning_rate", True, ["learning_rate"]),
        ("hyperparameters.batch_size", 0, ["greater than 0", "found 0"]),
        ("hyperparameters.batch_size", 2.5, ["integer", r"2\.5"]),
        ("hyperparameters.batch_size", 100_000, ["batch_size 100000", "buffer_size 256"]),
        ("hyperparameters.learning_rate_schedule", "cosine", ["linear", "constant", "cosine"]),
        ("hyperparameters.lambd", 1.5, ["less than or equal to 1"]),
        ("hyperparameters.lambd", float("nan"), ["lambd"]),
        ("hyperparameters.epsilon", -0.1, ["greater than 0"]),
        ("hyperparameters.shared_critic", "yes", ["boolean"]),
        ("network_settings.normalize", "yes please", ["bool"]),
        ("network_settings.num_layers", -1, ["greater than 0"]),
        ("network_settings.memory.memory_size", 7, ["multiple of 2", "found 7"]),
        ("network_settings.memory.sequence_length", 0, ["greater than 0"]),
        ("network_settings.activation", "sigmoid", ["swish", "sigmoid"]),
        ("reward_signals.extrinsic.gamma", 1.1, ["less than or equal to 1"]),
        ("network_settings.hidden_units", 1_000_000_000, ["less than or equal to"]),
        ("hyperparameters.buffer_size", 100_000_000_000_000, ["less than or equal to"]),
        ("reward_signals.gail", {}, [r"gail\.demo_path: is missing"]),
        ("behavioral_cloning", {}, [r"cloning\.demo_path: is missing"]),
        ("reward_signals.rnd.gamma", 1.0, ["less than 1"]),
        ("reward_signals.rnd.strength", -1.0, ["greater than or equal to 0"]),
        ("reward_signals.curiosity.strenght", 1.0, ["unknown key", "did you mean strength"]),
        ("trainer_type", "pop", ["ppo", "pop"]),
        ("max_steps", 0, ["greater than 0"]),
        ("max_steps", [1], ["integer"]),
        ("hyperparameters", [1], [r"hyperparameters: expected a mapping, found \[1\]"]),
    ],
)
def test_a_wrong_value_is_refused_with_its_line(here: Path, key: str, value: Any, parts: list[str]) -> None:
    path = write_config(here, {f"{BEHAVIOR}.{key}": value})
    key_line = line_of(path, f" {key.rsplit('.', 1)[-1]}:")
    outcome = cli("train", path)
    if "buffer_size 256" in parts:  # a rule about two keys points at what holds both
        key_line = line_of(path, " hyperparameters:")
    assert_refused(outcome, rf"tiny\.yaml:{key_line}: behaviors\.{NAME}\.", *parts)
    assert not (here / "results").exists()


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        ("env_settings.env_path", "sim:arm_raech", ["arm_raech", "known are .*arm_reach"]),
        ("env_settings.env_path", "sim:", ["arm_reach"]),
        ("env_settings.env_path", "Player.x86_64", ["Player.x86_64", "sim:"]),
        ("env_settings.env_path", 7, ["string"]),
        ("env_settings.num_areas", 0, ["greater than 0"]),
        ("env_settings.seed", -2, ["-1"]),
        ("env_settings.seed", 2**70, ["seed"]),
        ("env_settings.sim_threads", -1, ["greater than or equal to 0"]),
        ("engine_settings.time_scale", 0.0, ["greater than 0"]),
        ("environment_parameters.mass", 2.0, ["mass", "no such environment parameter", "mass_scale"]),
        ("environment_parameters.mass", {"sampler_type": "unifrom"}, ["unifrom"]),
        ("checkpoint_settings.run_id", "../outside", ["pattern", "outside"]),
        ("torch_settings.device", "tpu", ["tpu", "device"]),
        ("torch_settings.device", "cuda:99", ["cuda:99", "device"]),
        ("torch_settings.device", "meta", ["meta", "device"]),
        ("evaluation.episodes", 0, ["greater than 0"]),
        ("evaluation.success_threshold", 1.5, ["less than or equal to 1"]),
        ("env_setings", {"seed": 1}, ["unknown key", "did you mean env_settings"]),
    ],
)
def test_a_setting_outside_the_behavior_is_refused_with_its_key(
    here: Path, key: str, value: Any, parts: list[str]
) -> None:
    path = write_config(here, {key: value})
    outcome = cli("train", path, *([] if "run_id" in key else ["--run-id", "x"]))
    assert_refused(outcome, r"tiny\.yaml:\d+: " + re.escape(key), *parts)
    assert not (here / "results").exists()


@pytest.mark.parametrize(
    ("terms", "parts"),
    [
        ({"a": {"term": "reech", "weight": 1.0}}, [r"terms\.a\.term", "reech", "did you mean reach"]),
        (
            {"a": {"term": "success", "signal": "sucess", "weight": 1.0}},
            [r"terms\.a\.signal", "sucess", "did you mean success"],
        ),
        ({"a": {"term": "reach", "signal": {"goal": "tool_pos"}, "weight": 1.0}}, [r"terms\.a\.signal", "goal"]),
        ({"a": {"term": "time", "signal": "success", "weight": 1.0}}, [r"terms\.a\.signal", "none"]),
        ({"a": {"term": "reach", "weight": 1.0}}, [r"terms\.a\.parameters\.std", "is missing"]),
        ({"a": {"term": "reach", "parameters": {"std": -1.0}, "weight": 1.0}}, [r"parameters\.std", "greater than 0"]),
        (
            {"a": {"term": "reach", "parameters": {"std": 1.0, "sdt": 2.0}, "weight": 1.0}},
            [r"parameters\.sdt", "known|parameters of this term: std"],
        ),
        ({"a": {"term": "time", "weight": float("nan")}}, [r"terms\.a\.weight", "finite"]),
        ({"a": {"term": "time", "weight": "heavy"}}, [r"terms\.a\.weight", "heavy"]),
        ({"a": {"term": "time", "weight": True}}, [r"terms\.a\.weight"]),
        ({"a": {"term": "time"}}, [r"terms\.a\.weight", "is missing"]),
        ({"a": {"term": "time", "wieght": 1.0}}, [r"terms\.a"]),
        ({"a": 1.0}, [r"terms\.a"]),
        ({}, ["terms"]),
        (
            {"a": {"term": "time", "weight": {"schedule": "linear", "initial": 0.0, "final": 1.0}}},
            [r"terms\.a\.weight\.end", "is missing"],
        ),
        (
            {"a": {"term": "time", "weight": {"schedule": "linaer", "initial": 0.0, "final": 1.0, "end": 5}}},
            [r"terms\.a\.weight", "schedule linaer, known are .*linear"],
        ),
        (
            {"a": {"term": "tolerance", "signal": "goal_distance", "weight": 1.0}},
            [r"terms\.a\.parameters\.bounds", "is missing"],
        ),
        (
            {
                "a": {
                    "term": "tolerance",
                    "signal": "goal_distance",
                    "parameters": {"bounds": [0.0, 0.1], "margin": 0.0, "kind": "long_tail"},
                    "weight": 1.0,
                }
            },
            [r"terms\.a\.parameters\.margin", "0 makes a step and long_tail never reaches 0"],
        ),
        (
            {"a": {"term": "reach", "signal": "tool_pos", "parameters": {"std": 1.0}, "weight": 1.0}},
            [r"terms\.a", r"cannot be computed from tool_pos \(3\)"],
        ),
        ({"a": {"term": "time", "use": "potential", "weight": 1.0}}, [r"terms\.a\.use", "function of one state"]),
        ({"a": {"term": "reach", "gamma": 0.9, "weight": 1.0}}, [r"terms\.a\.gamma", "unknown key"]),
        ({"a": {"term": "reach", "wen": {}, "weight": 1.0}}, [r"terms\.a\.wen", "did you mean when"]),
        ({"a": {"weight": 1.0}}, [r"terms\.a: ", "expected one of term, product and max"]),
        (
            {"a": {"term": "time", "when": {"signal": "hold_time", "above": 0.1}, "weight": 1.0}},
            [r"terms\.a\.when\.signal", "policy does not observe hold_time.*goal_error"],
        ),
        (
            {"a": {"product": {"b": {"term": "time"}, "c": {"term": "reech"}}, "weight": 1.0}},
            [r"terms\.a\.product\.c\.term", "did you mean reach"],
        ),
        (
            {"a": {"product": {"b": {"term": "time"}, "c": {"term": "time", "weigth": 1}}, "weight": 1.0}},
            [r"terms\.a\.product\.c\.weigth", "unknown key"],
        ),
        ({"a": {"term": "python:nowhere:term", "weight": 1.0}}, [r"terms\.a\.term", "No module named 'nowhere'"]),
    ],
)
def test_a_reward_that_cannot_be_built_is_refused(here: Path, terms: Any, parts: list[str]) -> None:
    path = write_config(here, {f"{BEHAVIOR}.reward_shaping": {"terms": terms}})
    assert_refused(cli("train", path), r"tiny\.yaml:\d+: behaviors\.RobotArm\.reward_shaping", *parts)
    assert not (here / "results").exists()


def test_an_error_in_an_included_reward_file_points_into_that_file(here: Path) -> None:
    reward = here / "reward.yaml"
    reward.write_text("terms:\n  a:\n    term: time\n    weight: 1.0\n  b:\n    term: sucess\n    weight: 1.0\n")
    path = write_config(here, {f"{BEHAVIOR}.reward_shaping": "reward.yaml"})
    assert_refused(cli("train", path), r"reward\.yaml:6: terms\.b\.term", "did you mean success")


def test_a_missing_reward_file_is_refused(here: Path) -> None:
    path = write_config(here, {f"{BEHAVIOR}.reward_shaping": "nowhere.yaml"})
    assert_refused(cli("train", path), r"tiny\.yaml:\d+: behaviors\.RobotArm\.reward_shaping", r"nowhere\.yaml")


def test_an_unknown_behavior_is_refused_with_those_that_exist(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once: the embedded simulation has no agents that come later."""
    path = write_config(here, {"behaviors": {"RobotLeg": {}}})
    steps: list[int] = []
    monkeypatch.setattr(SimEnv, "step", lambda _: steps.append(1))
    assert_refused(cli("train", path), r"tiny\.yaml:\d+: behaviors\.RobotLeg", "RobotLeg", "RobotArm")
    assert len(steps) <= 1


@pytest.mark.parametrize(
    "override",
    ["nonsense", "=3", "a=[1", f"{BEHAVIOR}=5", f"{BEHAVIOR}.max_steps.deeper=1", "debug=2020-13-45", "x.y=1"],
)
def test_a_wrong_override_is_refused(here: Path, override: str) -> None:
    assert_refused(cli("train", write_config(here), "--set", override))
    assert not (here / "results").exists()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("bad_input"), "done", SHORT)


def again(run: Path, *more: object) -> Outcome:
    return cli("train", run.parent.parent / "done.yaml", "--results-dir", run.parent, "--run-id", run.name, *more)


def test_an_existing_run_is_not_touched_without_force_or_resume(finished: Path) -> None:
    before = files_below(finished)
    assert_refused(again(finished), str(finished), "--resume", "--force")
    assert files_below(finished) == before


@pytest.mark.parametrize(
    "change",
    [
        "network_settings.hidden_units=32",
        "network_settings.num_layers=2",
        "network_settings.normalize=false",
        "network_settings.activation=relu",
    ],
)
def test_resuming_with_a_changed_network_is_refused(finished: Path, change: str) -> None:
    before = files_below(finished)
    key = change.split("=", maxsplit=1)[0]
    outcome = again(finished, "--resume", "--set", f"{BEHAVIOR}.{change}")
    assert_refused(outcome, re.escape(f"{BEHAVIOR}.{key}"), re.escape("checkpoint.pt"))
    assert files_below(finished) == before


def test_a_mistake_together_with_force_does_not_cost_the_old_run(finished: Path) -> None:
    before = files_below(finished)
    for mistake in ("env_settings.env_path=sim:nothing", "torch_settings.device=tpu", f"{BEHAVIOR}.max_steps=0"):
        assert_refused(again(finished, "--force", "--set", mistake))
    assert_refused(again(finished, "--force", "--initialize-from", "nobody"), "nobody")
    assert files_below(finished) == before


def test_resuming_what_never_ran_is_refused(here: Path) -> None:
    path = write_config(here)
    assert_refused(cli("train", path, "--run-id", "never", "--resume"), "never", "--resume")
    assert_refused(cli("train", "--run-id", "never", "--resume"), "never")
    assert not (here / "results").exists()


def test_initializing_from_a_missing_run_is_refused(here: Path) -> None:
    outcome = cli("train", write_config(here), "--run-id", "x", "--initialize-from", "nobody")
    assert_refused(outcome, "nobody", "no such checkpoint")
    assert not (here / "results").exists()


@pytest.mark.parametrize("blocked", ["results", "results/x"])
def test_a_file_in_the_place_of_the_results_folder_is_refused_and_kept(here: Path, blocked: str) -> None:
    (here / blocked).parent.mkdir(exist_ok=True)
    (here / blocked).write_text("precious")
    assert_refused(cli("train", write_config(here), "--run-id", "x"), "results/x", "cannot be written")
    assert (here / blocked).read_text() == "precious"


def test_force_does_not_delete_a_folder_that_is_no_run(here: Path) -> None:
    (here / "results" / "x").mkdir(parents=True)
    (here / "results" / "x" / "thesis.txt").write_text("precious")
    assert_refused(cli("train", write_config(here), "--run-id", "x", "--force"), "not the folder of a run")
    assert (here / "results" / "x" / "thesis.txt").read_text() == "precious"


def damage(path: Path, how: str) -> None:
    if how == "cut short":
        path.write_bytes(path.read_bytes()[:1000])
    elif how == "no checkpoint":
        path.write_text("hello")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "other format":
        torch.save({"format": 99}, path)
    elif how == "incomplete":
        torch.save({"format": 1}, path)
    elif how == "one bit":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 255
        path.write_bytes(bytes(content))


@pytest.mark.parametrize("how", ["cut short", "no checkpoint", "empty", "other format", "incomplete"])
def test_a_damaged_checkpoint_is_refused_by_every_command(here: Path, how: str) -> None:
    run = train_tiny(here, "x", SHORT)
    for checkpoint in (run / NAME / "checkpoint.pt", run / NAME / "best.pt"):
        damage(checkpoint, how)
    before = files_below(run)
    path = here / "x.yaml"
    for command in (
        ("train", path, "--run-id", "x", "--resume"),
        ("train", path, "--run-id", "y", "--initialize-from", "x"),
        ("eval", "x"),
        ("export", "x"),
    ):
        assert_refused(cli(*command), r"(checkpoint|best)\.pt")
        assert files_below(run) == before
    assert not (here / "results" / "y").exists()


@pytest.mark.parametrize("command", ["eval", "export"])
def test_a_run_that_does_not_exist_is_refused(command: str) -> None:
    assert_refused(cli(command, "nobody"), "nobody", "no run there")


def test_an_unknown_task_is_refused_with_those_that_exist() -> None:
    assert_refused(cli("tasks", "show", "arm_raech"), "arm_raech", "arm_reach")


@pytest.mark.parametrize("arguments", [["train", "--seed", "x"], ["eval"], ["fly"], ["train", "--learnig-rate", "1"]])
def test_wrong_usage_exits_with_2_and_no_traceback(arguments: list[str]) -> None:
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
    assert outcome.err.strip()


def test_the_installed_command_refuses_like_the_function(here: Path) -> None:
    path = write_config(here, {f"{BEHAVIOR}.hyperparameters.learnig_rate": 1e-3})
    outcome = robotrl("train", path, cwd=here)
    assert_refused(outcome, rf"tiny\.yaml:{line_of(path, 'learnig_rate')}: ", "did you mean learning_rate")
    assert list(here.iterdir()) == [path]


def test_the_resolved_configuration_is_yaml_that_trains_again(finished: Path, here: Path) -> None:
    resolved = finished / "configuration.yaml"
    assert yaml.safe_load(resolved.read_text())["behaviors"][NAME]["max_steps"] == 256
    outcome = cli("train", resolved, "--results-dir", here / "results", "--run-id", "copy")
    assert outcome.code == 0, outcome.err
