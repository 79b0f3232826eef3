"""Critics that read signals, in runs: beside what the policy sees, and never exported."""

from pathlib import Path

import onnx
import pytest

from tests.helpers import BEHAVIOR, NAME, assert_refused, checkpoint_of, cli, train_tiny, write_config
from tests.trainers.export.test_export import shape_of

SIGNALS = {f"{BEHAVIOR}.critic_observations": "signals"}


def test_the_critic_reads_the_signals_and_the_exported_actor_does_not(tmp_path: Path) -> None:
    run = train_tiny(tmp_path, "r", {**SIGNALS, f"{BEHAVIOR}.max_steps": 256})
    state = checkpoint_of(run)
    seen = state["obs_size"]
    sizes = {name: len(state["algorithm"][name]["encoder.0.mean"]) for name in ("actor", "critic")}
    assert sizes["actor"] == seen < sizes["critic"] == seen + state["observation"]["signals"]
    (obs,) = onnx.load(run / f"{NAME}.onnx").graph.input
    assert shape_of(obs) == ["batch", seen]


@pytest.mark.parametrize("trainer", ["reinforce", "a3c", "ddpg", "td3", "sac"])
def test_signals_that_no_critic_reads_are_refused(tmp_path: Path, trainer: str) -> None:
    path = write_config(tmp_path, {**SIGNALS, f"{BEHAVIOR}.trainer_type": trainer, f"{BEHAVIOR}.hyperparameters": {}})
    line = path.read_text().splitlines().index("    critic_observations: signals") + 1
    parts = (
        rf"tiny\.yaml:{line}: behaviors\.{NAME}\.critic_observations: {trainer} has no critic for them",
        "a2c, ppo",
    )
    assert_refused(cli("train", path, "--results-dir", tmp_path / "results"), *parts)


def test_a_shared_critic_cannot_read_more_than_the_policy(tmp_path: Path) -> None:
    path = write_config(tmp_path, {**SIGNALS, f"{BEHAVIOR}.hyperparameters.shared_critic": True})
    assert_refused(cli("train", path), r"critic_observations: the policy would read the signals, too")
