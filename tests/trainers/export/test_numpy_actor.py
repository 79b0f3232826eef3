"""actor.npz: networks of every kind by numpy alone, and what it refuses."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from trainers.edge.networks import NumpyNetwork
from trainers.edge.operators import room
from trainers.errors import RunError
from trainers.export.numpy_actor import write_numpy_actor
from trainers.export.robot_onnx import OPSET

ACTIVATIONS = (nn.SiLU, nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.ELU, nn.Sigmoid)


class Remembering(nn.Module):
    """An LSTM whose state comes in and goes out as ML-Agents has it: hidden and cell in one vector."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.LSTM(5, 8, batch_first=True)
        self.last = nn.Linear(8, 2)

    def forward(self, obs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        hidden, cell = memory.permute(1, 0, 2).chunk(2, dim=-1)
        out, (hidden, cell) = self.inner(obs[:, None], (hidden.contiguous(), cell.contiguous()))
        return self.last(out[:, 0]), torch.cat((hidden, cell), dim=-1).permute(1, 0, 2)


def simple_encoder(channels: int) -> nn.Sequential:
    """ML-Agents' `simple` visual encoder."""
    convolutions = nn.Sequential(
        nn.Conv2d(channels, 16, 8, 4), nn.LeakyReLU(), nn.Conv2d(16, 32, 4, 2), nn.LeakyReLU(), nn.Flatten()
    )
    return nn.Sequential(*convolutions, nn.Linear(32 * 3 * 3, 16), nn.LeakyReLU())


def residual(channels: int) -> nn.Module:
    """One block of the kind that ML-Agents' `resnet` has."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(channels, 8, 3, 1, 1)
            self.inner = nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1))
            self.pool = nn.MaxPool2d(3, 2, 1)

        def forward(self, obs: Tensor) -> Tensor:
            x = self.pool(self.first(obs))
            flat: Tensor = (x + self.inner(x)).flatten(1)
            return flat

    return Residual()


def converted(module: nn.Module, folder: Path, inputs: Mapping[str, Tensor], outputs: list[str]) -> NumpyNetwork:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            str(folder / "net.onnx"),
            input_names=list(inputs),
            output_names=outputs,
            opset_version=OPSET,
            dynamic_axes={name: {0: "batch"} for name in (*inputs, *outputs)},
            dynamo=False,
        )
    write_numpy_actor(folder / "net.onnx", folder / "actor.npz")
    return NumpyNetwork(folder / "actor.npz", {name: value.numpy() for name, value in inputs.items()})


def assert_same(module: nn.Module, folder: Path, shapes: Mapping[str, tuple[int, ...]], outputs: list[str]) -> None:
    inputs = {name: torch.zeros(1, *shape) for name, shape in shapes.items()}
    network = converted(module, folder, inputs, outputs)
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        for value in inputs.values():
            value.normal_(generator=generator)
        network.run()
        with torch.no_grad():
            expected = module(*inputs.values())
        for name, wanted in zip(outputs, expected if isinstance(expected, tuple) else (expected,), strict=True):
            np.testing.assert_allclose(network.outputs[name], wanted.numpy(), atol=2e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(tmp_path: Path, activation: type[nn.Module]) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(7, 12), activation(), nn.Linear(12, 12), activation(), nn.Linear(12, 3))
    assert_same(module, tmp_path, {"obs_0": (7,)}, ["out"])


def test_activations_saturate_without_overflow(tmp_path: Path) -> None:
    """A RuntimeWarning is an error in these tests."""
    inputs = {"obs_0": torch.tensor([[-1000.0, -20.0, 0.0, 20.0, 1000.0]])}
    for activation in ACTIVATIONS:
        network = converted(activation(), tmp_path, inputs, ["out"])
        network.run()
        np.testing.assert_allclose(network.outputs["out"], activation()(inputs["obs_0"]).numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("make", [simple_encoder, residual])
def test_images(tmp_path: Path, make: type[nn.Module]) -> None:
    torch.manual_seed(0)
    assert_same(make(3), tmp_path, {"obs_0": (3, 36, 36)}, ["out"])


def test_several_sensors(tmp_path: Path) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.image, self.last = simple_encoder(1), nn.Linear(16 + 4, 2)

        def forward(self, image: Tensor, vector: Tensor) -> Tensor:
            out: Tensor = torch.tanh(self.last(torch.cat((self.image(image), vector), dim=1)))
            return out

    torch.manual_seed(0)
    assert_same(Both(), tmp_path, {"obs_0": (1, 36, 36), "obs_1": (4,)}, ["out"])


def test_a_memory(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Remembering()
    assert_same(module, tmp_path, {"obs_0": (5,), "recurrent_in": (1, 16)}, ["out", "recurrent_out"])
    inputs = {"obs_0": torch.zeros(1, 5), "recurrent_in": torch.zeros(1, 1, 16)}
    network = converted(module, tmp_path, inputs, ["out", "recurrent_out"])
    memory = torch.zeros(1, 1, 16)
    for seed in range(50):
        inputs["obs_0"].normal_(generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            expected, memory = module(inputs["obs_0"], memory)
        network.run()
        np.testing.assert_allclose(network.outputs["out"], expected.numpy(), atol=5e-6)
        inputs["recurrent_in"].copy_(torch.from_numpy(network.outputs["recurrent_out"]))


def network_of(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in ("obs_0", "out")]
    graph = helper.make_graph(list(nodes), "net", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [helper.make_node("Erf", ["obs_0"], ["out"], name="odd")],
            "unsupported operator Erf, node odd; --format onnx",
        ),
        ([helper.make_node("CumSum", ["obs_0", "axis"], ["out"])], "unsupported operator CumSum, node out"),
        ([helper.make_node("Gemm", ["obs_0", "square"], ["out"])], "unsupported B of operator Gemm"),
        (
            [helper.make_node("ArgMax", ["obs_0"], ["best"], axis=1, select_last_index=1)],
            "select_last_index of operator ArgMax",
        ),
    ],
)
def test_what_the_runtime_cannot_do_is_one_line(tmp_path: Path, nodes: list[onnx.NodeProto], message: str) -> None:
    model = network_of(*nodes)
    if nodes[0].op_type == "CumSum":
        model.graph.initializer.append(helper.make_tensor("axis", TensorProto.INT64, [], [1]))
    if nodes[0].op_type == "Gemm":
        model.graph.input.append(helper.make_tensor_value_info("square", TensorProto.FLOAT, [4, 4]))
    if nodes[0].op_type == "ArgMax":
        model.graph.node.append(helper.make_node("Cast", ["best"], ["out"], to=TensorProto.FLOAT))
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(RunError, match=message) as refused:
        write_numpy_actor(tmp_path / "net.onnx", tmp_path / "actor.npz")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "actor.npz").exists()


def test_a_bias_rides_behind_the_input_only_where_nobody_can_write_there(tmp_path: Path) -> None:
    layer = nn.Linear(4, 3)
    converted(layer, tmp_path, {"obs_0": torch.zeros(1, 4)}, ["out"])
    loose = np.ones(5, np.float32)  # what follows the input in memory is a 1 now, and something else later
    for obs, calls in ((room((1, 4)), 1), (loose[:4].reshape(1, 4), 2), (np.ones((1, 4), np.float32), 2)):
        network = NumpyNetwork(tmp_path / "actor.npz", {"obs_0": obs})
        assert len(network._calls) == calls
        obs[:], loose[4] = [[0.5, -1.0, 2.0, 3.0]], 9.0
        network.run()
        with torch.no_grad():
            np.testing.assert_allclose(network.outputs["out"], layer(torch.from_numpy(obs)), atol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(room((1, 4)).base)[4] = 2.0


class Clipped(nn.Module):
    """Twice what comes in, clipped to [-1, 1], and of that the first two; the rest is given out where `whole`."""

    def __init__(self, *, whole: bool = False) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, obs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        clipped = torch.clamp(2.0 * obs, -1.0, 1.0)
        return (clipped[:, :2], clipped.neg()) if self.whole else clipped[:, :2]


@pytest.mark.parametrize(
    ("whole", "high", "out"),
    [(False, 1.0, [10.0, -1.0]), (False, 0.5, [10.0, -1.0]), (False, 1.5, [1.0, -1.0]), (True, 1.0, [1.0, -1.0])],
    ids=["as wide", "wider than the limits", "narrower than the limits", "read by others too"],
)
def test_a_clip_is_left_out_where_the_callers_limits_repeat_it(
    tmp_path: Path, whole: bool, high: float, out: list[float]
) -> None:
    obs = np.array([[5.0, -0.5, 3.0]], np.float32)
    converted(Clipped(whole=whole), tmp_path, {"obs_0": torch.from_numpy(obs)}, ["out", "rest"][: 1 + whole])
    limits = {"out": (np.full(2, -1.0, np.float32), np.array([0.3, high], np.float32))}
    network = NumpyNetwork(tmp_path / "actor.npz", {"obs_0": obs}, limits)
    network.run()
    assert network.outputs["out"].tolist() == [out]
