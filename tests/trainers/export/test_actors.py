"""The actors of off-policy learners, exported: the same contract, their own distribution."""

import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.helpers import onnx_difference
from trainers.actors import LOG_STD_RANGE, ActionShape, Actor, SquashedGaussianActor, TanhActor
from trainers.export.parity import TOLERANCE
from trainers.export.unity_onnx import output_names, write_unity_onnx
from trainers.settings import NetworkSettings

OBS, ACT = 7, 3
OUTPUT_NAMES = output_names(ActionShape(ACT))


def make(kind: type[Actor]) -> Actor:
    torch.manual_seed(1)
    actor = kind(OBS, ActionShape(ACT), NetworkSettings(normalize=True, hidden_units=16))
    for name, weight in actor.named_parameters():
        if name in ("mean.weight", "log_std.weight"):
            weight.data.mul_(100)
    normalizer = actor.encoder.normalizer()
    assert normalizer is not None
    normalizer.update(torch.randn(500, OBS) * torch.logspace(-3, 3, OBS) + 5)
    return actor


def run(path: Path, obs: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip(OUTPUT_NAMES, session.run(OUTPUT_NAMES, {"obs_0": obs}), strict=True))


@pytest.mark.parametrize("kind", [TanhActor, SquashedGaussianActor])
def test_every_actor_keeps_ml_agents_contract_and_parity(kind: type[Actor], tmp_path: Path) -> None:
    actor, path = make(kind), tmp_path / "actor.onnx"
    write_unity_onnx(actor, path)
    graph = onnx.load(path).graph
    assert [value.name for value in graph.input] == ["obs_0"]
    assert [value.name for value in graph.output] == OUTPUT_NAMES
    assert onnx_difference(actor, path) <= TOLERANCE
    outputs = run(path, np.random.default_rng(0).normal(size=(5, OBS)).astype(np.float32))
    assert outputs["continuous_actions"].shape == outputs["deterministic_continuous_actions"].shape == (5, ACT)
    constants = ("version_number", "memory_size", "continuous_action_output_shape")
    assert [outputs[name].tolist() for name in constants] == [[3], [0], [ACT]]


def test_a_deterministic_policy_exports_the_same_action_twice(tmp_path: Path) -> None:
    write_unity_onnx(make(TanhActor), tmp_path / "actor.onnx")
    outputs = run(tmp_path / "actor.onnx", np.random.default_rng(0).normal(size=(50, OBS)).astype(np.float32))
    np.testing.assert_array_equal(outputs["continuous_actions"], outputs["deterministic_continuous_actions"])


def test_a_squashed_gaussians_export_has_its_spread(tmp_path: Path) -> None:
    actor = make(SquashedGaussianActor)
    assert isinstance(actor, SquashedGaussianActor)
    write_unity_onnx(actor, tmp_path / "actor.onnx")
    obs = np.repeat(np.random.default_rng(0).normal(size=(1, OBS)).astype(np.float32), 20_000, axis=0)
    drawn = run(tmp_path / "actor.onnx", obs)["continuous_actions"]
    with torch.no_grad():
        expected = actor.decide(torch.from_numpy(obs), torch.randn(len(obs), ACT)).act.numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), expected.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(drawn.std(axis=0), expected.std(axis=0), atol=0.03)


def test_a_squashed_gaussians_density_is_that_of_its_samples() -> None:
    """log pi(a|s) by the change of variables, in float64, and beyond where 1 - tanh(u)^2 is 0 in it."""
    actor = make(SquashedGaussianActor).double()
    assert isinstance(actor, SquashedGaussianActor)
    obs, noise = torch.randn(40, OBS).double(), torch.randn(40, ACT).double()
    with torch.no_grad():
        mean, log_std = actor(obs)
        assert log_std.min() >= LOG_STD_RANGE[0]
        assert log_std.max() <= LOG_STD_RANGE[1]
        u = mean + noise * log_std.exp()
        near = (u.abs() < 8).all(dim=1)
        gaussian = -0.5 * noise**2 - torch.log(log_std.exp() * math.sqrt(2 * math.pi))
        plain = gaussian - torch.log(1 - torch.tanh(u) ** 2)
        act, logp, _ = actor.decide(obs, noise)
    assert near.sum() > 5
    torch.testing.assert_close(logp[near], plain.sum(dim=1)[near])
    assert logp.isfinite().all()
    torch.testing.assert_close(act, torch.tanh(u))
