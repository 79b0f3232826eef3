"""actor.onnx: Unity's network without what draws at random, for ONNX Runtime and TensorRT."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from trainers.export.quantize import Quantization, int8

OPSET = 13  # the newest that TensorRT 8.2 reads, the last one for Jetson Nano
UNCHANGED = ("allowzero", "layout")  # attributes that newer operator sets added, 0 by default
ROBOT_OUTPUTS = ("deterministic_continuous_actions", "deterministic_discrete_actions", "recurrent_out")
OUTPUT_AXIS = {"Conv": 0, "LSTM": 1, "GRU": 1, "MatMul": 1}  # of their weights; that of Gemm depends on transB


def write_robot_onnx(unity: Path, path: Path, quantization: Quantization | None = None) -> None:
    """Write the part of a Unity network that decides without randomness, its outputs under the same names.

    Args:
        unity: what `write_unity_onnx` wrote, its weights rounded already.
        path: of the new file.
        quantization: how its matrices are stored.
    """
    model = onnx.load(unity)
    keep_outputs(model, ROBOT_OUTPUTS)
    _lower_opset(model)
    if quantization is not None:
        _store_in_fewer_bits(model, quantization)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def _lower_opset(model: ModelProto) -> None:
    """Declare opset 13, whose operators do the same as those of opset 15 without its new attributes."""
    for node in model.graph.node:
        kept = [entry for entry in node.attribute if not (entry.name in UNCHANGED and entry.i == 0)]
        node.ClearField("attribute")
        node.attribute.extend(kept)
    model.ClearField("opset_import")
    model.opset_import.append(helper.make_opsetid("", OPSET))


def keep_outputs(model: ModelProto, names: Iterable[str]) -> None:
    """Drop all outputs but those of `names`, and everything that only the others need."""
    graph = model.graph
    outputs = [value for value in graph.output if value.name in names]
    needed = {value.name for value in outputs}
    nodes: list[NodeProto] = []
    for node in reversed(graph.node):  # ONNX's nodes are in topological order
        if needed & set(node.output):
            nodes.insert(0, node)
            needed |= set(node.input)
    inputs = [value for value in graph.input if value.name in needed]
    constants = [value for value in graph.initializer if value.name in needed]
    for field, kept in (("output", outputs), ("node", nodes), ("input", inputs), ("initializer", constants)):
        graph.ClearField(field)
        getattr(graph, field).extend(kept)
    graph.ClearField("value_info")


def _store_in_fewer_bits(model: ModelProto, kind: Quantization) -> None:
    graph = model.graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    stored: dict[str, NodeProto] = {}
    added: list[TensorProto] = []
    for node in graph.node:
        for name in node.input:
            axis = weight_axis(node, name, arrays)
            if axis is None or name in stored:
                continue
            small = f"{name}.{kind}"
            if kind == "fp16":
                added.append(numpy_helper.from_array(arrays[name].astype(np.float16), small))
                stored[name] = helper.make_node("Cast", [small], [name], to=TensorProto.FLOAT)
                continue
            q, scale = int8(arrays[name], axis)
            added += [numpy_helper.from_array(q, small), numpy_helper.from_array(scale.reshape(-1), f"{name}.scale")]
            stored[name] = helper.make_node("DequantizeLinear", [small, f"{name}.scale"], [name], axis=axis)
    kept = [tensor for tensor in graph.initializer if tensor.name not in stored]
    nodes = [*stored.values(), *graph.node]
    graph.ClearField("initializer")
    graph.ClearField("node")
    graph.initializer.extend([*kept, *added])
    graph.node.extend(nodes)


def weight_axis(node: NodeProto, name: str, arrays: dict[str, np.ndarray]) -> int | None:
    """Return the axis of a matrix that counts the node's outputs; None where the input is no matrix of float32."""
    array = arrays.get(name)
    if array is None or array.ndim < 2 or array.dtype != np.float32:
        return None
    if node.op_type == "Gemm":
        return 0 if any(entry.name == "transB" and entry.i for entry in node.attribute) else 1
    return OUTPUT_AXIS.get(node.op_type) if name != _bias_of(node) else None


def _bias_of(node: NodeProto) -> str | None:
    """Return an LSTM's bias, which has two axes and is no matrix."""
    return node.input[3] if node.op_type in ("LSTM", "GRU") and len(node.input) > 3 else None
