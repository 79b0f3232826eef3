"""mlagents-learn's command line, option by option; and policies that act without learning."""

import json
import os
import signal
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
import yaml

from tests.helpers import BEHAVIOR, NAME, assert_refused, cli, files_below, lines_of, train_tiny, write_config
from trainers import train_cli
from trainers.metrics import MetricsLog
from trainers.train_cli import spread_env_args

STEPS = f"{BEHAVIOR}.max_steps"

# every option of mlagents-learn 1.1.0 -> the setting that it becomes, with a value
OPTIONS: dict[str, tuple[list[str], str, Any]] = {
    "env": (["sim:arm_reach"], "env_settings.env_path", "sim:arm_reach"),
    "load": ([], "checkpoint_settings.resume", True),
    "resume": ([], "checkpoint_settings.resume", True),
    "deterministic": ([], f"{BEHAVIOR}.network_settings.deterministic", True),
    "force": ([], "checkpoint_settings.force", True),
    "run-id": (["mine"], "checkpoint_settings.run_id", "mine"),
    "initialize-from": (["other"], "checkpoint_settings.initialize_from", "other"),
    "seed": (["7"], "env_settings.seed", 7),
    "train": ([], "checkpoint_settings.train_model", True),
    "inference": ([], "checkpoint_settings.inference", True),
    "base-port": (["5100"], "env_settings.base_port", 5100),
    "num-envs": (["3"], "env_settings.num_envs", 3),
    "num-areas": (["4"], "env_settings.num_areas", 4),
    "debug": ([], "debug", True),
    "env-args": (["--level", "3", "-x"], "env_settings.env_args", ["--level", "3", "-x"]),
    "max-lifetime-restarts": (["-1"], "env_settings.max_lifetime_restarts", -1),
    "restarts-rate-limit-n": (["2"], "env_settings.restarts_rate_limit_n", 2),
    "restarts-rate-limit-period-s": (["30"], "env_settings.restarts_rate_limit_period_s", 30),
    "torch": ([], "torch_settings.device", None),
    "results-dir": (["elsewhere"], "checkpoint_settings.results_dir", "elsewhere"),
    "width": (["100"], "engine_settings.width", 100),
    "height": (["50"], "engine_settings.height", 50),
    "quality-level": (["2"], "engine_settings.quality_level", 2),
    "time-scale": (["1.5"], "engine_settings.time_scale", 1.5),
    "target-frame-rate": (["60"], "engine_settings.target_frame_rate", 60),
    "capture-frame-rate": (["30"], "engine_settings.capture_frame_rate", 30),
    "no-graphics": ([], "engine_settings.no_graphics", True),
    "no-graphics-monitor": ([], "engine_settings.no_graphics_monitor", True),
    "timeout-wait": (["90"], "env_settings.timeout_wait", 90),
    "torch-device": (["cpu"], "torch_settings.device", "cpu"),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_mlagents_learn_sets_what_it_says(
    tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, path, expected = OPTIONS[option]
    monkeypatch.chdir(tmp_path)
    with mock.patch.object(train_cli, "_train") as train, mock.patch.object(train_cli, "_infer") as infer:
        outcome = cli("train", write_config(tmp_path), f"--{option}", *values)
    assert outcome.code == 0, outcome.err
    chosen = infer if option == "inference" else train
    found: Any = chosen.call_args.args[0].model_dump()
    for key in path.split("."):
        found = found[key]
    assert found == expected


def test_tensorflow_and_nonsense_are_refused_in_a_line(tmp_path: Path) -> None:
    assert_refused(cli("train", write_config(tmp_path), "--tensorflow"), "networks are PyTorch's")
    assert_refused(cli("train", write_config(tmp_path), "--resume", "--force"), "resume goes on with a run, force")


def test_what_follows_env_args_goes_to_the_player_as_it_is() -> None:
    given = ["train", "a.yaml", "--seed", "1", "--env-args", "--seed", "2", "plain"]
    assert spread_env_args(given) == [*given[:4], "--env-args=--seed", "--env-args=2", "--env-args=plain"]
    assert spread_env_args(given[:4]) == given[:4]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("inference"), "r", {STEPS: 256})


def infer(run: Path, *more: object) -> Any:
    return cli("train", "--resume", "--inference", "--run-id", run.name, "--results-dir", run.parent, *more)


def test_inference_acts_logs_and_changes_nothing_of_the_run(trained: Path) -> None:
    before = files_below(trained)
    outcome = infer(trained, "--set", f"{STEPS}=2048", "--set", f"{BEHAVIOR}.summary_freq=1024")
    assert outcome.code == 0, outcome.err
    assert "RobotArm 2,048 steps, nothing learned" in outcome.out
    after = files_below(trained)
    assert {path: content for path, content in after.items() if not path.startswith("inference/")} == before
    lines = lines_of(trained / "inference" / NAME)
    assert [line["step"] for line in lines] == [1024, 2048]
    assert {"environment/episode_return", "environment/success", "reward_per_step/near"} <= lines[-1].keys()


def test_inference_explores_as_the_policy_does_or_not_at_all(trained: Path) -> None:
    def returns(*more: object) -> list[float]:
        torch.manual_seed(1)
        assert infer(trained, "--set", f"{STEPS}=1600", *more).code == 0
        return [line["environment/episode_return"] for line in lines_of(trained / "inference" / NAME)[-1:]]

    free, bound = returns(), returns("--deterministic")
    assert free != bound
    assert bound == returns("--deterministic")


def test_inference_may_take_another_runs_policy_and_leaves_its_name_free(trained: Path) -> None:
    config = write_config(trained.parent.parent, {STEPS: 64}, "other")
    again = ("train", config, "--results-dir", trained.parent, "--run-id", "new")
    outcome = cli(*again, "--initialize-from", "r", "--inference")
    assert outcome.code == 0, outcome.err
    new = trained.parent / "new"
    assert [path.name for path in new.iterdir() if path.name != "run_logs"] == ["inference"]
    assert cli(*again).code == 0
    assert not (new / "inference").exists()


def test_inference_without_a_policy_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(cli("train", write_config(tmp_path), "--inference"), "RobotArm needs a trained policy; .*--resume")
    assert_refused(cli("train", write_config(tmp_path), "--inference", "--resume"), "--resume: no ")


def test_ctrl_c_ends_inference_with_its_log(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = MetricsLog.write

    def interrupt(log: MetricsLog, step: int, values: Any) -> None:
        write(log, step, values)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(MetricsLog, "write", interrupt)
    outcome = infer(trained, "--set", f"{STEPS}=1000000", "--set", f"{BEHAVIOR}.summary_freq=256")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-2] == "stopped   RobotArm 256 steps, nothing learned"
    assert len(lines_of(trained / "inference" / NAME)) == 1


def test_load_model_and_inference_in_the_yaml_do_what_their_options_do(trained: Path) -> None:
    modes = {"load_model": True, "inference": True, "run_id": "r", "results_dir": str(trained.parent)}
    config = write_config(trained.parent.parent, {STEPS: 64, "checkpoint_settings": modes}, "modes")
    outcome = cli("train", config)
    assert outcome.code == 0, outcome.err
    assert "nothing learned" in outcome.out
    kept = yaml.safe_load((trained / "configuration.yaml").read_text())["checkpoint_settings"]
    assert not any(kept[mode] for mode in ("load_model", "inference", "resume"))


def test_init_path_goes_before_initialize_from_and_may_name_one_of_its_files(trained: Path) -> None:
    def first_weights(run_id: str, **changes: object) -> np.ndarray:
        full = {f"{BEHAVIOR}.{key}": value for key, value in changes.items()} | {STEPS: 64}
        full[f"{BEHAVIOR}.hyperparameters.learning_rate"] = 1e-30
        folder = train_tiny(trained.parent.parent, run_id, full, "--initialize-from", "r")
        state = torch.load(folder / NAME / "checkpoint.pt", weights_only=True)
        weights: np.ndarray = state["algorithm"]["actor"]["mean.weight"].numpy()
        return weights

    newest = torch.load(trained / NAME / "checkpoint.pt", weights_only=True)["algorithm"]["actor"]["mean.weight"]
    np.testing.assert_allclose(first_weights("by_file", init_path="best.pt"), newest, atol=1e-6)
    whole = str(trained / NAME / f"{NAME}-256.pt")
    np.testing.assert_allclose(first_weights("by_path", init_path=whole), newest, atol=1e-6)


def test_eval_as_json_has_what_the_table_has(trained: Path) -> None:
    found = json.loads(cli("eval", trained, "--episodes", 3, "--json").out)
    (measured,) = found["behaviors"].values()
    assert found["episodes"] == 3
    for name in ("success", "return", "length"):
        low, high = measured["intervals"][name]
        assert low <= measured[name] <= high
    table = cli("eval", trained, "--episodes", 3).out
    assert f"{measured['return']:.2f}" in table
