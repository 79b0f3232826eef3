"""The exported actor: ML-Agents' ONNX contract, parity with torch, the card, and what a failure leaves."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.helpers import NAME, cli, files_below, make_rows, onnx_difference, sim_of, train_tiny
from trainers.actors import ActionShape, GaussianActor, to_env
from trainers.checkpoint import load_checkpoint
from trainers.config import load_settings
from trainers.errors import RunError
from trainers.export.bundle import export_actor
from trainers.export.parity import SAMPLES, TOLERANCE
from trainers.export.unity_onnx import write_unity_onnx
from trainers.run_folder import RunFolder
from trainers.settings import NetworkSettings

OBS, ACT = 7, 3
OUTPUTS = {
    "version_number": [1],
    "memory_size": [1],
    "continuous_actions": ["batch", ACT],
    "continuous_action_output_shape": [1],
    "deterministic_continuous_actions": ["batch", ACT],
}


def make_actor(*, normalize: bool, activation: str = "swish") -> GaussianActor:
    torch.manual_seed(1)
    shape = {"normalize": normalize, "hidden_units": 16, "num_layers": 2, "activation": activation}
    actor = GaussianActor(OBS, ActionShape(ACT), NetworkSettings.model_validate(shape))
    actor.mean.weight.data.mul_(100)  # so that the clamp at 3 is met
    actor.log_std.data = torch.tensor([-1.0, 0.0, 1.5])
    normalizer = actor.encoder.normalizer()
    if normalizer is not None:
        normalizer.update(torch.randn(500, OBS) * torch.logspace(-3, 3, OBS) + 5)
    return actor


@pytest.fixture(scope="module", params=[True, False], ids=["normalized", "plain"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[GaussianActor, Path]:
    path = tmp_path_factory.mktemp("export") / "actor.onnx"
    actor = make_actor(normalize=request.param)
    write_unity_onnx(actor, path)
    return actor, path


def run(path: Path, obs: np.ndarray, calls: int = 1) -> list[dict[str, np.ndarray]]:
    """Outputs by name, of so many calls in one session."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [dict(zip(OUTPUTS, session.run(list(OUTPUTS), {"obs_0": obs}), strict=True)) for _ in range(calls)]


def random_obs(batch: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(batch, OBS)).astype(np.float32) * 3


def shape_of(value: Any) -> list[Any]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_tensors_have_ml_agents_names_and_only_the_batch_is_dynamic(exported: tuple[GaussianActor, Path]) -> None:
    graph = onnx.load(exported[1]).graph
    assert {value.name: shape_of(value) for value in graph.input} == {"obs_0": ["batch", OBS]}
    assert {value.name: shape_of(value) for value in graph.output} == OUTPUTS
    for value in (*graph.input, *graph.output):
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT, value.name


def test_the_file_is_one_and_of_an_opset_that_unity_reads(exported: tuple[GaussianActor, Path]) -> None:
    _, path = exported
    model = onnx.load(path, load_external_data=False)
    assert [path] == list(path.parent.iterdir())
    assert all(9 <= opset.version <= 15 for opset in model.opset_import if opset.domain == "")
    assert not [node.op_type for node in model.graph.node if node.domain not in {"", "ai.onnx"}]
    assert not [tensor.name for tensor in model.graph.initializer if tensor.external_data]


@pytest.mark.parametrize("batch", [1, 5])
def test_constants_and_shapes_hold_for_any_batch(exported: tuple[GaussianActor, Path], batch: int) -> None:
    (outputs,) = run(exported[1], random_obs(batch))
    assert all(value.dtype == np.float32 for value in outputs.values())
    assert outputs["version_number"].tolist() == [3]
    assert outputs["memory_size"].tolist() == [0]
    assert outputs["continuous_action_output_shape"].tolist() == [ACT]
    assert outputs["continuous_actions"].shape == outputs["deterministic_continuous_actions"].shape == (batch, ACT)


@pytest.mark.parametrize("batch", [1, 5, 1000])
def test_deterministic_actions_are_torchs(exported: tuple[GaussianActor, Path], batch: int) -> None:
    actor, path = exported
    obs = random_obs(batch)
    with torch.no_grad():
        expected = to_env(actor(torch.from_numpy(obs))).numpy()
    first, second = (out["deterministic_continuous_actions"] for out in run(path, obs, calls=2))
    assert first.tobytes() == second.tobytes()
    np.testing.assert_allclose(first, expected, atol=1e-5, rtol=0)


