"""Two robots in one room, trained together: each by its own settings, saved and resumed as one."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers import Outcome, cli, difference
from trainers.checkpoint import load_checkpoint

ARM, BASE = "RobotArm", "MobileRobot"
NAMES = (ARM, BASE)
ROWS = 4


def behavior(buffer_size: int, reward: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "max_steps": 384,
        "summary_freq": 128,
        "checkpoint_interval": 128,
        "keep_checkpoints": 50,
        "hyperparameters": {"batch_size": 32, "buffer_size": buffer_size, "learning_rate_schedule": "constant"},
        "network_settings": {"normalize": True, "hidden_units": 8, "num_layers": 1},
        "reward_shaping": {"terms": reward},
        **more,
    }


PLAYROOM: dict[str, Any] = {
    "env_settings": {"env_path": "sim:playroom", "num_areas": ROWS, "seed": 3},
    "behaviors": {
        ARM: behavior(64, {"grasp": {"term": "grasp", "weight": 1.0}, "haste": {"term": "time", "weight": -0.1}}),
        BASE: behavior(96, {"way": {"term": "progress", "signal": "goal_distance", "weight": 1.0}}),
    },
    "evaluation": {"interval": 100_000, "episodes": 4, "final_episodes": 4},
}


def train(folder: Path, run_id: str, *more: object, settings: dict[str, Any] = PLAYROOM) -> Outcome:
    config = folder / f"{run_id}.yaml"
    config.write_text(yaml.safe_dump(settings, sort_keys=False))
    return cli("train", config, "--results-dir", folder / "results", "--run-id", run_id, *more)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def trained(workplace: Path) -> tuple[Path, Outcome]:
    outcome = train(workplace, "whole")
    assert outcome.code == 0, outcome.err
    return workplace / "results" / "whole", outcome


def newest(run: Path, name: str) -> dict[str, Any]:
    return load_checkpoint(run / name / "checkpoint.pt")


def test_each_behavior_has_its_own_networks_log_and_export(trained: tuple[Path, Outcome]) -> None:
    run, outcome = trained
    sizes = {name: newest(run, name)["algorithm"]["actor"]["log_std"].shape for name in NAMES}
    assert sizes == {ARM: (7,), BASE: (2,)}
    for name in NAMES:
        assert newest(run, name)["step"] == 384
        lines = [json.loads(line) for line in (run / name / "metrics.jsonl").read_text().splitlines()]
        assert any("environment/episode_return" in line or "losses/policy_loss" in line for line in lines)
        assert "evaluation/joint_success" in lines[-1]
        assert (run / f"{name}.onnx").is_file()
        card = json.loads((run / name / "actor" / "actor.json").read_text())
        assert (card["behavior"], card["task"]) == (name, "playroom")
        assert f"Reward of {name}" in outcome.out
    assert "joint success" in outcome.out


def test_terms_are_logged_where_they_belong(trained: tuple[Path, Outcome]) -> None:
    run, _ = trained
    arm, base = ((run / name / "metrics.jsonl").read_text() for name in NAMES)
    assert "reward_per_step/grasp" in arm
    assert "reward_per_step/grasp" not in base
    assert "reward_per_step/way" in base


@pytest.mark.parametrize("moment", [0, 2])
def test_a_run_goes_on_bit_exactly_from_a_moment_in_which_one_rollout_is_under_way(
    moment: int, workplace: Path, trained: tuple[Path, Outcome]
) -> None:
    whole, _ = trained
    run = workplace / "results" / f"resumed{moment}"
    shutil.copytree(whole, run)
    for name in NAMES:
        numbered = sorted((run / name).glob(f"{name}-*.pt"), key=lambda path: int(path.stem.rpartition("-")[2]))
        shutil.copy(numbered[moment], run / name / "checkpoint.pt")
    rollouts = [newest(run, name)["algorithm"]["rollout"] for name in NAMES]
    assert rollouts != [None, None]
    outcome = train(workplace, run.name, "--resume")
    assert outcome.code == 0, outcome.err
    assert "bit-exactly" in outcome.out
    for name in NAMES:
        for part in ("step", "algorithm", "env", "reward", "episodes"):
            assert difference(newest(whole, name)[part], newest(run, name)[part]) == "", (name, part)


def test_checkpoints_of_different_moments_keep_what_was_learned_and_say_so(
    workplace: Path, trained: tuple[Path, Outcome]
) -> None:
    whole, _ = trained
    run = workplace / "results" / "torn"
    shutil.copytree(whole, run)
    first = min((run / ARM).glob(f"{ARM}-*.pt"), key=lambda path: int(path.stem.rpartition("-")[2]))
    shutil.copy(first, run / ARM / "checkpoint.pt")
    outcome = train(workplace, "torn", "--resume")
    assert outcome.code == 0, outcome.err
    assert "the episodes start anew" in outcome.out
    assert newest(run, ARM)["step"] == 384


def test_a_behavior_that_is_done_acts_on_while_the_other_learns(workplace: Path) -> None:
    settings = yaml.safe_load(yaml.safe_dump(PLAYROOM))
    settings["behaviors"][BASE]["max_steps"] = 96
    outcome = train(workplace, "uneven", settings=settings)
    assert outcome.code == 0, outcome.err
    run = workplace / "results" / "uneven"
    assert [newest(run, name)["step"] for name in NAMES] == [384, 96]


def test_eval_measures_both_and_their_joint_success(trained: tuple[Path, Outcome]) -> None:
    run, _ = trained
    outcome = cli("eval", run, "--episodes", 4, "--json")
    assert outcome.code == 0, outcome.err
    behaviors = json.loads(outcome.out)["behaviors"]
    assert behaviors.keys() == set(NAMES)
    assert all("joint_success" in measured for measured in behaviors.values())
    assert behaviors[ARM]["joint_success"] == behaviors[BASE]["joint_success"]


def test_a_behavior_alone_trains_while_the_other_stands_still(workplace: Path) -> None:
    settings = {**PLAYROOM, "behaviors": {BASE: PLAYROOM["behaviors"][BASE]}}
    outcome = train(workplace, "alone", settings=settings)
    assert outcome.code == 0, outcome.err
    assert newest(workplace / "results" / "alone", BASE)["step"] == 384
