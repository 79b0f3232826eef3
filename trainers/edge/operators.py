"""ONNX operators for a batch of one: everything is allocated when a network is loaded, nothing when it runs.

A builder is given a step's input arrays and attributes. It returns the arrays that will hold the outputs, and the
calls that fill them from whatever the inputs hold at the time. Outputs may be views of inputs, which cost no call.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

Array = np.ndarray
Calls = List[Callable[[], object]]
Built = Tuple[List[Array], Calls]
Builder = Callable[[Sequence[Array], Mapping[str, Any]], Built]

# numpy's clip in one call, which np.clip wraps in Python
clip: Any = import_module("numpy.core.umath" if np.__version__ < "2" else "numpy._core.umath").clip

NARROW = 8  # a matrix with so few columns is multiplied faster by columns than by rows
ZERO, HALF, ONE = (np.array(value, dtype=np.float32) for value in (0.0, 0.5, 1.0))


def scalar(value: float) -> Array:
    """Return a float32 array without axes, which a ufunc takes faster than a Python number."""
    return np.array(value, dtype=np.float32)


def room(shape: Sequence[int]) -> Array:
    """Return a float32 array with a 1 behind it in memory, by which a bias is one more row of the weights.

    Nobody can write the 1: the memory's owner, its `base`, is read-only, and the array ends before it.
    """
    owner = np.ones(int(np.prod(shape, dtype=int)) + 1, np.float32)
    array = owner[:-1].reshape(tuple(shape))
    owner.flags.writeable = False
    return array


def _with_one(x: Array) -> Optional[Array]:
    """Return all of x with the 1 behind it, (size + 1,); None where there is none."""
    owner = x.base
    if owner is None or owner.flags.writeable or owner.shape != (x.size + 1,) or owner[-1] != 1.0:
        return None
    return owner if owner.dtype == x.dtype and x.flags.c_contiguous else None


def _elementwise(ufunc: Callable[..., object], dtype: Any = np.float32, *, keyword: bool = False) -> Builder:
    """Return a builder; `keyword` where numpy deprecates to give the output by its position, which is faster."""

    def build(inputs: Sequence[Array], _: Mapping[str, Any]) -> Built:
        shape = np.broadcast_shapes(*(x.shape for x in inputs))
        out = room(shape) if dtype is np.float32 else np.empty(shape, dtype)
        *given, flat = _aligned([*inputs, out])
        return [out], [partial(ufunc, *given, out=flat) if keyword else partial(ufunc, *given, flat)]

    return build


def _aligned(arrays: Sequence[Array]) -> List[Array]:
    """Return views without the axes that make numpy look for a common shape, where every array is a number or whole.

    Args:
        arrays: inputs, then the output.
    """
    size = arrays[-1].size
    fits = all(x.size == 1 or (x.size == size and x.flags.c_contiguous) for x in arrays)
    if not fits or size == 1:
        return list(arrays)
    return [x.reshape(-1) if x.size == size else x.reshape(()) for x in arrays]


def _sigmoid_calls(x: Array, out: Array) -> Calls:
    """1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2, which cannot overflow."""
    return [
        partial(np.multiply, x, HALF, out),
        partial(np.tanh, out, out),
        partial(np.multiply, out, HALF, out),
        partial(np.add, out, HALF, out),
    ]


def _sigmoid(inputs: Sequence[Array], _: Mapping[str, Any]) -> Built:
    out = np.empty_like(inputs[0])
    return [out], _sigmoid_calls(inputs[0], out)


def _swish_of_half(half: Array) -> Built:
    """Return x sigmoid(x) = h + h tanh(h) of h = x / 2."""
    whole = room(half.shape)
    h, out = half.reshape(-1), whole.reshape(-1)
    return [whole], [partial(np.tanh, h, out), partial(np.add, out, ONE, out), partial(np.multiply, out, h, out)]


def _swish(inputs: Sequence[Array], _: Mapping[str, Any]) -> Built:
    half = np.empty(inputs[0].shape, np.float32)
    outputs, calls = _swish_of_half(half)
    return outputs, [partial(np.multiply, inputs[0], HALF, half), *calls]


def _relu(inputs: Sequence[Array], _: Mapping[str, Any]) -> Built:
    out = room(inputs[0].shape)
    return [out], [partial(np.maximum, inputs[0], ZERO, out=out)]


def _leaky_relu(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    """Return max(x, alpha x), for 0 <= alpha <= 1."""
    out, slope = room(inputs[0].shape), scalar(attributes.get("alpha", 0.01))
    return [out], [partial(np.multiply, inputs[0], slope, out), partial(np.maximum, inputs[0], out, out=out)]


def _elu(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    """Return max(x, 0) + alpha (exp(min(x, 0)) - 1)."""
    out, below = room(inputs[0].shape), np.empty_like(inputs[0])
    return [out], [
        partial(np.minimum, inputs[0], ZERO, out=below),
        partial(np.expm1, below, below),
        partial(np.multiply, below, scalar(attributes.get("alpha", 1.0)), below),
        partial(np.maximum, inputs[0], ZERO, out=out),
        partial(np.add, out, below, out),
    ]


def _clip(inputs: Sequence[Array], _: Mapping[str, Any]) -> Built:
    x, *bounds = inputs
    ends = [bounds[index] if index < len(bounds) and bounds[index].size else None for index in (0, 1)]
    low, high = (scalar(end) if found is None else found for found, end in zip(ends, (-np.inf, np.inf)))
    out = room(x.shape)
    return [out], [partial(clip, *_aligned([x, low, high, out]))]


def _gemm(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    """Return x W + b; W is (inputs, outputs), or its transpose where `transB` is set."""
    x, weight, *bias = inputs
    factor = scalar(attributes.get("factor", 1.0))
    weight = np.ascontiguousarray(weight.T if attributes.get("transB") else weight) * factor
    out = room((len(x), weight.shape[1]))
    given, flat = (x[0], out[0]) if len(x) == 1 else (x, out)  # a vector is faster than a matrix of one row
    whole = _with_one(given)
    if bias and len(x) == 1 and whole is not None:
        rows = np.vstack((weight, bias[0].reshape(-1) * factor))
        return [out], [partial(whole.dot, np.asfortranarray(rows) if rows.shape[1] <= NARROW else rows, flat)]
    calls: Calls = [partial(given.dot, weight, flat)]
    if bias:
        calls.append(partial(np.add, flat, bias[0].reshape(-1) * factor, flat))
    return [out], calls


def _matmul(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    """Return x y, of a row and a matrix as fast as `_gemm`."""
    x, y = inputs
    if y.ndim == 2 and x.size == x.shape[-1] and x.ndim == 2:
        return _gemm(inputs, attributes)
    out = np.empty(np.matmul(np.zeros_like(x), np.zeros_like(y)).shape, np.float32)
    return [out], [partial(np.matmul, x, y, out)]


def _expand(inputs: Sequence[Array], _: Mapping[str, Any]) -> Built:
    x, shape = inputs
    return [np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(int(size) for size in shape)))], []


def _gemm_swish(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    """Return swish(x W + b) from half the weights, which is exact, and saves a call."""
    (half,), calls = _gemm(inputs, {**attributes, "factor": 0.5})
    outputs, after = _swish_of_half(half)
    return outputs, [*calls, *after]


def _reshaped(x: Array, shape: Sequence[int]) -> Built:
    out = x.reshape(tuple(shape))
    if np.may_share_memory(out, x):
        return [out], []
    return [out], [partial(np.copyto, out.reshape(x.shape), x)]


def _reshape(inputs: Sequence[Array], _: Mapping[str, Any]) -> Built:
    x, wanted = inputs
    return _reshaped(x, [x.shape[axis] if size == 0 else int(size) for axis, size in enumerate(wanted)])


def _flatten(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    (x,), axis = inputs, attributes.get("axis", 1)
    return _reshaped(x, (int(np.prod(x.shape[:axis], dtype=int)), -1))


def _squeeze(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    axes = _axes(inputs, attributes)
    return [np.squeeze(inputs[0], tuple(axes) if axes else None)], []


def _unsqueeze(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    return [np.expand_dims(inputs[0], tuple(_axes(inputs, attributes)))], []


def _axes(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> List[int]:
    """Return the axes, which newer operator sets give as an input and older ones as an attribute."""
    return [int(axis) for axis in (inputs[1] if len(inputs) > 1 else attributes.get("axes", ()))]


def _transpose(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    return [np.transpose(inputs[0], attributes.get("perm"))], []


def _slice(inputs: Sequence[Array], _: Mapping[str, Any]) -> Built:
    x, starts, ends, *rest = inputs
    axes = rest[0] if rest else np.arange(len(starts))
    steps = rest[1] if len(rest) > 1 else np.ones(len(starts), int)
    where = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes.tolist(), starts.tolist(), ends.tolist(), steps.tolist()):
        where[axis] = slice(start, end, step)
    return [x[tuple(where)]], []


def _gather(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    """Return the parts of x at constant indices, a view where there is one."""
    (x, indices), axis = inputs, attributes.get("axis", 0)
    if indices.ndim == 0:
        return [x[(slice(None),) * (axis % x.ndim) + (int(indices),)]], []
    out: Array = np.empty((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)
    return [out], [partial(np.take, x, indices, axis, out)]


def _split(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    x, axis = inputs[0], attributes.get("axis", 0)
    sizes = inputs[1] if len(inputs) > 1 else attributes["split"]
    return list(np.split(x, np.cumsum(sizes)[:-1], axis)), []


def _concat(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    out: Array = np.concatenate(inputs, attributes["axis"])
    return [out], [partial(np.concatenate, tuple(inputs), attributes["axis"], out)]


def _identity(inputs: Sequence[Array], _: Mapping[str, Any]) -> Built:
    return [inputs[0]], []


CASTS = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_}  # by ONNX's numbers


def _cast(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    dtype = CASTS[attributes["to"]]
    if inputs[0].dtype == dtype:
        return [inputs[0]], []
    out: Array = np.empty(inputs[0].shape, dtype)
    return [out], [partial(np.copyto, out, inputs[0], "unsafe")]


def _where(inputs: Sequence[Array], _: Mapping[str, Any]) -> Built:
    condition, yes, no = inputs
    out = np.empty(np.broadcast(condition, yes, no).shape, np.float32)
    return [out], [partial(np.copyto, out, no), partial(np.copyto, out, yes, "same_kind", condition)]


def _argmax(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    (x,), axis = inputs, attributes.get("axis", 0)
    out = np.empty(np.argmax(x, axis).shape, np.intp)
    calls: Calls = [partial(np.argmax, x, axis, out)]
    return [np.expand_dims(out, axis) if attributes.get("keepdims", 1) else out], calls


def _reduce(ufunc: Any, *, mean: bool = False) -> Builder:
    def build(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
        x, axes = inputs[0], tuple(_axes(inputs, attributes)) or None
        keep = bool(attributes.get("keepdims", 1))
        out = np.asarray(ufunc.reduce(np.zeros_like(x), axis=axes, keepdims=keep))
        calls: Calls = [partial(ufunc.reduce, x, axis=axes, out=out, keepdims=keep)]
        if mean:
            calls.append(partial(np.multiply, out, scalar(out.size / x.size), out))
        return [out], calls

    return build


def _softmax(inputs: Sequence[Array], attributes: Mapping[str, Any], *, log: bool = False) -> Built:
    x, axis = inputs[0], attributes.get("axis", -1)
    out, part = np.empty_like(x), np.empty_like(x)
    total = np.empty_like(np.add.reduce(np.zeros_like(x), axis=axis, keepdims=True))
    calls: Calls = [
        partial(np.maximum.reduce, x, axis=axis, out=total, keepdims=True),
        partial(np.subtract, x, total, out),
        partial(np.exp, out, part),
        partial(np.add.reduce, part, axis=axis, out=total, keepdims=True),
    ]
    if log:
        return [out], [*calls, partial(np.log, total, total), partial(np.subtract, out, total, out)]
    return [out], [*calls, partial(np.divide, part, total, out)]


def _windows(x: Array, attributes: Mapping[str, Any], kernel: Sequence[int], fill: float) -> Tuple[Array, Calls]:
    """Return a view of all windows of x, (1, C, H, W), as (C, kh, kw, oh, ow), and what copies x below its padding."""
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    _, channels, height, width = x.shape
    padded = np.full((channels, height + top + bottom, width + left + right), fill, np.float32)
    inner = padded[:, top : top + height, left : left + width]
    rows, columns = attributes.get("strides", (1, 1))
    out = [(padded.shape[1] - kernel[0]) // rows + 1, (padded.shape[2] - kernel[1]) // columns + 1]
    c, h, w = padded.strides
    shape, strides = (channels, *kernel, *out), (c, h, w, h * rows, w * columns)
    return np.lib.stride_tricks.as_strided(padded, shape, strides), [partial(np.copyto, inner, x[0])]


def _conv(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    """2-D convolution as one matrix product: W (out, C kh kw) times the windows (C kh kw, oh ow)."""
    x, weight, *bias = inputs
    windows, calls = _windows(x, attributes, weight.shape[2:], 0.0)
    columns = np.empty(windows.shape, np.float32)
    out = np.empty((1, weight.shape[0], *windows.shape[3:]), np.float32)
    flat = out.reshape(weight.shape[0], -1)
    kernel = np.ascontiguousarray(weight.reshape(weight.shape[0], -1))
    calls.append(partial(np.copyto, columns, windows))
    calls.append(partial(np.dot, kernel, columns.reshape(kernel.shape[1], -1), flat))
    if bias:
        calls.append(partial(np.add, flat, bias[0][:, None], flat))
    return [out], calls


def _max_pool(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    windows, calls = _windows(inputs[0], attributes, attributes["kernel_shape"], -np.inf)
    out = np.empty((1, windows.shape[0], *windows.shape[3:]), np.float32)
    return [out], [*calls, partial(np.maximum.reduce, windows, axis=(1, 2), out=out[0])]


def _lstm(inputs: Sequence[Array], attributes: Mapping[str, Any]) -> Built:
    """One step of ONNX's LSTM: X (1, 1, D), W (1, 4H, D), R (1, 4H, H), B (1, 8H), h (1, 1, H), c; gates i, o, f, c."""
    x, weight, recurrence, bias, _, hidden, cell = inputs
    size = attributes["hidden_size"]
    gates, part, new_cell, out = (np.empty(n, np.float32) for n in (4 * size, 4 * size, size, size))
    i, o, f, g = (gates[k * size : (k + 1) * size] for k in range(4))
    both = bias.reshape(2, -1).sum(axis=0)
    calls: Calls = [
        partial(np.dot, x.reshape(-1), np.ascontiguousarray(weight[0].T), gates),
        partial(np.dot, hidden.reshape(-1), np.ascontiguousarray(recurrence[0].T), part),
        partial(np.add, gates, part, gates),
        partial(np.add, gates, both, gates),
        *_sigmoid_calls(gates[: 3 * size], gates[: 3 * size]),
        partial(np.tanh, g, g),
        partial(np.multiply, f, cell.reshape(-1), new_cell),
        partial(np.multiply, i, g, g),
        partial(np.add, new_cell, g, new_cell),
        partial(np.tanh, new_cell, out),
        partial(np.multiply, out, o, out),
    ]
    shape = (1, 1, size)
    return [out.reshape(1, 1, 1, size), out.reshape(shape), new_cell.reshape(shape)], calls


