"""ML-Agents' ONNX contract for actors that choose: masks in, int64 choices out."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.helpers import onnx_difference
from tests.trainers.export.test_export import shape_of
from tests.trainers.test_choices import BRANCHES, DISCRETE, HYBRID, OBS, observed, random_masks, sharpened
from trainers.actors import Actor
from trainers.choices import CategoricalActor, HybridActor
from trainers.export.parity import TOLERANCE
from trainers.export.unity_onnx import write_unity_onnx
from trainers.q_network import QNetwork
from trainers.settings import NetworkSettings

CONSTANTS = {"version_number": [1], "memory_size": [1]}
NUMBERS = {
    "continuous_actions": ["batch", 2],
    "continuous_action_output_shape": [1],
    "deterministic_continuous_actions": ["batch", 2],
}
CHOICES = {
    "discrete_actions": ["batch", 3],
    "discrete_action_output_shape": [1, 3],
    "deterministic_discrete_actions": ["batch", 3],
}
ACTORS: dict[str, type[Actor]] = {"discrete": CategoricalActor, "hybrid": HybridActor, "dqn": QNetwork}


def make_actor(kind: str) -> Actor:
    torch.manual_seed(1)
    settings = NetworkSettings(normalize=True, hidden_units=16, num_layers=1, dueling=kind == "dqn")
    actor = ACTORS[kind](OBS, HYBRID if kind == "hybrid" else DISCRETE, settings)
    sharpened(actor)
    actor.encoder.update_normalizer(torch.randn(500, OBS) * torch.logspace(-2, 2, OBS) + 5)
    return actor


@pytest.fixture(scope="module", params=sorted(ACTORS))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Actor, Path]:
    path = tmp_path_factory.mktemp("export") / "actor.onnx"
    actor = make_actor(request.param)
    write_unity_onnx(actor, path)
    return actor, path


def outputs_of(actor: Actor) -> dict[str, Any]:
    return {**CONSTANTS, **(NUMBERS if actor.shape.continuous else {}), **CHOICES}


def run(actor: Actor, path: Path, obs: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = list(outputs_of(actor))
    return dict(zip(names, session.run(names, {"obs_0": obs, "action_masks": masks}), strict=True))


def inputs(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    masks = random_masks(rows, seed)
    return observed(rows, masks)[:, :OBS].numpy(), masks.numpy()


def allowed(masks: np.ndarray, choices: np.ndarray) -> np.ndarray:
    starts = np.array([0, *np.cumsum(BRANCHES)[:-1]])
    taken: np.ndarray = np.take_along_axis(masks, choices + starts, axis=1)
    return taken


def test_tensors_have_ml_agents_names_and_types(exported: tuple[Actor, Path]) -> None:
    actor, path = exported
    model = onnx.load(path)
    found = {value.name: shape_of(value) for value in model.graph.input}
    assert found == {"obs_0": ["batch", OBS], "action_masks": ["batch", sum(BRANCHES)]}
    assert {value.name: shape_of(value) for value in model.graph.output} == outputs_of(actor)
    for value in (*model.graph.input, *model.graph.output):
        whole = value.name.endswith("discrete_actions")
        assert value.type.tensor_type.elem_type == (onnx.TensorProto.INT64 if whole else onnx.TensorProto.FLOAT)
    assert [opset.version for opset in model.opset_import] == [15]


@pytest.mark.parametrize("batch", [1, 5])
def test_constants_hold_for_any_batch(exported: tuple[Actor, Path], batch: int) -> None:
    outputs = run(*exported, *inputs(batch))
    assert (outputs["version_number"].tolist(), outputs["memory_size"].tolist()) == ([3], [0])
    assert outputs["discrete_action_output_shape"].tolist() == [list(BRANCHES)]
    assert outputs["discrete_actions"].shape == outputs["deterministic_discrete_actions"].shape == (batch, 3)


def test_forbidden_choices_never_come_out(exported: tuple[Actor, Path]) -> None:
    obs, masks = inputs(20_000)
    outputs = run(*exported, obs, masks)
    assert allowed(masks, outputs["discrete_actions"]).all()
    assert allowed(masks, outputs["deterministic_discrete_actions"]).all()


def test_sampled_choices_have_the_policys_frequencies(exported: tuple[Actor, Path]) -> None:
    actor, path = exported
    obs, masks = (np.repeat(part[:1], 40_000, axis=0) for part in inputs(1, seed=5))
    chosen = run(actor, path, obs, masks)["discrete_actions"]
    seen = torch.from_numpy(np.concatenate((obs[:1], masks[:1]), axis=1))
    with torch.no_grad():
        scores = actor.scores(seen)
    for branch, part in enumerate(scores):
        expected = torch.nn.functional.one_hot(part.argmax(1), part.shape[1])
        expected = expected.float() if isinstance(actor, QNetwork) else part.exp()
        found = np.bincount(chosen[:, branch], minlength=part.shape[1]) / len(chosen)
        np.testing.assert_allclose(found, expected[0].numpy(), atol=0.015)


def test_the_exported_actor_decides_as_torch_does(exported: tuple[Actor, Path]) -> None:
    actor, path = exported
    assert onnx_difference(actor, path) <= TOLERANCE


def test_the_parity_check_notices_a_choice_that_is_not_the_best(exported: tuple[Actor, Path]) -> None:
    actor, path = exported
    other = type(actor)(OBS, actor.shape, NetworkSettings(normalize=True, hidden_units=16, num_layers=1, dueling=True))
    other.encoder.load_state_dict(actor.encoder.state_dict())
    assert onnx_difference(other, path) > 1e-3
