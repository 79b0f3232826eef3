"""actor.pt2: the network by torch.export, for programs that have torch."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from trainers.actors import Actor
from trainers.export.robot_onnx import ROBOT_OUTPUTS
from trainers.export.unity_onnx import UnityActor, inputs_of, output_names


class RobotActor(nn.Module):
    """What decides without randomness in a Unity network, with the same inputs."""

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self.unity = UnityActor(actor)
        self.names = robot_outputs(actor)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs in the order of `robot_outputs`."""
        actor = self.unity.actor
        outputs = dict(zip(output_names(actor.shape, actor.memory_size), self.unity(*inputs), strict=True))
        return tuple(outputs[name] for name in self.names)


def robot_outputs(actor: Actor) -> list[str]:
    """Return the names of what a robot's network gives, in order."""
    return [name for name in output_names(actor.shape, actor.memory_size) if name in ROBOT_OUTPUTS]


def write_torch_export(actor: Actor, path: Path) -> None:
    """Write a program for a batch of one, which is what a robot has."""
    examples = tuple(torch.ones(1, *shape) for shape in inputs_of(actor).values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an LSTM's own bookkeeping looks to torch like state that is lost
        program = torch.export.export(RobotActor(actor).eval(), examples)
    _drop_unused(program)
    torch.export.save(program, path)


def _drop_unused(program: ExportedProgram) -> None:
    """Remove what draws at random: torch keeps such operators, although nothing reads them."""
    for node in reversed(program.graph.nodes):
        if node.op == "call_function" and not node.users:
            program.graph.erase_node(node)
    program.graph_module.recompile()