OPERATORS: Dict[str, Builder] = {
    "Abs": _elementwise(np.abs),
    "Add": _elementwise(np.add),
    "ArgMax": _argmax,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": _elementwise(np.divide),
    "Elu": _elu,
    "Exp": _elementwise(np.exp),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GemmSwish": _gemm_swish,
    "Greater": _elementwise(np.greater, np.bool_),
    "Identity": _identity,
    "LSTM": _lstm,
    "LeakyRelu": _leaky_relu,
    "Less": _elementwise(np.less, np.bool_),
    "Log": _elementwise(np.log),
    "LogSoftmax": partial(_softmax, log=True),
    "MatMul": _matmul,
    "Max": _elementwise(np.maximum, keyword=True),
    "MaxPool": _max_pool,
    "Min": _elementwise(np.minimum, keyword=True),
    "Mul": _elementwise(np.multiply),
    "Neg": _elementwise(np.negative),
    "Pow": _elementwise(np.power),
    "ReduceMax": _reduce(np.maximum),
    "ReduceMean": _reduce(np.add, mean=True),
    "ReduceSum": _reduce(np.add),
    "Relu": _relu,
    "Reshape": _reshape,
    "Sigmoid": _sigmoid,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Sqrt": _elementwise(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _elementwise(np.subtract),
    "Swish": _swish,
    "Tanh": _elementwise(np.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
