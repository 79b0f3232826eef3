"""The actor as the ONNX network that Unity's ML-Agents package runs."""

import copy
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from trainers.actors import Actor

OPSET = 15
VERSION_NUMBER = 3.0  # ML-Agents' model format of release 2 and later
INPUT_NAMES = ["obs_0"]
OUTPUT_NAMES = [
    "version_number",
    "memory_size",
    "continuous_actions",
    "continuous_action_output_shape",
    "deterministic_continuous_actions",
]


class UnityActor(nn.Module):
    """An actor with ML-Agents' outputs: constants, sampled actions, deterministic actions; all in [-1, 1]."""

    version_number: Tensor
    memory_size: Tensor
    output_shape: Tensor

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self.actor = actor
        self.register_buffer("version_number", torch.tensor([VERSION_NUMBER]))
        self.register_buffer("memory_size", torch.tensor([0.0]))
        self.register_buffer("output_shape", torch.tensor([float(actor.shape.continuous)]))

    def forward(self, obs_0: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs in the order of OUTPUT_NAMES."""
        drawn, best = self.actor.random_action(obs_0), self.actor.action(obs_0)
        return self.version_number, self.memory_size, drawn, self.output_shape, best


def write_unity_onnx(actor: Actor, path: Path) -> None:
    """Write one ONNX file, opset 15, with only the batch axis dynamic."""
    module = UnityActor(copy.deepcopy(actor)).cpu().eval()
    dynamic = ("obs_0", "continuous_actions", "deterministic_continuous_actions")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracing exporter is the one that knows opset 15
        torch.onnx.export(
            module,
            (torch.zeros(1, actor.obs_size),),
            str(path),
            input_names=INPUT_NAMES,
            output_names=OUTPUT_NAMES,
            opset_version=OPSET,
            dynamic_axes={name: {0: "batch"} for name in dynamic},
            dynamo=False,
        )
    onnx.checker.check_model(str(path), full_check=True)
