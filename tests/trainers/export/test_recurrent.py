"""ML-Agents' ONNX contract for actors with a memory, and their runs from the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.helpers import (
    BEHAVIOR,
    NAME,
    assert_refused,
    checkpoint_of,
    cli,
    difference,
    onnx_difference,
    train_tiny,
    write_config,
)
from tests.trainers.export.test_export import shape_of
from trainers.actors import ActionShape, Actor
from trainers.choices import make_soft_actor, make_stochastic_actor
from trainers.export.parity import TOLERANCE
from trainers.export.unity_onnx import write_unity_onnx
from trainers.settings import MemorySettings, NetworkSettings

OBS, SIZE, BATCH = 5, 12, 3
SHAPES = {"continuous": ActionShape(2), "discrete": ActionShape(0, (2, 3)), "hybrid": ActionShape(1, (4,))}
MAKERS = {"ppo": make_stochastic_actor, "sac": make_soft_actor}
MEMORY = {f"{BEHAVIOR}.network_settings.memory": {"memory_size": 8, "sequence_length": 16}}


@pytest.fixture(scope="module", params=[*(("ppo", kind) for kind in SHAPES), ("sac", "continuous"), ("sac", "hybrid")])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Actor, Path]:
    torch.manual_seed(1)
    settings = NetworkSettings(
        normalize=True, hidden_units=16, num_layers=1, memory=MemorySettings(memory_size=SIZE, sequence_length=4)
    )
    trainer, kind = request.param
    actor = MAKERS[trainer](OBS, SHAPES[kind], settings)
    for head in ("mean", "logits"):
        if hasattr(actor, head):
            getattr(actor, head).weight.data.mul_(100)
    actor.encoder.update_normalizer(torch.randn(500, OBS) * 3 + 1)
    path = tmp_path_factory.mktemp("export") / "actor.onnx"
    write_unity_onnx(actor, path)
    return actor, path


def test_memory_goes_in_and_out_under_ml_agents_names(exported: tuple[Actor, Path]) -> None:
    actor, path = exported
    graph = onnx.load(path).graph
    inputs = {value.name: shape_of(value) for value in graph.input}
    masks = {"action_masks": ["batch", actor.shape.choices]} if actor.shape.branches else {}
    assert inputs == {"obs_0": ["batch", OBS], **masks, "recurrent_in": ["batch", 1, SIZE]}
    outputs = {value.name: shape_of(value) for value in graph.output}
    assert outputs["recurrent_out"] == ["batch", 1, SIZE]
    assert list(outputs)[:2] == ["version_number", "memory_size"]
    assert outputs["memory_size"] == [1]


def feed(actor: Actor, memory: np.ndarray, rows: int = BATCH) -> dict[str, np.ndarray]:
    given = {"obs_0": np.ones((rows, OBS), np.float32), "recurrent_in": memory}
    return given | ({"action_masks": np.ones((rows, actor.shape.choices), np.float32)} if actor.shape.branches else {})


def test_memory_changes_and_decides_with_the_observation(exported: tuple[Actor, Path]) -> None:
    actor, path = exported
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    memory = np.zeros((BATCH, 1, SIZE), np.float32)
    seen = []
    for _ in range(3):
        size, memory = session.run(["memory_size", "recurrent_out"], feed(actor, memory))
        assert size.tolist() == [SIZE]
        assert memory.shape == (BATCH, 1, SIZE)
        seen.append(memory)
    assert (np.abs(seen[1] - seen[0]) > 1e-4).any()
    assert (np.abs(seen[2] - seen[1]) > 1e-5).any()


def test_sequences_of_the_exported_actor_are_torchs(exported: tuple[Actor, Path]) -> None:
    assert onnx_difference(*exported) <= TOLERANCE


def test_the_parity_check_notices_another_memory(exported: tuple[Actor, Path]) -> None:
    actor, path = exported
    assert actor.memory is not None
    bias = dict(actor.memory.lstm.named_parameters())["bias_ih_l0"]
    before = bias.detach().clone()
    bias.data[0] += 0.1
    assert onnx_difference(actor, path) > 1e-3
    bias.data.copy_(before)


SAC: dict[str, Any] = {"batch_size": 32, "buffer_size": 400, "buffer_init_steps": 64, "steps_per_update": 16}
RUNS: dict[str, dict[str, Any]] = {  # signals make rows wider, as memories do states
    "ppo": {f"{BEHAVIOR}.critic_observations": "signals"},
    "sac": {f"{BEHAVIOR}.trainer_type": "sac", f"{BEHAVIOR}.hyperparameters": SAC},
}


@pytest.mark.parametrize("trainer", RUNS)
def test_a_run_with_a_memory_trains_evaluates_resumes_to_the_bit_and_exports(tmp_path: Path, trainer: str) -> None:
    changes = {**MEMORY, **RUNS[trainer]}
    whole = train_tiny(tmp_path, "whole", changes)
    parts = train_tiny(tmp_path, "parts", changes, "--set", f"{BEHAVIOR}.max_steps=512")
    config = write_config(tmp_path, changes)
    again = ("--results-dir", tmp_path / "results", "--run-id", "parts", "--resume")
    resumed = cli("train", config, *again)
    assert "bit-exactly" in resumed.out, resumed.err
    one, other = checkpoint_of(whole), checkpoint_of(parts)
    assert all(difference(one.get(part), other.get(part)) == "" for part in ("algorithm", "replay", "env"))
    state = one["algorithm"]
    assert state["actor"]["memory.lstm.weight_hh_l0"].shape == (16, 4)
    card = json.loads((whole / NAME / "actor" / "actor.json").read_text())
    assert card["network"]["memory_size"] == 8
    evaluated = cli("eval", whole, "--episodes", "3")
    assert evaluated.code == 0, evaluated.err


@pytest.mark.parametrize("trainer", ["reinforce", "a3c", "ddpg", "td3"])
def test_a_memory_that_no_trainer_uses_is_refused(tmp_path: Path, trainer: str) -> None:
    changes = {**MEMORY, f"{BEHAVIOR}.trainer_type": trainer, f"{BEHAVIOR}.hyperparameters": {}}
    path = write_config(tmp_path, changes)
    line = path.read_text().splitlines().index("      memory:") + 1
    parts = (rf"tiny\.yaml:{line}: behaviors\.{NAME}\.network_settings\.memory", f"{trainer} trains no memory", "ppo")
    assert_refused(cli("train", path, "--results-dir", tmp_path / "results"), *parts)


def test_a_sequence_longer_than_a_batch_is_refused(tmp_path: Path) -> None:
    path = write_config(tmp_path, {f"{BEHAVIOR}.network_settings.memory": {"sequence_length": 65}})
    assert_refused(cli("train", path), r"sequence_length 65 is longer than batch_size 64")


def test_hindsight_with_a_memory_is_refused(tmp_path: Path) -> None:
    hindsight = {f"{BEHAVIOR}.hyperparameters": SAC | {"hindsight": {}}}
    path = write_config(tmp_path, {**MEMORY, **RUNS["sac"], **hindsight})
    outcome = cli("train", path, "--results-dir", tmp_path / "results")
    assert_refused(outcome, r"network_settings\.memory: hindsight relabels single transitions")


def test_cloning_with_a_memory_is_refused(tmp_path: Path) -> None:
    path = write_config(tmp_path, {**MEMORY, f"{BEHAVIOR}.behavioral_cloning": {"demo_path": "x.demo"}})
    outcome = cli("train", path, "--results-dir", tmp_path / "results")
    assert_refused(outcome, r"network_settings\.memory: behavioral_cloning shows single moments")
