"""Critics that read signals, in runs: beside what the policy sees, and never exported."""

from pathlib import Path

import onnx
import pytest

from tests.helpers import BEHAVIOR, NAME, assert_refused, checkpoint_of, cli, difference, train_tiny, write_config
from tests.trainers.export.test_export import shape_of

SIGNALS = {f"{BEHAVIOR}.critic_observations": "signals"}


def test_a_run_with_memory_and_signals_resumes_to_the_bit_and_exports_the_actor_alone(tmp_path: Path) -> None:
    changes = {
        **SIGNALS,
        f"{BEHAVIOR}.trainer_type": "a2c",
        f"{BEHAVIOR}.hyperparameters": {"buffer_size": 256},
        f"{BEHAVIOR}.network_settings.memory": {"memory_size": 8, "sequence_length": 16},
    }
    whole = train_tiny(tmp_path, "whole", changes)
    parts = train_tiny(tmp_path, "parts", changes, "--set", f"{BEHAVIOR}.max_steps=512")
    again = ("--results-dir", tmp_path / "results", "--run-id", "parts", "--resume")
    assert "bit-exactly" in cli("train", write_config(tmp_path, changes), *again).out
    state = checkpoint_of(whole)
    assert difference(state["algorithm"], checkpoint_of(parts)["algorithm"]) == ""
    seen = state["obs_size"]
    sizes = {name: len(state["algorithm"][name]["encoder.0.mean"]) for name in ("actor", "critic")}
    assert sizes["actor"] == seen < sizes["critic"] == seen + state["observation"]["signals"]
    (obs, *_) = onnx.load(whole / f"{NAME}.onnx").graph.input
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