def test_sampled_actions_vary_stay_in_the_box_and_have_the_policys_spread(
    exported: tuple[GaussianActor, Path],
) -> None:
    actor, path = exported
    obs = np.repeat(random_obs(1), 20_000, axis=0)
    first, second = (out["continuous_actions"] for out in run(path, obs, calls=2))
    assert (first != second).any()
    assert (first[0] != first[1]).any()
    assert np.abs(first).max() <= 1
    with torch.no_grad():
        expected = to_env(actor.sample(torch.from_numpy(obs), torch.randn(len(obs), ACT))).numpy()
    np.testing.assert_allclose(first.mean(axis=0), expected.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(first.std(axis=0), expected.std(axis=0), atol=0.03)


@pytest.mark.parametrize("activation", ["swish", "relu", "leaky_relu", "tanh", "elu"])
def test_every_activation_exports_faithfully(tmp_path: Path, activation: str) -> None:
    actor = make_actor(normalize=True, activation=activation)
    write_unity_onnx(actor, tmp_path / "actor.onnx")
    assert onnx_difference(actor, tmp_path / "actor.onnx") <= TOLERANCE


def test_the_parity_check_notices_another_network(exported: tuple[GaussianActor, Path]) -> None:
    actor, path = exported
    other = make_actor(normalize=actor.encoder.normalizer() is not None)
    assert onnx_difference(other, path) <= TOLERANCE
    other.mean.bias.data[0] += 1e-2
    assert onnx_difference(other, path) > 1e-3
    assert SAMPLES == 1000
    assert TOLERANCE == 1e-5


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("exported"), "run")


def card_of(run_folder: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((run_folder / NAME / "actor" / "actor.json").read_text())
    return card


def test_the_card_lists_observation_and_action_as_described_in_order(finished: Path) -> None:
    card, task = card_of(finished), sim_of(make_rows("arm_reach", 1)).task
    assert [(part["name"], part["size"], part["unit"], part["frame"]) for part in card["observation"]] == [
        (part.name, part.size, part.unit, part.frame) for part in task.roles[0].sensors["observation"]
    ]
    (action,) = card["action"]
    assert action["size"] == 6
    assert action["scale_to_si"] == task.roles[0].robot.action_scale("joint_velocity_target").tolist()
    assert action["si_unit"] == "rad/s"
    assert (card["behavior"], card["task"], card["robot"]) == (NAME, "arm_reach", "arm")
    assert card["control_period_s"] == task.roles[0].robot.control.period_s
    sizes = sum(part["size"] for part in card["observation"])
    assert shape_of(onnx.load(finished / f"{NAME}.onnx").graph.input[0]) == ["batch", sizes]


def test_the_card_tells_where_the_actor_is_from(finished: Path) -> None:
    card = card_of(finished)
    provenance = card["provenance"]
    best = load_checkpoint(finished / NAME / "best.pt")
    configuration = (finished / "configuration.yaml").read_bytes()
    assert provenance["run_id"] == "run"
    assert provenance["checkpoint"] == "best.pt"
    assert provenance["steps"] == best["step"]
    assert provenance["seed"] == 5
    assert provenance["reward_sha256"] == best["reward"]["content_hash"], "as in the log"
    assert provenance["config_sha256"] == hashlib.sha256(configuration).hexdigest()
    assert {"python", "torch", "numpy", "mujoco", "onnx"} <= provenance["versions"].keys()
    assert card["success_measured"]["episodes"] == 2


def test_the_exported_actor_acts_as_the_checkpoint_does(finished: Path) -> None:
    settings, _ = load_settings(finished / "configuration.yaml")
    weights = load_checkpoint(finished / NAME / "best.pt")["algorithm"]["actor"]
    actor = GaussianActor(27, ActionShape(6), settings.behaviors[NAME].network_settings)
    actor.load_state_dict(weights)
    obs, _ = make_rows("arm_reach", 5).reset(seed=1)
    with torch.no_grad():
        expected = to_env(actor(torch.from_numpy(obs))).numpy()
    found = run(finished / f"{NAME}.onnx", obs)[0]["deterministic_continuous_actions"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def fail_parity(monkeypatch: pytest.MonkeyPatch, difference: float) -> None:
    monkeypatch.setattr("trainers.export.bundle.largest_difference", lambda *_: difference)


@pytest.mark.parametrize("difference", [1.1e-5, 1.0, float("nan")])
def test_a_network_that_differs_is_not_exported(
    finished: Path, monkeypatch: pytest.MonkeyPatch, difference: float
) -> None:
    before = files_below(finished)
    fail_parity(monkeypatch, difference)
    settings, _ = load_settings(finished / "configuration.yaml")
    with pytest.raises(RunError, match="differ"):
        export_actor(RunFolder(finished), NAME, settings)
    assert files_below(finished) == before
    outcome = cli("export", finished)
    assert (outcome.code, outcome.err.count("\n")) == (3, 1)
    assert files_below(finished) == before


DISK_FULL = OSError(28, "No space left on device")


def assert_export_fails_and_leaves(finished: Path, before: dict[str, bytes], undo: pytest.MonkeyPatch) -> None:
    outcome = cli("export", finished)
    assert outcome.code == 3, outcome
    assert outcome.err.startswith("error: ")
    assert len(outcome.err.strip().splitlines()) <= 2
    undo.undo()
    assert files_below(finished) == before


@pytest.mark.parametrize("problem", [DISK_FULL, RuntimeError("the exporter broke")], ids=["disk", "exporter"])
def test_an_exporter_that_breaks_leaves_the_old_export(
    finished: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def broken(*_: Any) -> None:
        raise problem

    monkeypatch.setattr("trainers.export.bundle.write_unity_onnx", broken)
    assert_export_fails_and_leaves(finished, files_below(finished), monkeypatch)


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_export(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if target.name == "actor" and self.name == "bundle":
            raise DISK_FULL
        return works(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    assert_export_fails_and_leaves(finished, files_below(finished), monkeypatch)
