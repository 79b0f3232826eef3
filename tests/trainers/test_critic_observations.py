"""Critics that read signals, in runs: beside what the policy sees, and never exported."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from tests.helpers import BEHAVIOR, NAME, assert_refused, checkpoint_of, cli, difference, train_tiny, write_config
from tests.trainers.export.test_export import shape_of
from trainers.actors import ActionShape
from trainers.algorithms import ALGORITHMS, Step
from trainers.algorithms.off_policy import OffPolicy
from trainers.observation import Observation, Sensor
from trainers.settings import BehaviorSettings

SIGNALS = {f"{BEHAVIOR}.critic_observations": "signals"}


OFF_POLICY = {"batch_size": 16, "buffer_size": 300, "buffer_init_steps": 64, "steps_per_update": 8}


def of_kind(trainer: str) -> dict[str, Any]:
    """Changes to the tiny run, which is one of PPO, for a trainer."""
    if trainer == "ppo":
        return {}
    return {f"{BEHAVIOR}.trainer_type": trainer, f"{BEHAVIOR}.hyperparameters": OFF_POLICY}


@pytest.mark.parametrize(
    ("trainer", "critic"),
    [("ppo", "encoder.0.mean"), *((kind, "normalizer.mean") for kind in ("ddpg", "td3", "sac"))],
)
def test_the_critic_reads_the_signals_and_the_exported_actor_does_not(
    tmp_path: Path, trainer: str, critic: str
) -> None:
    run = train_tiny(tmp_path, "r", {**SIGNALS, **of_kind(trainer), f"{BEHAVIOR}.max_steps": 256})
    state = checkpoint_of(run)
    seen = state["obs_size"]
    sizes = {
        name: len(state["algorithm"][name][at]) for name, at in {"actor": "encoder.0.mean", "critic": critic}.items()
    }
    assert sizes["actor"] == seen < sizes["critic"] == seen + state["observation"]["signals"]
    (obs,) = onnx.load(run / f"{NAME}.onnx").graph.input
    assert shape_of(obs) == ["batch", seen]


@pytest.mark.parametrize("trainer", ["reinforce", "a3c"])
def test_signals_that_no_critic_reads_are_refused(tmp_path: Path, trainer: str) -> None:
    path = write_config(tmp_path, {**SIGNALS, f"{BEHAVIOR}.trainer_type": trainer, f"{BEHAVIOR}.hyperparameters": {}})
    line = path.read_text().splitlines().index("    critic_observations: signals") + 1
    parts = (
        rf"tiny\.yaml:{line}: behaviors\.{NAME}\.critic_observations: {trainer} has no critic for them",
        "a2c, ppo, ddpg, td3, sac",
    )
    assert_refused(cli("train", path, "--results-dir", tmp_path / "results"), *parts)


def test_a_shared_critic_cannot_read_more_than_the_policy(tmp_path: Path) -> None:
    path = write_config(tmp_path, {**SIGNALS, f"{BEHAVIOR}.hyperparameters.shared_critic": True})
    assert_refused(cli("train", path), r"critic_observations: the policy would read the signals, too")


def learner(kind: str, **hyper: Any) -> OffPolicy:
    """Two rows that see 1 number, and whose critic reads 2 signals more."""
    settings = BehaviorSettings.model_validate(
        {
            "trainer_type": kind,
            "hyperparameters": {"batch_size": 64, "buffer_size": 512, "learning_rate": 0.01} | hyper,
            "network_settings": {"hidden_units": 16, "num_layers": 1, "normalize": True},
        }
    )
    seen = Observation((Sensor("observation", (1,)),), signals=2)
    algorithm = ALGORITHMS[kind](seen, ActionShape(1), 2, settings, 0, torch.device("cpu"))
    assert isinstance(algorithm, OffPolicy)
    return algorithm


def live(algorithm: OffPolicy, steps: int) -> None:
    """Let episodes of one step pay the second signal; what is seen says nothing of it."""
    rng, done = np.random.default_rng(0), np.ones(2, dtype=bool)
    for _ in range(steps):
        rows, last = rng.normal(scale=[1.0, 1.0, 10.0], size=(2, 2, 3)).astype(np.float32)
        algorithm.act(rows, done)
        algorithm.observe(Step(rows[:, 2], done, ~done, last, last, done))
        algorithm.update(0.0)


@pytest.mark.parametrize("kind", ["ddpg", "td3", "sac"])
def test_the_replay_has_the_signals_of_now_and_next_and_only_the_critic_sees_them(kind: str) -> None:
    algorithm = learner(kind, steps_per_update=1000)
    live(algorithm, steps=20)
    columns = algorithm.replay.read(np.arange(40))
    assert columns["obs"].shape == columns["next_obs"].shape == (40, 3)
    torch.testing.assert_close(columns["rew"][:, 0], columns["obs"][:, 2])
    obs, act = columns["obs"], columns["act"]
    blind = obs * torch.tensor([1.0, 0.0, 0.0])
    assert torch.equal(algorithm.actor.action(obs), algorithm.actor.action(blind))
    assert not torch.allclose(algorithm.critic(obs, act), algorithm.critic(blind, act))
    normalizer = algorithm.critic.normalizer
    assert normalizer is algorithm.target_critic.normalizer is not algorithm.normalizer
    assert normalizer is not None
    assert algorithm.normalizer is not None
    torch.testing.assert_close(normalizer.mean, obs.mean(dim=0))
    torch.testing.assert_close(algorithm.normalizer.mean, obs[:, :1].mean(dim=0))


def test_a_critic_foresees_what_only_signals_tell() -> None:
    algorithm = learner("td3", steps_per_update=2)
    live(algorithm, steps=500)
    columns = algorithm.replay.read(np.arange(400))
    with torch.no_grad():
        value = algorithm.critic(columns["obs"], columns["act"])[0, 0]
    assert (value - columns["rew"][:, 0]).var() < 0.1 * columns["rew"].var()


def test_hindsight_cannot_tell_what_would_be_signalled_of_another_goal(tmp_path: Path) -> None:
    changes = of_kind("ddpg")
    changes[f"{BEHAVIOR}.hyperparameters"] = {**OFF_POLICY, "hindsight": {}}
    path = write_config(tmp_path, {**changes, **SIGNALS})
    says = r"tiny\.yaml:\d+: behaviors\.RobotArm\.critic_observations: critics beside hindsight.*hold_time, success"
    assert_refused(cli("train", path, "--results-dir", tmp_path / "results"), says)


def test_a_run_whose_critic_reads_signals_resumes_to_the_bit(tmp_path: Path) -> None:
    changes = {**of_kind("td3"), **SIGNALS, f"{BEHAVIOR}.max_steps": 384}
    whole = train_tiny(tmp_path, "whole", changes)
    run = train_tiny(tmp_path, "halves", {**changes, f"{BEHAVIOR}.max_steps": 200})
    more = ("--run-id", "halves", "--results-dir", run.parent, "--set", f"{BEHAVIOR}.max_steps=384")
    assert "bit-exactly" in cli("train", "--resume", *more).out
    one, other = checkpoint_of(whole), checkpoint_of(run)
    for part in ("algorithm", "replay", "env"):
        assert difference(one[part], other[part]) == "", part
