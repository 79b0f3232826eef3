"""Would Unity run this network? What ML-Agents' C# package checks and expects of an ONNX file, rule by rule.

After com.unity.ml-agents 3.0 to 4.0, Runtime/Inference: TensorNames, SentisModelInfo, SentisModelParamLoader,
GeneratorImpl, ApplierImpl. Files of any origin are judged; one is never run that is no ONNX network.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, external_data_helper

from trainers.errors import UserError

Array = np.ndarray
OPSETS = range(7, 16)
VERSIONS = (2.0, 3.0)
OBSERVATION = re.compile(r"obs_(\d+)")
ROWS = 3
MOST_NUMBERS = 30_000_000  # in a run: larger inputs are an error, or would not fit into memory
KINDS = ("continuous", "discrete")


class Verdict(NamedTuple):
    """How a file stands to one rule.

    Attributes:
        rule: what Unity needs.
        passed: whether it is so.
        found: what is there.
    """

    rule: str
    passed: bool
    found: str


class Tensor(NamedTuple):
    """A tensor's declared type; axes without a number are None."""

    type: int
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        axes = ", ".join("batch" if axis is None else str(axis) for axis in self.shape)
        return f"{TensorProto.DataType.Name(self.type).lower()} [{axes}]"


@dataclass(frozen=True)
class UnityFile:
    """A network, and what a run of it gives.

    Attributes:
        model: as read.
        inputs: name -> type.
        outputs: name -> type.
    """

    model: onnx.ModelProto
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]

    @cached_property
    def session(self) -> Any:
        """ONNX Runtime's, or the reason why there is none."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            return onnxruntime.InferenceSession(
                self.model.SerializeToString(), options, ["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # onnxruntime has a kind for every reason
            return str(error).splitlines()[0]

    def run(self, rows: int, seed: int = 0, **given: Array) -> dict[str, Array]:
        """Return the outputs for random observations and masks that allow everything; none where it does not run."""
        if isinstance(self.session, str) or self.numbers * rows > MOST_NUMBERS:
            return {}
        rng = np.random.default_rng(seed)
        feed = {
            name: rng.normal(size=_filled(part.shape, rows)).astype(np.float32) for name, part in self.inputs.items()
        }
        feed |= {name: np.ones_like(value) for name, value in feed.items() if name == "action_masks"}
        try:
            values = self.session.run(None, feed | given)
        except Exception:  # likewise; the rule that it runs says so
            return {}
        return dict(zip(self.outputs, values, strict=True))

    @property
    def numbers(self) -> int:
        """How many numbers a row of all inputs has."""
        return sum(math.prod(_filled(part.shape, 1)) for part in self.inputs.values())

    def rows(self, wanted: int) -> int:
        """Return how many rows of those that are wanted a run may have."""
        return max(1, min(wanted, MOST_NUMBERS // max(1, self.numbers)))

    @cached_property
    def probe(self) -> dict[str, Array]:
        """Outputs of one row, as Unity reads the constants."""
        return self.run(1)

    def constant(self, name: str) -> list[float]:
        """Return what a constant output holds; nothing where it is not one."""
        value = self.probe.get(name)
        return [] if value is None else [float(number) for number in value.reshape(-1)]

    def has(self, kind: str) -> bool:
        """Whether it decides on actions of a kind."""
        return any(name.endswith(f"{kind}_actions") or name.startswith(f"{kind}_") for name in self.outputs)

    @property
    def memory_size(self) -> int:
        """What it says that it remembers."""
        return int((self.constant("memory_size") or [0.0])[0])


def check_unity_onnx(path: Path) -> list[Verdict]:
    """Judge an ONNX file.

    Raises:
        UserError: it is none.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except Exception:  # protobuf's own kinds
        raise UserError(f"{path}: not an ONNX file") from None
    if not model.graph.node and not model.graph.output:
        raise UserError(f"{path}: not an ONNX file, or an empty one")
    file = UnityFile(model, *(_tensors(values) for values in (_fed(model), model.graph.output)))
    return [_verdict(rule, judge, file) for rule, judge in RULES.items()]


