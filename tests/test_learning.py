"""Does it learn? Trained, measured on held-out episodes, compared with chance on the same episodes."""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from trainers.config import find_config, load_settings
from trainers.display import Display
from trainers.evaluate import evaluate
from trainers.train import train
from trainers.world import EVALUATION_ROWS, make_env

EPISODES, HELD_OUT = 100, 3_000_000


@pytest.mark.slow
def test_ppo_learns_arm_reach_and_chance_does_not(tmp_path: Path) -> None:
    options = {
        "env_settings.seed": 11,
        "evaluation.success_threshold": 0.97,
        "evaluation.final_episodes": EPISODES,
        "evaluation.final_seed": HELD_OUT,
        "checkpoint_settings.results_dir": str(tmp_path),
    }
    settings, document = load_settings(find_config("arm_reach_ppo"), options)
    trained = train(settings, document, Display(Console(quiet=True)))
    assert trained.evaluations
    assert len(trained.evaluations["RobotArm"].returns) == EPISODES

    rng = np.random.default_rng(0)
    env = make_env(settings, "RobotArm", document, rows=min(EVALUATION_ROWS, settings.evaluation.episodes))
    chance = evaluate(env, lambda obs, _: rng.uniform(-1, 1, (len(obs), 6)).astype(np.float32), EPISODES, HELD_OUT)

    assert chance.success is not None
    assert trained.evaluations["RobotArm"].success is not None
    assert chance.success <= 0.1
    assert trained.evaluations["RobotArm"].success >= 0.9
    assert trained.evaluations["RobotArm"].returns.mean() > chance.returns.mean()
