"""The actor as the ONNX network that Unity's ML-Agents package runs."""

import copy
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from trainers.actors import ActionShape, Actor

OPSET = 15
VERSION_NUMBER = 3.0  # ML-Agents' model format of release 2 and later


class UnityActor(nn.Module):
    """An actor with ML-Agents' inputs and outputs: observations, masks; constants, sampled and deterministic actions.

    Numbers are in [-1, 1]; choices are int64 indices. In `action_masks` 1 allows a choice and 0 forbids it.
    """

    version_number: Tensor
    memory_size: Tensor
    continuous_shape: Tensor
    discrete_shape: Tensor

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self.actor = actor
        shape = actor.shape
        self.register_buffer("version_number", torch.tensor([VERSION_NUMBER]))
        self.register_buffer("memory_size", torch.tensor([0.0]))
        self.register_buffer("continuous_shape", torch.tensor([float(shape.continuous)]))
        self.register_buffer("discrete_shape", torch.tensor([[float(size) for size in shape.branches]]))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs in the order of `output_names`."""
        obs = torch.cat(inputs, dim=-1) if len(inputs) > 1 else inputs[0]
        size = self.actor.shape.continuous
        drawn, best = self.actor.random_action(obs), self.actor.action(obs)
        outputs = [self.version_number, self.memory_size]
        if self.actor.shape.continuous:
            outputs += [drawn[:, :size], self.continuous_shape, best[:, :size]]
        if self.actor.shape.branches:
            outputs += [drawn[:, size:].long(), self.discrete_shape, best[:, size:].long()]
        return tuple(outputs)


def input_names(shape: ActionShape) -> list[str]:
    """Return the names of the inputs, in order."""
    return ["obs_0", "action_masks"] if shape.branches else ["obs_0"]


def output_names(shape: ActionShape) -> list[str]:
    """Return the names of the outputs, in order."""
    names = ["version_number", "memory_size"]
    for kind, present in (("continuous", shape.continuous), ("discrete", shape.branches)):
        if present:
            names += [f"{kind}_actions", f"{kind}_action_output_shape", f"deterministic_{kind}_actions"]
    return names


def example_inputs(actor: Actor) -> dict[str, Tensor]:
    """Return inputs for a batch of one, by name, in order."""
    examples = {"obs_0": torch.zeros(1, actor.obs_size), "action_masks": torch.ones(1, actor.shape.choices)}
    return {name: examples[name] for name in input_names(actor.shape)}


def write_unity_onnx(actor: Actor, path: Path) -> None:
    """Write one ONNX file, opset 15, with only the batch axis dynamic."""
    module = UnityActor(copy.deepcopy(actor)).cpu().eval()
    inputs, outputs = input_names(actor.shape), output_names(actor.shape)
    batched = [name for name in (*inputs, *outputs) if name == "obs_0" or name.endswith(("_masks", "_actions"))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracing exporter is the one that knows opset 15
        torch.onnx.export(
            module,
            tuple(example_inputs(actor).values()),
            str(path),
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            dynamic_axes={name: {0: "batch"} for name in batched},
            dynamo=False,
        )
    onnx.checker.check_model(str(path), full_check=True)