def _verdict(rule: str, judge: Callable[[UnityFile], tuple[bool, str]], file: UnityFile) -> Verdict:
    try:
        return Verdict(rule, *judge(file))
    except Exception as error:  # nobody knows all the ways in which a file of any origin can be broken
        return Verdict(rule, False, f"cannot be judged: {type(error).__name__}: {str(error)[:80]}")


def _fed(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs, without constants, which old files list among them."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def _tensors(values: Any) -> dict[str, Tensor]:
    found = {}
    for value in values:
        tensor = value.type.tensor_type
        axes = (axis.dim_value if axis.HasField("dim_value") else None for axis in tensor.shape.dim)
        found[value.name] = Tensor(tensor.elem_type, tuple(axes))
    return found


def _filled(shape: tuple[int | None, ...], rows: int) -> tuple[int, ...]:
    return tuple(rows if not index else 1 if size is None else size for index, size in enumerate(shape))


Judged = tuple[bool, str]


def _single_file(file: UnityFile) -> Judged:
    outside = [
        tensor.name for tensor in file.model.graph.initializer if external_data_helper.uses_external_data(tensor)
    ]
    return not outside, f"{len(outside)} weights lie in another file" if outside else "all weights are inside"


def _opset(file: UnityFile) -> Judged:
    found = [opset.version for opset in file.model.opset_import if opset.domain in ("", "ai.onnx")]
    return bool(found) and all(
        version in OPSETS for version in found
    ), f"opset {', '.join(map(str, found)) or 'missing'}"


def _operators(file: UnityFile) -> Judged:
    own = sorted(
        {f"{node.domain}.{node.op_type}" for node in file.model.graph.node if node.domain not in ("", "ai.onnx")}
    )
    return not own, ", ".join(own) or f"{len({node.op_type for node in file.model.graph.node})} operators of ONNX"


def _input_names(file: UnityFile) -> Judged:
    known = ("action_masks", "recurrent_in")
    strange = [name for name in file.inputs if name not in known and not OBSERVATION.fullmatch(name)]
    return not strange, f"unknown: {', '.join(strange)}" if strange else ", ".join(file.inputs)


def _observations(file: UnityFile) -> Judged:
    found = sorted(int(match[1]) for match in map(OBSERVATION.fullmatch, file.inputs) if match)
    missing = sorted(set(range(found[-1] + 1)) - set(found)) if found else [0]
    return not missing, f"no obs_{missing[0]}" if missing else ", ".join(f"obs_{index}" for index in found)


def _input_types(file: UnityFile) -> Judged:
    wrong = [f"{name} {part}" for name, part in file.inputs.items() if part.type != TensorProto.FLOAT]
    return not wrong, ", ".join(wrong) or "float"


def _batch_axis(file: UnityFile) -> Judged:
    constants = ("version_number", "memory_size", "continuous_action_output_shape", "discrete_action_output_shape")
    batched = {**file.inputs, **{name: part for name, part in file.outputs.items() if name not in constants}}
    wrong = [f"{name} {part}" for name, part in batched.items() if not part.shape or None in part.shape[1:]]
    wrong += [f"{name} {part}" for name, part in file.inputs.items() if part.shape and part.shape[0] is not None]
    return not wrong, ", ".join(dict.fromkeys(wrong)) or "only the first axis is"


def _no_empty_inputs(file: UnityFile) -> Judged:
    empty = [f"{name} {part}" for name, part in file.inputs.items() if 0 in part.shape]
    return not empty, ", ".join(empty) or "none"


def _observation_shapes(file: UnityFile) -> Judged:
    wrong = [
        f"{name} {part}"
        for name, part in file.inputs.items()
        if OBSERVATION.fullmatch(name) and len(part.shape) not in (2, 3, 4)
    ]
    found = [f"{name} {part}" for name, part in file.inputs.items() if OBSERVATION.fullmatch(name)]
    return not wrong and bool(found), ", ".join(wrong or found) or "no observation"


def _runs(file: UnityFile) -> Judged:
    if isinstance(file.session, str):
        return False, file.session[:160]
    for rows in (1, ROWS):
        if not file.run(rows):
            return False, f"it fails for a batch of {rows}"
    return True, f"for a batch of 1 and of {ROWS}"


def _version(file: UnityFile) -> Judged:
    return _constant(file, "version_number", lambda value: value in [[version] for version in VERSIONS])


def _memory_size(file: UnityFile) -> Judged:
    return _constant(file, "memory_size", lambda value: len(value) == 1 and value[0] >= 0 and value[0].is_integer())


def _constant(file: UnityFile, name: str, right: Callable[[list[float]], bool]) -> Judged:
    if name not in file.outputs:
        bare = name in {tensor.name for tensor in file.model.graph.initializer}
        return False, "an initialiser, but no output" if bare else "missing"
    if file.outputs[name].type != TensorProto.FLOAT:
        return False, f"{file.outputs[name]}; has to be float"
    value = file.constant(name)
    return right(value), f"{value}" if value else "has no value: the network does not run"


def _some_action(file: UnityFile) -> Judged:
    kinds = [kind for kind in KINDS if f"{kind}_actions" in file.outputs]
    return bool(kinds), " and ".join(kinds) or "neither continuous_actions nor discrete_actions"


def _continuous(file: UnityFile) -> Judged:
    return _actions(file, "continuous_actions", TensorProto.FLOAT)


def _deterministic_continuous(file: UnityFile) -> Judged:
    return _actions(file, "deterministic_continuous_actions", TensorProto.FLOAT)


def _discrete(file: UnityFile) -> Judged:
    return _actions(file, "discrete_actions", TensorProto.INT64)


def _deterministic_discrete(file: UnityFile) -> Judged:
    return _actions(file, "deterministic_discrete_actions", TensorProto.INT64)


def _actions(file: UnityFile, name: str, wanted: int) -> Judged:
    kind = name.removeprefix("deterministic_").removesuffix("_actions")
    if not file.has(kind):
        return True, f"no {kind} actions"
    if name not in file.outputs:
        return False, "missing"
    found = file.outputs[name]
    return found.type == wanted and len(found.shape) == 2, str(found)


def _continuous_shape(file: UnityFile) -> Judged:
    if not file.has("continuous"):
        return True, "no continuous actions"
    size = file.probe.get("continuous_actions", np.empty((1, 0))).shape[-1]
    return _constant(file, "continuous_action_output_shape", lambda value: value == [size])


def _discrete_shape(file: UnityFile) -> Judged:
    if not file.has("discrete"):
        return True, "no discrete actions"
    name = "discrete_action_output_shape"
    branches = file.probe.get("discrete_actions", np.empty((1, 0))).shape[-1]
    right, found = _constant(file, name, lambda value: len(value) == branches and min(value, default=0.0) >= 1)
    if right and file.probe[name].shape != (1, branches):
        return False, f"shape {file.probe[name].shape}, has to be (1, {branches})"
    return right, found


def _masks(file: UnityFile) -> Judged:
    if not file.has("discrete"):
        return "action_masks" not in file.inputs, "no discrete actions"
    if "action_masks" not in file.inputs:
        return False, "missing"
    found, choices = file.inputs["action_masks"], int(sum(file.constant("discrete_action_output_shape")))
    return found.shape[1:] == (choices,), f"{found}, {choices} choices"


def _mask_meaning(file: UnityFile) -> Judged:
    """Allow one choice of each branch, every one in its turn, and see whether it comes out."""
    sizes = [int(size) for size in file.constant("discrete_action_output_shape")]
    if not file.has("discrete") or "action_masks" not in file.inputs:
        return not file.has("discrete"), "no discrete actions" if not file.has("discrete") else "no masks"
    for turn in range(max(sizes, default=0)):
        only = [turn % size for size in sizes]
        mask = np.concatenate([np.eye(size, dtype=np.float32)[index] for size, index in zip(sizes, only, strict=True)])
        outputs = file.run(1, turn, action_masks=mask[None])
        for name in ("discrete_actions", "deterministic_discrete_actions"):
            chosen = outputs.get(name, np.array([only])).reshape(-1).tolist()
            if not outputs or chosen != only:
                return False, f"{name} {chosen} where only {only} was allowed"
    return bool(sizes), "the only choice that was allowed came out, each in its turn"


def _memory(file: UnityFile) -> Judged:
    size = file.memory_size
    parts = {"recurrent_in": file.inputs.get("recurrent_in"), "recurrent_out": file.outputs.get("recurrent_out")}
    if size == 0:
        there = [name for name, part in parts.items() if part is not None]
        return not there, f"{', '.join(there)}, but memory_size is 0" if there else "no memory"
    missing = [name for name, part in parts.items() if part is None]
    if missing:
        return False, f"memory_size {size}, but no {missing[0]}"
    shapes = [part.shape[1:] for part in parts.values() if part is not None]
    return shapes == [(1, size)] * 2, ", ".join(f"{name} {part}" for name, part in parts.items())


def _bounded(file: UnityFile) -> Judged:
    names = [name for name in ("continuous_actions", "deterministic_continuous_actions") if name in file.outputs]
    if not names:
        return True, "no continuous actions"
    rows = file.rows(200)
    outputs = file.run(rows)
    if not outputs:
        return False, "the network does not run"
    largest = max(float(np.abs(outputs[name]).max()) for name in names)
    return largest <= 1.0, f"{largest:.3g} at most, over {rows} random observations"


def _deterministic(file: UnityFile) -> Judged:
    names = [name for name in file.outputs if name.startswith("deterministic_")]
    rows = file.rows(50)
    first, second = file.run(rows), file.run(rows)
    wrong = [name for name in names if not first or first[name].tobytes() != second[name].tobytes()]
    return not wrong, f"{', '.join(wrong)} differ between two runs" if wrong else ", ".join(names) or "none"


RULES: dict[str, Callable[[UnityFile], Judged]] = {
    "one file holds everything": _single_file,
    "opset 7 to 15": _opset,
    "operators of ONNX itself only": _operators,
    "inputs are obs_<i>, action_masks, recurrent_in": _input_names,
    "observations are numbered from obs_0 without a gap": _observations,
    "observations have 2 axes, or 3 or 4 (images: batch, C, H, W)": _observation_shapes,
    "inputs are float": _input_types,
    "only the batch axis is dynamic": _batch_axis,
    "no input of zero width": _no_empty_inputs,
    "the network runs": _runs,
    "output version_number is float, 2 or 3": _version,
    "output memory_size is float, 0 or more": _memory_size,
    "there are actions": _some_action,
    "continuous_actions is float [batch, n]": _continuous,
    "continuous_action_output_shape is float, n": _continuous_shape,
    "deterministic_continuous_actions is float [batch, n]": _deterministic_continuous,
    "continuous actions are in [-1, 1]": _bounded,
    "discrete_actions is int64 [batch, branches]": _discrete,
    "discrete_action_output_shape is float [1, branches]": _discrete_shape,
    "deterministic_discrete_actions is int64 [batch, branches]": _deterministic_discrete,
    "action_masks is [batch, choices], where there are choices": _masks,
    "masks: 1 allows, 0 forbids": _mask_meaning,
    "recurrent_in and recurrent_out are [batch, 1, memory_size]": _memory,
    "deterministic outputs are": _deterministic,
}
