"""actor.npz: the network as the list of operators that `trainers.edge` runs with numpy alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, NodeProto, helper, numpy_helper

from trainers.edge.operators import OPERATORS
from trainers.errors import RunError
from trainers.export.quantize import Quantization, int8
from trainers.export.robot_onnx import weight_axis

Array = np.ndarray
TYPES = (onnx.TensorProto.FLOAT, onnx.TensorProto.INT32, onnx.TensorProto.INT64, onnx.TensorProto.BOOL)


def write_numpy_actor(onnx_path: Path, path: Path, quantization: Quantization | None = None) -> None:
    """Write actor.npz: constants by name, and `program`, the steps as JSON.

    Args:
        onnx_path: the network, its weights rounded already, but stored as float32.
        path: of the new file.
        quantization: how its matrices are stored.

    Raises:
        RunError: it has an operator that the runtime does not know.
    """
    model = _for_one(onnx_path, path.with_name("one.onnx"))
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        else:
            _check_operator(node, constants)
            nodes.append(node)
    outputs = [value.name for value in model.graph.output]
    steps = fuse_scale(fuse_swish([_step(node) for node in nodes], outputs), outputs, constants)
    used = {name for step in steps for name in step["inputs"]}
    program = {"inputs": [value.name for value in model.graph.input], "outputs": outputs, "steps": steps}
    arrays: dict[str, Any] = {name: _compact(array) for name, array in constants.items() if name in used}
    if quantization is not None:
        _quantize(arrays, nodes, quantization)
    np.savez(path, program=np.frombuffer(json.dumps(program).encode(), np.uint8), **arrays)


def _for_one(path: Path, scratch: Path) -> ModelProto:
    """Return the network for a batch of one, with everything that does not depend on its inputs computed."""
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_value = 1
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(scratch)
    options.log_severity_level = 3
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(scratch)
    finally:
        scratch.unlink(missing_ok=True)


def _check_operator(node: NodeProto, constants: dict[str, Array]) -> None:
    where = f"operator {node.op_type}, node {node.name or node.output[0]}"
    if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx"):
        raise RunError(
            f"numpy runtime: unsupported {where}; --format onnx exports the network without it. It runs "
            f"{', '.join(sorted(OPERATORS))}"
        )
    entries = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    refused = {
        "group": entries.get("group", 1) != 1,
        "dilations": any(step != 1 for step in entries.get("dilations", ())),
        "auto_pad": entries.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"),
        "ceil_mode": entries.get("ceil_mode", 0) != 0,
        "direction": entries.get("direction", b"forward") != b"forward",
        "activations": bool(entries.get("activations")),
        "alpha": node.op_type == "Gemm" and entries.get("alpha", 1.0) != 1.0,
        "beta": node.op_type == "Gemm" and entries.get("beta", 1.0) != 1.0,
        "transA": bool(entries.get("transA", 0)),
        "select_last_index": bool(entries.get("select_last_index", 0)),
        "to": node.op_type == "Cast" and entries["to"] not in TYPES,
        "indices": node.op_type == "Gather" and node.input[1] not in constants,
        "shape": node.op_type in ("Expand", "Reshape") and node.input[1] not in constants,
        "B": node.op_type == "Gemm" and node.input[1] not in constants,
        "initial_h": node.op_type == "LSTM" and (len(node.input) != 7 or "" in node.input[5:]),
    }
    wrong = [name for name, is_wrong in refused.items() if is_wrong]
    if wrong:
        raise RunError(
            f"numpy runtime: unsupported {wrong[0]} of {where}; --format onnx exports the network without it"
        )


def _step(node: NodeProto) -> dict[str, Any]:
    attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    plain = {
        name: value.decode() if isinstance(value, bytes) else list(value) if isinstance(value, list | tuple) else value
        for name, value in attributes.items()
        if isinstance(value, int | float | bytes) or hasattr(value, "__len__")
    }
    return {"op": node.op_type, "inputs": list(node.input), "outputs": list(node.output), "attributes": plain}


def fuse_swish(steps: list[dict[str, Any]], outputs: list[str]) -> list[dict[str, Any]]:
    """Replace x, sigmoid(x), x sigmoid(x) by one step, and by one with the matrix product before it."""
    steps = list(steps)
    for sigmoid in [step for step in steps if step["op"] == "Sigmoid"]:
        (x,), (name,) = sigmoid["inputs"], sigmoid["outputs"]
        users = [step for step in steps if name in step["inputs"]]
        if name in outputs or len(users) != 1 or users[0]["op"] != "Mul" or set(users[0]["inputs"]) != {x, name}:
            continue
        (product,) = users
        swish = {"op": "Swish", "inputs": [x], "outputs": product["outputs"], "attributes": {}}
        before = next((step for step in steps if x in step["outputs"]), None)
        others = [step for step in steps if x in step["inputs"] and step is not sigmoid and step is not product]
        if before is not None and before["op"] == "Gemm" and not others and x not in outputs:
            swish = {**before, "op": "GemmSwish", "outputs": product["outputs"]}
            steps.remove(before)
        steps[steps.index(product)] = swish
        steps.remove(sigmoid)
    return steps


def fuse_scale(steps: list[dict[str, Any]], outputs: list[str], constants: dict[str, Array]) -> list[dict[str, Any]]:
    """Replace clip(x W + b, low, high) / c by clip(x W/c + b/c, low/c, high/c), of constants above 0."""
    steps = list(steps)
    for divide in [step for step in steps if step["op"] == "Div"]:
        clipped, divisor = divide["inputs"]
        chain: list[dict[str, Any]] = []
        for operator, name in (("Clip", clipped), ("Gemm", None)):
            wanted = chain[-1]["inputs"][0] if chain else name
            users = [step for step in steps if wanted in step["inputs"]]
            found = [step for step in steps if wanted in step["outputs"] and step["op"] == operator]
            chain += found if len(users) == 1 and wanted not in outputs else []
        by = constants.get(divisor, np.zeros(1))
        if len(chain) != 2 or by.size != 1 or not by > 0 or not set(chain[0]["inputs"][1:]) <= constants.keys():
            continue
        clip, product = chain
        bounds = [f"{name}/{divisor}" for name in clip["inputs"][1:]]
        constants |= {name: constants[old] / by for name, old in zip(bounds, clip["inputs"][1:], strict=True)}
        product["attributes"] = {**product["attributes"], "factor": float(1.0 / by.item())}
        clip |= {"inputs": [clip["inputs"][0], *bounds], "outputs": divide["outputs"]}
        steps.remove(divide)
    return steps


def _compact(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _quantize(arrays: dict[str, Any], nodes: list[NodeProto], kind: Quantization) -> None:
    axes = {name: weight_axis(node, name, arrays) for node in nodes for name in node.input}
    for name, axis in axes.items():
        if axis is None:
            continue
        if kind == "fp16":
            arrays[name] = arrays[name].astype(np.float16)
        else:
            arrays[name], arrays[f"{name}.scale"] = int8(arrays[name], axis)
