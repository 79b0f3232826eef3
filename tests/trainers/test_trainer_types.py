"""What every trainer owes, whatever its algorithm; a3c's processes have tests of their own."""

from pathlib import Path
from typing import Any

import pytest

from tests.helpers import BEHAVIOR, NAME, checkpoint_of, cli, difference, train_tiny, write_config
from trainers.config import CONFIGS_DIR, load_settings

STEPS = f"{BEHAVIOR}.max_steps"
LEARN: dict[str, dict[str, Any]] = {
    "reinforce": {"num_episodes": 8, "learning_rate": 0.01},
    "a2c": {"buffer_size": 128, "learning_rate": 0.01},
    "ppo": {"batch_size": 128, "buffer_size": 256, "objective": "kl", "learning_rate_schedule": "adaptive"},
}


def of_kind(kind: str, steps: int) -> dict[str, Any]:
    return {f"{BEHAVIOR}.trainer_type": kind, f"{BEHAVIOR}.hyperparameters": dict(LEARN[kind]), STEPS: steps}


@pytest.mark.parametrize("kind", LEARN)
def test_a_resumed_run_is_the_undisturbed_one_bit_for_bit_and_exports(tmp_path: Path, kind: str) -> None:
    schedule = {f"{BEHAVIOR}.hyperparameters.learning_rate_schedule": "constant"} if kind != "ppo" else {}
    whole = train_tiny(tmp_path, "whole", of_kind(kind, 1600) | schedule)
    run = train_tiny(tmp_path, "halves", of_kind(kind, 800) | schedule)
    stopped_at = checkpoint_of(run)["step"]
    config = write_config(tmp_path, of_kind(kind, 1600) | schedule, "halves")
    outcome = cli("train", config, "--results-dir", run.parent, "--run-id", "halves", "--resume")
    assert outcome.code == 0, outcome.err
    assert f"resumed at step {stopped_at:,}: bit-exactly, simulation included" in outcome.out
    one, other = checkpoint_of(whole), checkpoint_of(run)
    for part in ("step", "algorithm", "env", "reward", "episodes"):
        assert difference(one[part], other[part]) == "", part
    assert (run / NAME / "actor" / "actor.onnx").is_file()
    assert cli("eval", run, "--episodes", 2).code == 0


@pytest.mark.parametrize("kind", ["reinforce", "a2c", "a3c", "ppo", "ppo_kl"])
def test_every_trainer_has_a_config_that_loads(kind: str) -> None:
    path = CONFIGS_DIR / f"arm_reach_{kind}.yaml"
    settings, _ = load_settings(path)
    assert settings.behaviors["RobotArm"].trainer_type == kind.partition("_")[0]


@pytest.mark.parametrize(
    ("kind", "changes", "parts"),
    [
        ("reinforce", {"hyperparameters.variant": "plane"}, ["hyperparameters.variant", "'plain'", "'plane'"]),
        ("reinforce", {"hyperparameters.num_episodes": 0}, ["num_episodes", "greater than 0"]),
        ("reinforce", {"hyperparameters.lambd": 0.9}, ["lambd", "unknown key"]),
        ("reinforce", {"per_term_critic": True}, ["per_term_critic", "a2c, ppo"]),
        ("a2c", {"hyperparameters.lambd": 1.1}, ["lambd", "less than or equal to 1"]),
        ("a2c", {"hyperparameters.rms_decay": 1.0}, ["rms_decay", "less than 1"]),
        ("a2c", {"hyperparameters.learning_rate_schedule": "adaptive"}, ["'linear' or 'constant'", "'adaptive'"]),
        ("ppo", {"hyperparameters.objective": "trpo"}, ["'clip' or 'kl'", "'trpo'"]),
        ("ppo", {"hyperparameters.kl_target": 0}, ["kl_target", "greater than 0"]),
    ],
)
def test_a_wrong_value_is_one_line_with_its_place(
    tmp_path: Path, kind: str, changes: dict[str, Any], parts: list[str]
) -> None:
    full = {f"{BEHAVIOR}.{key}": value for key, value in changes.items()}
    outcome = cli("train", write_config(tmp_path, of_kind(kind, 100) | full), "--results-dir", tmp_path / "results")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert "tiny.yaml:" in outcome.err
    for part in parts:
        assert part in outcome.err
