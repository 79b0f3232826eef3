"""The bundle: its files, parity of every format, fewer bits, TensorRT's list, and what a failure leaves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from tests.helpers import NAME, assert_refused, cli, files_below, train_tiny
from tests.trainers.edge.bundles import SHAPES, make_actor, make_bundle, observation
from trainers.actors import ActionShape, Actor, SquashedGaussianActor, TanhActor
from trainers.choices import SquashedHybridActor, make_stochastic_actor
from trainers.edge import ActorRunner
from trainers.edge.bundle import verify
from trainers.edge.operators import OPERATORS
from trainers.errors import RunError, UserError
from trainers.export.bundle import FORMATS
from trainers.export.engine import unsupported
from trainers.export.parity import TOLERANCES, drawn_samples, largest_difference, numpy_runtime, rounding_of
from trainers.export.quantize import int8, quantized
from trainers.observation import Observation, Sensor
from trainers.q_network import QNetwork
from trainers.settings import MemorySettings, NetworkSettings

NETWORKS = {"onnx": "actor.onnx", "numpy": "actor.npz", "pt2": "actor.pt2"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("bundled"), "run")


def test_a_bundle_has_everything_that_the_robot_needs(finished: Path) -> None:
    bundle = finished / NAME / "actor"
    assert {path.name for path in bundle.iterdir()} == {
        *NETWORKS.values(),
        "actor.json",
        "README.md",
        "SHA256SUMS",
        "build_engine.sh",
        "configuration.yaml",
        "robotrl-edge.pyz",
        "samples.npz",
    }
    assert len(verify(bundle)) == 9
    assert (bundle / "configuration.yaml").read_text() == (finished / "configuration.yaml").read_text()
    assert sum(path.stat().st_size for path in bundle.iterdir()) < 1_000_000


def test_the_readme_tells_a_person_what_goes_in_and_out(finished: Path) -> None:
    text = (finished / NAME / "actor" / "README.md").read_text()
    for part in (
        "| `joint_vel` | 6 | rad/s |",
        "times 1.5, 1.5, 1.5, 2.5, 2.5, 2.5 rad/s",
        "25 Hz",
        "held-out episodes",
    ):
        assert part in text
    assert "{" not in text.replace('{"obs": [0.0, ...]}', "").replace('{"rate_limit_per_s": 2.0}', "")


def test_every_format_was_compared_on_random_and_recorded_observations(finished: Path) -> None:
    card = json.loads((finished / NAME / "actor" / "actor.json").read_text())
    parity = card["parity"]
    assert parity["samples"] == 1000
    assert 0 < parity["recorded"] <= 1000
    assert set(parity["largest_difference"]) == {"onnx", "numpy", "pt2", "unity"}
    assert max(parity["largest_difference"].values()) <= parity["tolerance"] == 1e-5


@pytest.mark.parametrize("name", ["onnx", "pt2", "numpy"])
def test_one_format_alone(finished: Path, name: str) -> None:
    before = files_below(finished)
    outcome = cli("export", finished, "--format", name)
    assert outcome.code == 0, outcome
    files = {path.name for path in (finished / NAME / "actor").iterdir()}
    assert files & set(NETWORKS.values()) == {NETWORKS[name]}
    assert "unity" not in outcome.out
    assert files_below(finished)[f"{NAME}.onnx"] == before[f"{NAME}.onnx"]
    assert cli("export", finished).code == 0


def test_unitys_network_alone_leaves_the_bundle(finished: Path) -> None:
    before = files_below(finished / NAME / "actor")
    (finished / f"{NAME}.onnx").unlink()
    outcome = cli("export", finished, "--format", "unity")
    assert outcome.code == 0, outcome
    assert outcome.out.startswith("unity ")
    assert "actor  " not in outcome.out
    assert (finished / f"{NAME}.onnx").is_file()
    assert files_below(finished / NAME / "actor") == before


@pytest.mark.parametrize("content", ["folder", "file"])
def test_what_no_export_has_made_is_never_replaced(tmp_path: Path, content: str) -> None:
    mine = tmp_path / "actor"
    if content == "folder":
        mine.mkdir()
        (mine / "thesis.txt").write_text("mine")
    else:
        mine.write_text("mine")
    before = files_below(tmp_path)
    with pytest.raises(UserError, match=r"actor: is there, and no bundle \(no SHA256SUMS in it\)"):
        make_bundle(tmp_path, formats=("numpy",))
    assert files_below(tmp_path) == before


def test_the_readme_names_the_backend_that_can_run_the_bundle(tmp_path: Path) -> None:
    (tmp_path / "actor").mkdir()  # an empty folder is nobody's
    text = (make_bundle(tmp_path, formats=("onnx",)).folder / "README.md").read_text()
    assert "robotrl-edge.pyz check . --backend onnx" in text
    assert "numpy, and onnxruntime," in text
    assert 'ActorRunner(".", "onnx")' in text
    assert "build_engine.sh" in text
    text = (make_bundle(tmp_path, formats=("numpy",)).folder / "README.md").read_text()
    assert "--backend" not in text
    assert "build_engine.sh" not in text


def test_a_run_whose_recording_is_lost_is_recorded_again(finished: Path) -> None:
    (finished / NAME / "observations.npz").write_bytes(b"damaged")
    outcome = cli("export", finished, "--format", "numpy")
    assert "1,000 random and 1,000 recorded observations" in outcome.out.replace("\n", " ")
    assert cli("export", finished).code == 0


@pytest.mark.parametrize("kind", sorted(SHAPES))
@pytest.mark.parametrize("bits", [None, "fp16", "int8"])
def test_every_kind_of_action_in_every_format_and_size(tmp_path: Path, kind: str, bits: Any) -> None:
    formats = ("onnx", "numpy", "unity") if bits else FORMATS
    export = make_bundle(tmp_path, kind, quantization=bits, formats=formats)
    assert set(export.differences) == set(formats)
    assert export.differences["unity"] <= 1e-5, "Unity's network keeps its bits"
    assert max(export.differences.values()) <= TOLERANCES[bits]
    by_numpy, by_onnx = (ActorRunner(export.folder, backend, rate_hz=25.0) for backend in ("numpy", "onnx"))
    obs = observation(kind)
    np.testing.assert_allclose(by_numpy.act(obs), by_onnx.act(obs), atol=1e-6 if bits is None else TOLERANCES[bits])


@pytest.mark.parametrize("make", [TanhActor, SquashedGaussianActor, SquashedHybridActor, QNetwork])
def test_actors_of_every_trainer(tmp_path: Path, make: type[Actor]) -> None:
    torch.manual_seed(0)
    shapes = {QNetwork: ActionShape(0, (3, 4)), SquashedHybridActor: ActionShape(2, (3, 4))}
    shape = shapes.get(make, ActionShape(3))
    actor = make(5, shape, NetworkSettings(normalize=True, hidden_units=16, dueling=True)).eval()
    export = make_bundle(tmp_path, "hybrid", actor, formats=("onnx", "numpy", "unity"))
    assert max(export.differences.values()) <= 1e-5


def test_fewer_bits_are_fewer_bytes(tmp_path: Path) -> None:
    wide = make_actor("continuous", hidden_units=128)
    sizes = {}
    for bits in (None, "fp16", "int8"):
        folder = make_bundle(tmp_path / str(bits), actor=wide, quantization=bits, formats=("onnx", "numpy")).folder
        sizes[bits] = [(folder / name).stat().st_size for name in ("actor.onnx", "actor.npz")]
    for index in range(2):
        assert sizes["fp16"][index] < 0.6 * sizes[None][index]
        assert sizes["int8"][index] < 0.4 * sizes[None][index]


def test_int8_is_symmetric_with_a_scale_per_output() -> None:
    weights = np.array([[1.0, -2.0], [0.0, 0.0], [0.5, 0.254]], np.float32)
    q, scale = int8(weights, 0)
    assert q.tolist() == [[64, -127], [0, 0], [127, 65]]
    np.testing.assert_allclose(scale[:, 0], [2 / 127, 1.0, 0.5 / 127], rtol=1e-6)
    assert np.abs(q * scale - weights).max() <= scale.max() / 2


def test_quantizing_leaves_the_trained_actor_alone() -> None:
    actor = make_actor("continuous")
    before = {name: value.clone() for name, value in actor.state_dict().items()}
    quantized(actor, "int8")
    assert all(torch.equal(value, before[name]) for name, value in actor.state_dict().items())


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_tensorrt_knows_the_opset_and_every_operator(tmp_path: Path, kind: str) -> None:
    folder = make_bundle(tmp_path, kind, formats=("onnx",)).folder
    model = onnx.load(folder / "actor.onnx")
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 13)], "TensorRT 8.2's newest"
    assert unsupported(folder / "actor.onnx") == []
    assert not {"RandomNormalLike", "Multinomial"} & {node.op_type for node in model.graph.node}
    script = (folder / "build_engine.sh").read_text()
    shapes = {
        "continuous": "obs_0:1x27",
        "discrete": "obs_0:1x31,action_masks:1x9",
        "hybrid": "obs_0:1x7,action_masks:1x5",
    }
    assert f"shapes={shapes[kind]}\n" in script


def test_what_tensorrt_does_not_know_is_found(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path, formats=("onnx",)).folder
    model = onnx.load(folder / "actor.onnx")
    model.graph.node[0].op_type = "Multinomial"
    onnx.save(model, tmp_path / "a.onnx")
    assert unsupported(tmp_path / "a.onnx") == ["Multinomial"]


def test_the_parity_check_notices_a_weight_that_is_off(tmp_path: Path) -> None:
    actor = make_actor("continuous")
    folder = make_bundle(tmp_path, actor=actor, formats=("numpy",)).folder
    samples = drawn_samples(actor)
    assert largest_difference(actor, numpy_runtime(folder / "actor.npz"), samples) <= 1e-5
    next(weights for weights in actor.parameters() if weights.ndim == 2).data[0, 0] += 0.1
    assert largest_difference(actor, numpy_runtime(folder / "actor.npz"), samples) > 1e-5


def test_a_policy_that_saturates_is_exported_though_float32_rounds_by_more_than_the_tolerance(tmp_path: Path) -> None:
    torch.manual_seed(0)
    actor = TanhActor(7, ActionShape(2), NetworkSettings(normalize=True, hidden_units=16)).eval()
    actor.mean.weight.data.mul_(1e5)
    assert rounding_of(actor, drawn_samples(actor)) > 1e-5
    export = make_bundle(tmp_path, "hybrid", actor, formats=("onnx", "numpy"))
    assert 1e-5 < max(export.differences.values()) < 1e-2


@pytest.mark.parametrize("name", ["numpy_runtime", "torch_export_runtime", "onnx_runtime"])
def test_a_format_that_differs_fails_the_export_and_leaves_nothing_half_done(
    finished: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = files_below(finished)

    def wrong(*_: Any) -> Any:
        return lambda samples: {
            "deterministic_continuous_actions": np.full((len(samples["obs_0"]), 6), 2.0, np.float32)
        }

    monkeypatch.setattr(f"trainers.export.bundle.{name}", wrong)
    assert_refused(cli("export", finished), "differ by .* from the trained policy, more than 1e-05", code=3)
    assert files_below(finished) == before


def test_an_unsupported_operator_fails_the_export_and_leaves_nothing_half_done(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_below(finished)
    monkeypatch.delitem(OPERATORS, "Clip")
    assert_refused(cli("export", finished), "unsupported operator Clip, node .*; --format onnx", code=3)
    assert files_below(finished) == before


def test_a_run_without_a_checkpoint_is_one_line(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "configuration.yaml").write_text((finished / "configuration.yaml").read_text())
    assert_refused(cli("export", tmp_path / "empty"), r"checkpoint.pt: no such checkpoint")
    assert_refused(cli("export", tmp_path / "nowhere"), "no run there")
    assert_refused(cli("export"), "name a run to export, or --check a file")
    assert_refused(cli("export", finished, "--behavior", "Walker"), f"--behavior: Walker; .* has trained {NAME}")
    assert_refused(cli("export", finished, "-o", tmp_path), "--output")


def test_a_failure_half_way_leaves_the_folder_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainers.export.bundle.write_edge_app", full)
    with pytest.raises(RunError, match="No space left on device"):
        make_bundle(tmp_path)
    assert list(tmp_path.iterdir()) == []


SENSORS = {
    "image": (Sensor("camera", (3, 24, 24)),),
    "several": (Sensor("camera", (1, 20, 20)), Sensor("lidar", (24,)), Sensor("pose", (3,))),
    "buffer": (Sensor("obstacles", (5, 4)), Sensor("pose", (3,))),
}


@pytest.mark.parametrize("memory", [None, MemorySettings(memory_size=8, sequence_length=4)], ids=["", "memory"])
@pytest.mark.parametrize("seen", sorted(SENSORS))
def test_images_several_sensors_buffers_and_memories(tmp_path: Path, seen: str, memory: MemorySettings | None) -> None:
    """Step after step, the robot's runtime does and remembers what the trained policy does."""
    torch.manual_seed(0)
    settings = NetworkSettings(normalize=seen == "several", hidden_units=16, num_layers=1, memory=memory)
    actor = make_stochastic_actor(Observation(SENSORS[seen], signals=2), ActionShape(2, (3,)), settings).eval()
    formats = FORMATS if (seen == "several") is bool(memory) else ("onnx", "numpy", "unity")
    export = make_bundle(tmp_path, "hybrid", actor, formats=formats)
    assert set(export.differences) == set(formats)
    assert max(export.differences.values()) <= 1e-5
    assert unsupported(export.folder / "actor.onnx") == []
    runner, remembered = ActorRunner(export.folder, rate_hz=25.0), torch.zeros(1, actor.memory_size)
    assert [part.name for part in runner.bundle.observation] == [sensor.name for sensor in SENSORS[seen]]
    rng = np.random.default_rng(0)
    for _ in range(10):
        obs = rng.random(actor.obs_size, dtype=np.float32)
        with torch.no_grad():
            rows = torch.from_numpy(np.concatenate((obs, np.ones(3, np.float32))))[None]
            inputs, remembered = actor.step(rows, remembered)
            expected = actor.action(inputs)[0].numpy()
        np.testing.assert_allclose(runner.act(obs), expected, atol=1e-5)
    runner.reset()
    first = runner.act(obs).copy()
    again = ActorRunner(export.folder, rate_hz=25.0).act(obs)
    np.testing.assert_array_equal(first, again, "a reset forgets")


@pytest.mark.parametrize("bits", ["fp16", "int8"])
def test_memories_and_images_in_fewer_bits(tmp_path: Path, bits: Any) -> None:
    torch.manual_seed(0)
    memory = MemorySettings(memory_size=8, sequence_length=4)
    settings = NetworkSettings(normalize=True, hidden_units=16, num_layers=1, memory=memory)
    actor = make_stochastic_actor(Observation(SENSORS["several"]), ActionShape(2), settings).eval()
    export = make_bundle(tmp_path, "hybrid", actor, quantization=bits, formats=("onnx", "numpy"))
    assert max(export.differences.values()) <= TOLERANCES[bits]
