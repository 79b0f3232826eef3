"""Weights in fewer bits. Only how they are stored changes: numpy and torch compute in float32 with the rounded weights.

ONNX Runtime may also compute with int8 where it finds such weights.

int8 is symmetric, with a scale per output: w ~ q max|w| / 127, q in -127 .. 127 (Krishnamoorthi 2018, arXiv 1806.08342,
section 3.1). Biases and the normaliser stay as they are.
"""

import copy
from typing import Literal

import numpy as np
import torch

from trainers.actors import Actor

Array = np.ndarray
Quantization = Literal["int8", "fp16"]
LARGEST = 127.0


def int8(weights: Array, axis: int) -> tuple[Array, Array]:
    """Return q, int8, and its scale per output, which broadcasts: weights ~ q * scale."""
    others = tuple(other for other in range(weights.ndim) if other != axis)
    scale = np.abs(weights).max(axis=others, keepdims=True).astype(np.float32) / np.float32(LARGEST)
    scale[scale == 0.0] = 1.0
    return np.rint(weights / scale).astype(np.int8), scale


def quantized(actor: Actor, kind: Quantization | None) -> Actor:
    """Return a copy of an actor on the CPU, its matrices rounded to what the kind can store."""
    rounded = copy.deepcopy(actor).cpu().eval()
    for weights in rounded.parameters():
        if weights.ndim < 2 or kind is None:
            continue
        if kind == "fp16":
            weights.data = weights.data.half().float()
        else:
            q, scale = int8(weights.detach().numpy(), 0)
            weights.data = torch.from_numpy(q * scale)
    return rounded
