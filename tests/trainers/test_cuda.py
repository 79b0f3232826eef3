"""Every trainer on a GPU; where there is none, nothing is shown."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers import cli, train_tiny, write_config

OFF_POLICY: dict[str, Any] = {"batch_size": 32, "buffer_size": 2000, "buffer_init_steps": 64, "steps_per_update": 8}
LEARN: dict[str, dict[str, Any]] = {
    "reinforce": {"num_episodes": 8},
    "a2c": {"buffer_size": 128},
    "ppo": {"batch_size": 64, "buffer_size": 256},
    "dqn": OFF_POLICY,
    "ddpg": OFF_POLICY,
    "td3": OFF_POLICY,
    "sac": OFF_POLICY,
}


def on_cuda(kind: str, steps: int) -> dict[str, Any]:
    task, name = ("mobile_goal_discrete", "MobileRobot") if kind == "dqn" else ("arm_reach", "RobotArm")
    network = {"normalize": True, "hidden_units": 16, "num_layers": 1}
    behavior = {"trainer_type": kind, "hyperparameters": LEARN[kind], "network_settings": network, "max_steps": steps}
    return {
        "env_settings.env_path": f"sim:{task}",
        "behaviors": {name: behavior},
        "torch_settings": {"device": "cuda"},
    }


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", LEARN)
def test_a_trainer_learns_on_a_gpu_goes_on_there_and_is_measured_and_exported(tmp_path: Path, kind: str) -> None:
    run = train_tiny(tmp_path, "x", on_cuda(kind, 1024))
    config = write_config(tmp_path, on_cuda(kind, 2048), "x")
    outcome = cli("train", config, "--results-dir", run.parent, "--run-id", "x", "--resume")
    assert outcome.code == 0, outcome.err
    assert "bit-exactly, simulation included" in outcome.out
    assert cli("eval", run, "--episodes", 2).code == 0
