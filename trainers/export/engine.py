"""build_engine.sh: makes a TensorRT engine of actor.onnx on the Jetson that will run it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import onnx

NAME = "build_engine.sh"

# Operators that TensorRT's ONNX parser lists as supported (docs/operators.md of github.com/onnx/onnx-tensorrt), from
# 8.0 and 8.2, which JetPack 4.6 for the Nano has, to 8.5, 8.6 and 10.1.
SUPPORTED = frozenset(
    """
    Abs Add ArgMax Cast Clip Concat Constant ConstantOfShape Conv DequantizeLinear Div Elu Equal Exp Expand Flatten
    GRU Gather Gemm Greater Identity LSTM LeakyRelu Less Log LogSoftmax MatMul Max MaxPool Min Mul Neg Pow ReduceMax
    ReduceMean ReduceSum Relu Reshape Shape Sigmoid Slice Softmax Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze
    Where
    """.split()  # noqa: SIM905  # a table, not 45 lines
)

SCRIPT = """\
#!/bin/sh
# Builds actor.engine from actor.onnx with TensorRT, for a batch of one. Run it on the Jetson itself: an engine fits
# only the GPU and the TensorRT version that it was built with.
#   sh build_engine.sh            half precision
#   sh build_engine.sh --fp32     single precision
set -eu
cd "$(dirname "$0")"

precision=--fp16
case "${{1:-}}" in
  "") ;;
  --fp32) precision= ;;
  *) echo "error: $1: the only option is --fp32" >&2; exit 2 ;;
esac

trtexec=$(command -v trtexec || true)
[ -n "$trtexec" ] || trtexec=/usr/src/tensorrt/bin/trtexec # where JetPack installs it
if [ ! -x "$trtexec" ]; then
  echo "error: no trtexec on the PATH or in /usr/src/tensorrt/bin; it is part of JetPack's TensorRT" >&2
  exit 1
fi
if [ ! -f actor.onnx ]; then
  echo "error: no actor.onnx beside this script; export with --format onnx or all" >&2
  exit 1
fi

shapes={shapes}
# shellcheck disable=SC2086 # an empty precision is no argument
"$trtexec" --onnx=actor.onnx --saveEngine=actor.engine.part $precision \\
  --minShapes="$shapes" --optShapes="$shapes" --maxShapes="$shapes"
mv actor.engine.part actor.engine
echo "engine    $(pwd)/actor.engine"
"""


def write_engine_script(path: Path, inputs: Mapping[str, tuple[int, ...]]) -> None:
    """Write the script.

    Args:
        path: of the file.
        inputs: of the network, with their shapes without the batch.
    """
    shapes = ",".join(f"{name}:{'x'.join(map(str, (1, *shape)))}" for name, shape in inputs.items())
    path.write_text(SCRIPT.format(shapes=shapes), encoding="utf-8")
    path.chmod(0o755)


def unsupported(path: Path) -> list[str]:
    """Return the operators of a network that TensorRT does not have."""
    return sorted(set(_operators(onnx.load(path).graph.node)) - SUPPORTED)


def _operators(nodes: Iterable[onnx.NodeProto]) -> Iterable[str]:
    return (node.op_type for node in nodes)
