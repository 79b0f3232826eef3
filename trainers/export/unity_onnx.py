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
MASKS = "action_masks"
RECURRENT_IN, RECURRENT_OUT = "recurrent_in", "recurrent_out"


class UnityActor(nn.Module):
    """An actor with ML-Agents' inputs and outputs: observations, masks; constants, sampled and deterministic actions.

    Observations come sensor by sensor, images with their channels first. Numbers are in [-1, 1]; choices are int64
    indices. In `action_masks` 1 allows a choice and 0 forbids it. What is remembered goes in and out as
    (B, 1, memory_size).
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
        self.register_buffer("memory_size", torch.tensor([float(actor.memory_size)]))
        self.register_buffer("continuous_shape", torch.tensor([float(shape.continuous)]))
        self.register_buffer("discrete_shape", torch.tensor([[float(size) for size in shape.branches]]))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs in the order of `output_names`."""
        actor, size = self.actor, self.actor.shape.continuous
        given = dict(zip(inputs_of(actor), inputs, strict=True))
        memory = given.pop(RECURRENT_IN, None)
        flat = [part if part.dim() == 2 else part.flatten(1) for part in given.values()]
        obs = torch.cat(flat, dim=-1) if len(flat) > 1 else flat[0]
        if memory is not None:
            obs, memory = actor.step(obs, memory.squeeze(1))
        drawn, best = actor.random_action(obs), actor.action(obs)
        outputs = [self.version_number, self.memory_size]
        if size:
            outputs += [drawn[:, :size], self.continuous_shape, best[:, :size]]
        if actor.shape.branches:
            outputs += [drawn[:, size:].long(), self.discrete_shape, best[:, size:].long()]
        if memory is not None:
            outputs.append(memory.unsqueeze(1))
        return tuple(outputs)


def inputs_of(actor: Actor) -> dict[str, tuple[int, ...]]:
    """Return the inputs of an actor's network, in order: name -> shape without the batch."""
    inputs: dict[str, tuple[int, ...]] = {
        f"obs_{index}": sensor.shape for index, sensor in enumerate(actor.observation.sensors)
    }
    if actor.shape.branches:
        inputs[MASKS] = (actor.shape.choices,)
    if actor.memory_size:
        inputs[RECURRENT_IN] = (1, actor.memory_size)
    return inputs


def output_names(shape: ActionShape, memory_size: int = 0) -> list[str]:
    """Return the names of the outputs, in order."""
    names = ["version_number", "memory_size"]
    for kind, present in (("continuous", shape.continuous), ("discrete", shape.branches)):
        if present:
            names += [f"{kind}_actions", f"{kind}_action_output_shape", f"deterministic_{kind}_actions"]
    return [*names, RECURRENT_OUT] if memory_size else names


def write_unity_onnx(actor: Actor, path: Path) -> None:
    """Write one ONNX file, opset 15, with only the batch axis dynamic."""
    module = UnityActor(copy.deepcopy(actor)).cpu().eval()
    inputs, outputs = inputs_of(actor), output_names(actor.shape, actor.memory_size)
    batched = [*inputs, *(name for name in outputs if name.endswith("_actions") or name == RECURRENT_OUT)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracing exporter is the one that knows opset 15
        torch.onnx.export(
            module,
            tuple(torch.ones(1, *shape) for shape in inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=outputs,
            opset_version=OPSET,
            dynamic_axes={name: {0: "batch"} for name in batched},
            dynamo=False,
        )
    onnx.checker.check_model(str(path), full_check=True)
