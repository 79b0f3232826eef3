"""What computes the actor: numpy, or ONNX Runtime with or without TensorRT, for a batch of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from .errors import EdgeError
from .operators import OPERATORS

Array = np.ndarray
Step = Mapping[str, Any]
Program = Mapping[str, Any]
Limits = Mapping[str, Tuple[Array, Array]]
BACKENDS = ("numpy", "onnx", "tensorrt")


class NumpyNetwork:
    """Runs an actor.npz: constants by name, and `program`, a JSON list of operators in order.

    Args:
        path: of the file.
        inputs: name -> array that is read in every call, (1, *shape) float32.
        limits: output -> the least and the greatest that the caller makes of it, (A,) each. A clip of the network's
            own that allows as much is left out.

    Attributes:
        outputs: name -> array that a call fills.

    Raises:
        EdgeError: the file is no such network, or has an operator that this runtime does not know.
    """

    def __init__(self, path: Path, inputs: Mapping[str, Array], limits: Optional[Limits] = None) -> None:
        constants, program = read_program(path)
        missing = [name for name in program["inputs"] if name not in inputs]
        if missing:
            raise EdgeError(f"{path}: the network reads {', '.join(missing)}, actor.json does not have it")
        known: Dict[str, Array] = {**constants, **inputs}
        calls: List[Callable[[], object]] = []
        needless = [_needless_clip(program, constants, output, *ends) for output, ends in (limits or {}).items()]
        for step in program["steps"]:
            if step in needless:
                known[step["outputs"][0]] = known[step["inputs"][0]]
                continue
            if step["op"] not in OPERATORS:
                raise EdgeError(f"{path}: operator {step['op']} is not one of this runtime's; take a newer one")
            given = [known[name] if name else np.empty(0, np.float32) for name in step["inputs"]]
            outputs, added = OPERATORS[step["op"]](given, step["attributes"])
            known.update({name: out for name, out in zip(step["outputs"], outputs) if name})
            calls += added
        self.outputs = {name: known[name] for name in program["outputs"]}
        self._calls = tuple(calls)

    def run(self) -> None:
        """Compute the outputs of what the inputs hold."""
        for call in self._calls:
            call()


def _needless_clip(program: Program, constants: Mapping[str, Array], output: str, low: Array, high: Array) -> Step:
    """Return the clip that an output is, or is a slice of, where narrower limits follow; an empty step otherwise."""
    makers: Dict[str, Step] = {name: step for step in program["steps"] for name in step["outputs"]}
    read = [*program["outputs"], *(name for step in program["steps"] for name in step["inputs"])]
    step = makers.get(output, {})
    while step.get("op") == "Slice" and read.count(step["inputs"][0]) == 1:
        step = makers.get(step["inputs"][0], {})
    ends = [constants.get(name, np.empty(0)) for name in step.get("inputs", [])[1:]]
    if step.get("op") != "Clip" or [end.size for end in ends] != [1, 1] or read.count(output) > 1:
        return {}
    return step if ends[0] <= low.min() and high.max() <= ends[1] else {}


def read_program(path: Path) -> Tuple[Dict[str, Array], Dict[str, Any]]:
    """Return the constants and the program of an actor.npz.

    Weights that are stored in fewer bits come back as float32: float16 as it is, int8 times `<name>.scale`.
    """
    try:
        with np.load(str(path), allow_pickle=False) as archive:
            arrays = dict(archive)
        program = json.loads(arrays.pop("program").tobytes().decode())
    except Exception as error:  # numpy and zipfile raise many kinds for a damaged file
        raise EdgeError(f"{path}: not a readable network ({type(error).__name__}: {error})") from None
    constants = {name: array for name, array in arrays.items() if not name.endswith(".scale")}
    for name, array in constants.items():
        if array.dtype == np.float16:
            constants[name] = array.astype(np.float32)
        elif array.dtype == np.int8:
            constants[name] = array.astype(np.float32) * arrays[name + ".scale"]
    return constants, program


class OnnxNetwork:
    """Runs an actor.onnx by ONNX Runtime, on memory that is bound once.

    Args:
        path: of the file.
        inputs: name -> array that is read in every call, (1, *shape) float32.
        provider: ONNX Runtime's name of what computes.

    Attributes:
        outputs: name -> array that a call fills.

    Raises:
        EdgeError: onnxruntime is not installed, cannot read the file, or has no such provider.
    """

    def __init__(self, path: Path, inputs: Mapping[str, Array], provider: str = "CPUExecutionProvider") -> None:
        try:
            import onnxruntime as ort
        except ImportError:
            raise EdgeError(
                "this backend needs onnxruntime: pip install onnxruntime; --backend numpy does not"
            ) from None
        if provider not in ort.get_available_providers():
            raise EdgeError(f"onnxruntime has no {provider} here, only {', '.join(ort.get_available_providers())}")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # small networks only wait for more
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(str(path), options, providers=[provider])
        except Exception as error:  # onnxruntime has a kind for every reason
            raise EdgeError(f"{path}: {str(error).splitlines()[0]}") from None
        if self._session.get_providers()[0] != provider:
            raise EdgeError(f"{path}: {provider} did not start; onnxruntime would have run on the CPU instead")
        self._bind(ort, inputs)

    def _bind(self, ort: Any, inputs: Mapping[str, Array]) -> None:
        self._binding = self._session.io_binding()
        self._bound: List[Any] = []  # ONNX Runtime's views of the arrays, which must outlive the binding
        self.outputs: Dict[str, Array] = {}
        for wanted in self._session.get_inputs():
            self._bound.append(ort.OrtValue.ortvalue_from_numpy(inputs[wanted.name]))
            self._binding.bind_ortvalue_input(wanted.name, self._bound[-1])
        for made in self._session.get_outputs():
            dtype = np.int64 if made.type == "tensor(int64)" else np.float32
            out = self.outputs[made.name] = np.zeros([1, *made.shape[1:]], dtype)
            self._bound.append(ort.OrtValue.ortvalue_from_numpy(out))
            self._binding.bind_ortvalue_output(made.name, self._bound[-1])

    def run(self) -> None:
        """Compute the outputs of what the inputs hold."""
        self._session.run_with_iobinding(self._binding)


def network_file(backend: str) -> str:
    """Return the name of the file in a bundle that a backend computes."""
    return "actor.npz" if backend == "numpy" else "actor.onnx"


def load_network(backend: str, folder: Path, inputs: Mapping[str, Array], limits: Optional[Limits] = None) -> Any:
    """Load a bundle's network, which has `run` and `outputs`.

    Args:
        backend: numpy, onnx, or tensorrt, which is ONNX Runtime with NVIDIA's TensorRT below it.
        folder: of the bundle.
        inputs: name -> array that is read in every call.
        limits: output -> the least and the greatest that the caller makes of it.

    Raises:
        EdgeError: it cannot be loaded.
    """
    path = folder / network_file(backend)
    if backend == "numpy":
        return NumpyNetwork(path, inputs, limits)
    if backend == "onnx":
        return OnnxNetwork(path, inputs)
    if backend == "tensorrt":
        return OnnxNetwork(path, inputs, "TensorrtExecutionProvider")
    raise EdgeError(f"backend {backend}: expected one of {', '.join(BACKENDS)}")
